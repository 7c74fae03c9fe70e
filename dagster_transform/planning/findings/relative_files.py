"""What is said of a relative path that leads to two database files."""

from __future__ import annotations

from pathlib import Path

from dagster_transform.planning.findings.values import Code, Finding, Severity


def two_files_finding(
    name: str, framework: str, path: str, folder: Path, other: tuple[Path, Path]
) -> Finding:
    """The finding.

    Args:
        name: The project.
        framework: Its framework, whose command is called like it.
        path: As it is written.
        folder: The folder that dagster-transform takes it from.
        other: Another folder, and the file that the path leads to from there.
    """
    elsewhere, file = other
    return Finding(
        Code.RELATIVE_DATABASE,
        Severity.WARNING,
        what=f"Project {name} names a DuckDB file by a relative path, {path}, and there are two.",
        cause=f"dagster-transform takes it from the project's folder ({folder}): "
        f"{(folder / path).resolve()}. From {elsewhere} it is {file}: `{framework}`, typed there, "
        "reads and writes that one.",
        remedy=f"Keep the one that has your tables, and type `{framework}` in the project's folder "
        "only; or write an absolute path, or one that comes from an environment variable.",
        where=name,
    )
