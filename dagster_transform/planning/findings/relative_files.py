"""What is said of a relative path that leads to another database file."""

from __future__ import annotations

from dagster_transform.databases.relative_files import OtherFile
from dagster_transform.planning.findings.values import Code, Finding, Severity


def other_file_finding(name: str, framework: str, other: OtherFile) -> Finding:
    """The finding that there are two files, or one and not where it is looked for.

    Args:
        name: The project.
        framework: Its framework, whose command is called like it.
        other: Where the path leads.
    """
    what = f"Project {name} names a DuckDB file by a relative path, {other.path}, and "
    here = f"dagster-transform takes it from the project's folder ({other.folder}): {other.own}"
    if other.own_exists:
        what += "there are two."
        here += "."
        remedy = f"Keep the one that has your tables, and type `{framework}` in the project's "
        remedy += "folder only; "
    else:
        what += "the only one lies where it is not looked for."
        here += ", which is not there."
        remedy = f"If it has your tables, move it to {other.own}, and type `{framework}` in the "
        remedy += "project's folder only; "
    return Finding(
        Code.RELATIVE_DATABASE,
        Severity.WARNING,
        what=what,
        cause=f"{here} From {other.elsewhere} it is {other.file}: `{framework}`, typed there, "
        "reads and writes that one.",
        remedy=f"{remedy}or write an absolute path, or one that comes from an environment "
        "variable.",
        where=name,
    )


def lies_elsewhere(other: OtherFile) -> str:
    """A line for where nothing was found in the project's own file; "" if that is there."""
    if other.own_exists:
        return ""
    return (
        f"There is no {other.own}, and there is {other.file}: if that has your tables, move it, or "
        "give the project's config an absolute path."
    )
