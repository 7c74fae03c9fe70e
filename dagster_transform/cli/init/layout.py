"""Where definitions go in a folder: beside transform.yaml, or where its pyproject.toml says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

from dagster_transform.cli.init.texts import definitions_py, defs_module

DEFINITIONS = "definitions.py"
_IN_DG = "transform.py"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a folder's definitions are loaded.

    Attributes:
        file: The module that `init` writes; None: the folder has one of its own already, which
            pyproject.toml names.
        text: What it says.
        start: The command that opens Dagster's UI on it.
        merge_into: The module that pyproject.toml names, where there is one.
    """

    file: Path | None
    text: str
    start: str
    merge_into: str = ""


def layout_of(root: Path) -> Layout:
    """How the definitions of a folder are loaded; its pyproject.toml may say it, or be damaged."""
    tool = _tool(root / "pyproject.toml")
    if (defs := _defs_folder(root, tool.get("dg"))) is not None:
        file = defs / _IN_DG
        up = len(file.relative_to(root).parts) - 1
        return Layout(file, defs_module(f"Path(__file__).parents[{up}]"), "dg dev")
    if isinstance(dagster := tool.get("dagster"), dict):
        module = str(dagster.get("module_name") or dagster.get("python_file") or "")
        if module:
            return Layout(None, definitions_py(), "dagster dev", module)
    return Layout(root / DEFINITIONS, definitions_py(), f"dagster dev -f {DEFINITIONS}")


def _tool(path: Path) -> Mapping[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _defs_folder(root: Path, dg: Any) -> Path | None:
    """The folder that `dg` loads, of a project of its own; None: this is none."""
    project = dg.get("project") if isinstance(dg, dict) else None
    if not isinstance(project, dict) or not isinstance(project.get("root_module"), str):
        return None
    module = project.get("defs_module") or f"{project['root_module']}.defs"
    parts = str(module).split(".")
    for base in (root / "src", root):
        if (base / parts[0]).is_dir():
            return base.joinpath(*parts)
    return (root / "src").joinpath(*parts)
