"""Files and folders that only this process's user can read: what may hold data or credentials."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner can use, if there is none; those above it as usual.

    Raises:
        OSError: It can't be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_FOLDER, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises:
        OSError: It can't be written; what was there is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8", opener=_private) as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def create_private(path: Path) -> None:
    """Make an empty file that only its owner can read, if there is none.

    Raises:
        OSError: It can't be made.
    """
    os.close(_private(str(path), os.O_CREAT | os.O_RDWR))


def make_private(path: Path) -> None:
    """Let only its owner use a file, or a folder and all that is in it, as far as that is possible.

    Links are not followed.
    """
    for folder, _, names in os.walk(path):
        with suppress(OSError):
            os.chmod(folder, _FOLDER)
        for name in names:
            file = os.path.join(folder, name)
            with suppress(OSError):
                if not os.path.islink(file):
                    os.chmod(file, _FILE)
    if path.is_file() and not path.is_symlink():
        with suppress(OSError):
            path.chmod(_FILE)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE)
