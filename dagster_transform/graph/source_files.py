"""The fingerprint of a project's files, by which a graph file knows whether it is stale."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagster_transform.graph.errors import SourceFileError

_SUFFIXES = frozenset({".sql", ".py", ".yaml", ".yml", ".csv", ".toml"})
# What the frameworks and Python write themselves, besides hidden folders (.cache, .venv).
_SKIPPED_FOLDERS = frozenset({"__pycache__", "target", "logs", "dbt_packages"})


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was read: `size` in bytes, `mtime_ns` in nanoseconds since 1970 (UTC), `sha256`
    of the content in hexadecimal digits."""

    size: int
    mtime_ns: int
    sha256: str


def fingerprint(
    root: Path, folders: Sequence[Path], previous: Mapping[str, SourceFile] | None = None
) -> dict[str, SourceFile]:
    """The files below `folders` that can change a graph.

    Args:
        root: The folder of transform.yaml. Relative folders are meant from here.
        folders: Folders of projects; they may overlap. One that does not exist has no files.
        previous: An earlier fingerprint. A file of the same size and mtime is not read again.

    Returns:
        By path, sorted: relative to `root` (with `/`) where the file lies below it, else absolute.
        Hidden files and folders do not count, nor does what the frameworks generate.

    Raises:
        SourceFileError: A file or folder can't be read.
    """
    base = os.path.abspath(root)
    recorded = previous or {}
    found: dict[str, SourceFile] = {}
    for folder in folders:
        for path in _walk(os.path.abspath(os.path.join(base, folder)), frozenset()):
            key = _key(path, base)
            if key not in found:
                file = _read(path, recorded.get(key))
                if file is not None:
                    found[key] = file
    return dict(sorted(found.items()))


def difference(previous: Mapping[str, SourceFile], current: Mapping[str, SourceFile]) -> list[str]:
    """What differs, for people, by path: `changed models/a.sql`, `added ...`, `removed ...`.

    Only content counts: a fresh checkout has other mtimes and is not different.
    """
    lines: list[str] = []
    for path in sorted(previous.keys() | current.keys()):
        if path not in current:
            lines.append(f"removed {path}")
        elif path not in previous:
            lines.append(f"added {path}")
        elif previous[path].sha256 != current[path].sha256:
            lines.append(f"changed {path}")
    return lines


def _walk(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Paths of the files that count. Symbolic links are followed; `above` holds the folders on the
    way down, so that a link to one of them ends the walk there."""
    try:
        status = os.stat(folder)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SourceFileError(folder, error.strerror or str(error)) from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        # os.path's tests say no where a link leads nowhere, and keep pipes from being opened.
        if os.path.isdir(entry.path):
            if entry.name not in _SKIPPED_FOLDERS:
                yield from _walk(entry.path, above | {identity})
        elif _counts(entry.name) and os.path.isfile(entry.path):
            yield entry.path


def _counts(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in _SUFFIXES


def _key(path: str, base: str) -> str:
    below = base if base.endswith(os.sep) else base + os.sep
    return (path[len(below) :] if path.startswith(below) else path).replace(os.sep, "/")


def _read(path: str, recorded: SourceFile | None) -> SourceFile | None:
    """The file, or None if it was removed since the folder was listed."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if (
                recorded is not None
                and recorded.size == status.st_size
                and recorded.mtime_ns == status.st_mtime_ns
            ):
                return recorded
            sha256 = hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceFileError(path, error.strerror or str(error)) from error
    return SourceFile(status.st_size, status.st_mtime_ns, sha256)
