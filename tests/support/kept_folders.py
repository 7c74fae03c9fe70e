"""A folder that each test of a module finds as it was when the module's first test began.

What takes long (planning a project, parsing it, a first run) is done once; a test may then change
all that is in the folder, databases and Dagster home too. The path stays the same: graph files,
profiles and dbt's partial parse name it.
"""

from __future__ import annotations

import shutil
from pathlib import Path


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


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
