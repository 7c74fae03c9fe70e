"""Finding the dbt and SQLMesh projects below a folder, without running any code of theirs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

_NEVER = frozenset(
    {
        "node_modules", "site-packages", "__pycache__", "target", "dbt_packages", "dbt_modules",
        "venv", "env", "virtualenv", "logs", "build", "dist",
    }
)  # fmt: skip
"""Names of folders that hold copies of other people's projects, or what is made of one's own."""
_DEEPEST = 6
_DBT = "dbt_project.yml"
_PROFILES = "profiles.yml"
_SQLMESH_YAML = ("config.yaml", "config.yml", "sqlmesh.yaml", "sqlmesh.yml")
_SQLMESH_PYTHON = "config.py"
# Not parsed: SQLMesh renders its YAML with Jinja first. These keys no other tool's config has.
_OF_SQLMESH = re.compile(
    r"^(gateways|default_gateway|model_defaults|default_connection)\s*:", re.MULTILINE
)
_IMPORTS_SQLMESH = re.compile(r"^\s*(from|import)\s+sqlmesh\b", re.MULTILINE)
# A module that imports it, or a component of it in a defs.yaml.
_OF_ANOTHER = re.compile(
    r"^\s*(?:from|import|type\s*:)\s*['\"]?(dagster_dbt|dagster_sqlmesh|dg_sqlmesh)\b", re.MULTILINE
)
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
_PROFILE = re.compile(r"^profile\s*:\s*['\"]?([^'\"#\n]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FoundProject:
    """A project of a framework.

    Attributes:
        name: For transform.yaml: an identifier, unique among those that were found.
        framework: `dbt` or `sqlmesh`.
        folder: Where it is, below the folder that was searched.
        profiles: Of dbt, the folder of profiles.yml where dbt would not look by itself; or None.
        remark: What a person should know of it; "".
    """

    name: str
    framework: str
    folder: Path
    profiles: Path | None = None
    remark: str = ""


def find_projects(root: Path) -> list[FoundProject]:
    """The projects in and below a folder, dbt's first, then by folder.

    What lies inside a project of the same framework is a part of it (a package of dbt's, say), and
    no project of its own; virtual environments and folders of packages are not looked into.
    """
    dbt: list[Path] = []
    sqlmesh: list[Path] = []
    profiles: list[Path] = []
    for folder, names in _folders(root):
        if _DBT in names and not _inside(folder, dbt):
            dbt.append(folder)
        if _is_sqlmesh(folder, names) and not _inside(folder, sqlmesh):
            sqlmesh.append(folder)
        if _PROFILES in names:
            profiles.append(folder)
    taken: set[str] = set()
    found: list[FoundProject] = []
    for folder in dbt:
        where, remark = _profiles_of(folder, profiles)
        if folder in sqlmesh:
            remark = f"SQLMesh has a config there too: {_BOTH}"
        found.append(FoundProject(_named(folder, taken), "dbt", folder, where, remark))
    found += [
        FoundProject(_named(folder, taken), "sqlmesh", folder)
        for folder in sqlmesh
        if folder not in dbt
    ]
    return found


def other_integrations(root: Path) -> dict[str, Path]:
    """Packages that make assets of dbt's or SQLMesh's projects and that something in or below a
    folder uses: by name (`dagster-dbt`), the first file that does, relative to the folder."""
    found: dict[str, Path] = {}
    for folder, names in _folders(root):
        for name in sorted(names):
            if not name.endswith((".py", ".yaml", ".yml")):
                continue
            for each in _OF_ANOTHER.findall(_text(folder / name)):
                found.setdefault(each.replace("_", "-"), (folder / name).relative_to(root))
    return found


_BOTH = "say `framework: sqlmesh` where SQLMesh is to run its dbt models"


def _folders(root: Path) -> Iterator[tuple[Path, Collection[str]]]:
    """All folders that may have a project, with the names of their files."""
    for path, folders, files in os.walk(root):
        here = Path(path)
        deep = len(here.relative_to(root).parts) >= _DEEPEST
        folders[:] = [] if deep else sorted(name for name in folders if _may_have(here, name))
        yield here, frozenset(files)


def _may_have(parent: Path, name: str) -> bool:
    if name in _NEVER or name.startswith(".") or name.endswith(".egg-info"):
        return False
    with suppress(OSError):
        return not (parent / name / "pyvenv.cfg").exists()
    return False


def _inside(folder: Path, others: Sequence[Path]) -> bool:
    return any(other in folder.parents for other in others)


def _is_sqlmesh(folder: Path, names: Collection[str]) -> bool:
    if any(name in names and _has(folder / name, _OF_SQLMESH) for name in _SQLMESH_YAML):
        return True
    return _SQLMESH_PYTHON in names and _has(folder / _SQLMESH_PYTHON, _IMPORTS_SQLMESH)


def _has(path: Path, pattern: re.Pattern[str]) -> bool:
    return pattern.search(_text(path)) is not None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _profiles_of(folder: Path, profiles: Sequence[Path]) -> tuple[Path | None, str]:
    """Where the profile of a dbt project is, if dbt does not find it by itself; and a remark where
    nobody knows."""
    wanted = _PROFILE.search(_text(folder / _DBT))
    name = wanted[1].strip() if wanted else ""
    if folder in profiles:
        return None, ""
    given = os.environ.get("DBT_PROFILES_DIR", "").strip()
    usual = Path(given) if given else Path.home() / ".dbt"
    if _has_profile(usual, name):
        return None, ""
    near = sorted(profiles, key=lambda each: (_distance(each, folder), each))
    for each in near:
        if _has_profile(each, name):
            return each, ""
    what = f"the profile {name!r}" if name else "a profile"
    return None, f"no profiles.yml has {what}: write one into its folder"


def _has_profile(folder: Path, name: str) -> bool:
    path = folder / _PROFILES
    if not path.is_file():
        return False
    try:
        found = yaml.safe_load(_text(path))
    except yaml.YAMLError:
        return name in _text(path)  # with Jinja in it
    return not name or (isinstance(found, dict) and name in found)


def _distance(one: Path, other: Path) -> int:
    common = len(os.path.commonpath([one, other]))
    return len(str(one)) + len(str(other)) - 2 * common


def _named(folder: Path, taken: set[str]) -> str:
    """A name for transform.yaml: that of the folder, as an identifier that nobody else has."""
    name = _NOT_IN_A_NAME.sub("_", folder.name).strip("_") or "project"
    if name[0].isdigit():
        name = f"_{name}"
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    taken.add(unique)
    return unique
