"""What is generated in the folder of a transform and does not belong into a repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

GITIGNORE = ".gitignore"
_HEAD = "# What dagster-transform, Dagster, dbt and SQLMesh generate"
_OF_TRANSFORM = (".dagster_transform/", ".dagster_home/")
_OF_FRAMEWORK = {
    "dbt": ("target/", "dbt_packages/", "logs/"),
    "sqlmesh": (".cache/", "logs/"),
}


def generated(root: Path, projects: Iterable[tuple[str, Path]]) -> list[str]:
    """Lines for a .gitignore.

    Args:
        root: The folder of the .gitignore.
        projects: Framework and folder of each project; one that is not below `root` is left out.
    """
    found = [*_OF_TRANSFORM]
    for framework, folder in projects:
        if folder.is_relative_to(root):
            inside = folder.relative_to(root).as_posix()
            before = "/" if inside == "." else f"/{inside}/"
            found += [before + name for name in _OF_FRAMEWORK[framework]]
    return list(dict.fromkeys(found))


def ignore(root: Path, lines: Iterable[str]) -> str:
    """Add lines to the .gitignore of a folder, or begin one.

    Args:
        root: The folder.
        lines: As of `generated`.

    Returns:
        `wrote` or `added lines to`; "" where it has all of them already.

    Raises:
        OSError: It can't be read or written.
        ValueError: It is no UTF-8.
    """
    path = root / GITIGNORE
    there = path.exists()
    text = path.read_text(encoding="utf-8") if there else ""
    wanted = with_ignored(text, lines)
    if wanted == text:
        return ""
    path.write_text(wanted, encoding="utf-8")
    return "added lines to" if there else "wrote"


def with_ignored(text: str, lines: Iterable[str]) -> str:
    """The text of a .gitignore that ignores all of these; what it has stays as it is.

    Args:
        text: What it says now; "" where there is none.
        lines: As of `generated`. What a pattern of the file ignores already is not added.
    """
    patterns = [*_patterns(text)]
    missing = [line for line in lines if not _is_ignored(line, patterns)]
    if not missing:
        return text
    before = text if not text or text.endswith("\n") else f"{text}\n"
    gap = "\n" if before else ""
    return before + gap + "\n".join([_HEAD, *missing]) + "\n"


def _patterns(text: str) -> Iterator[str]:
    for line in text.splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            yield pattern


def _is_ignored(line: str, patterns: Iterable[str]) -> bool:
    """Whether a file has this line, or a plain pattern that says the same or more: `target/` for
    `/shop/target/`. A pattern that is not understood costs a line too many."""
    parts = line.strip("/").split("/")
    for pattern in patterns:
        # One that something is said of, be it that it is kept, has been thought of.
        name = pattern.removeprefix("!").removeprefix("**/").rstrip("/")
        anchored = name.startswith("/") or "/" in name
        wanted = name.strip("/").split("/")
        if wanted == parts[: len(wanted)] if anchored else name in parts:
            return True
    return False
