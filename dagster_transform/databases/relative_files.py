"""Relative paths of database files: whether one leads to another file, or might."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class OtherFile:
    """Where else a relative path leads.

    Attributes:
        path: As it is written.
        folder: The folder that it is taken from.
        own: The file to which it leads from there.
        own_exists: Whether that is there.
        elsewhere: Another folder.
        file: The file to which it leads from there, and which is there.
    """

    path: str
    folder: Path
    own: Path
    own_exists: bool
    elsewhere: Path
    file: Path


def another_file(path: str, folder: Path, others: Iterable[Path]) -> OtherFile | None:
    """The file to which a relative path leads from another folder, where there is one.

    A relative path is no fault by itself: it is one where another file has come of it, since a
    command was typed in another folder, or somebody has taken it from a third.

    Args:
        path: As it is written.
        folder: The folder that it is taken from.
        others: Folders that it may have been taken from as well.

    Returns:
        None: there is no other file.
    """
    own = (folder / path).resolve()
    for other in others:
        found = (other / path).resolve()
        if found != own and found.is_file():
            return OtherFile(path, folder, own, own.is_file(), other, found)
    return None
