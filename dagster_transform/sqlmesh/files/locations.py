"""Where models and audits are written."""

from __future__ import annotations

import re
from pathlib import Path

from dagster_transform.graph import Location


class Locations:
    """Finds names in files, each of which is read once.

    Args:
        root: Folder of transform.yaml: paths below it are relative to it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[Path, str] = {}

    def find(self, path: Path | None, name: str) -> Location | None:
        """The first line of a file that has the name; its first line where none has it (a blueprint
        makes names of parts). None for what no file holds, such as SQLMesh's own audits."""
        if path is None or not path.name:
            return None
        resolved = path.resolve()
        text = self._texts.get(resolved)
        if text is None:
            text = self._texts[resolved] = resolved.read_text(encoding="utf-8", errors="replace")
        found = re.search(rf"\b{re.escape(name)}\b", text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        below = resolved.is_relative_to(self._root)
        return Location(str(resolved.relative_to(self._root) if below else resolved), line)
