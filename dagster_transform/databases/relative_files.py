"""Relative paths of database files: whether one leads to two files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def another_file(path: str, folder: Path, others: Iterable[Path]) -> tuple[Path, Path] | None:
    """The file to which a relative path leads from another folder, where there is one.

    A relative path is no fault by itself: it is one where two files have come of it, since a
    command was typed in two folders, or somebody has taken it from a third.

    Args:
        path: As it is written.
        folder: The folder that it is taken from.
        others: Folders that it may have been taken from as well.

    Returns:
        That folder, and the file there; None: there is no other file.
    """
    own = (folder / path).resolve()
    for other in others:
        found = (other / path).resolve()
        if found != own and found.is_file():
            return other, found
    return None
