"""A folder that each test of a module finds as it was when the module's first test began.

What takes long (planning a project, parsing it, a first run) is done once; a test may then change
all that is in the folder, databases too. The path stays the same: graph files, profiles and dbt's
partial parse name it.
"""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from typing import Generic, TypeVar

from tests.support.transforms import Transform

T = TypeVar("T", bound=Transform)


class KeptFolder:
    """A folder as it is when this is made. Nobody may have a file in it open then, or at `restore`.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = folder.with_name(f"{folder.name}_as_it_was")
        _copy(folder, self._kept)

    def restore(self) -> None:
        """Make it what it was: names, contents and times of all files."""
        for path in self._folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        _copy(self._kept, self._folder)


class KeptTransform(Generic[T]):
    """A transform in its folder as it is when this is made.

    Args:
        transform: The transform; its instance is closed.
    """

    def __init__(self, transform: T) -> None:
        transform.close()
        self._transform = transform
        self._module, self._home = transform.module, transform.home
        self._kept = KeptFolder(transform.folder)
        self._homes = count(1)

    def restore(self) -> T:
        """The transform, with all files as they were.

        Its definitions and its Dagster home have other names: a process keeps the definitions of a
        file that it has loaded, and the claims store that it has opened in a home.
        """
        self._transform.close()
        self._kept.restore()
        self._transform.module = self._module
        self._transform.load_anew()
        home = self._home.with_name(f"home_{next(self._homes)}")
        self._transform.home = self._home.rename(home)
        return self._transform


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
