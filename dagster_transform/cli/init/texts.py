"""What the files say that `init` writes. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from dagster_transform.cli.init.finding import FoundProject

_HEAD = """\
# What dagster-transform runs. Paths are relative to this file.
# All keys, with examples: docs/transform-yaml.md of dagster-transform.
projects:
"""
_PLAN = {
    "never": "never   # `auto`: a run plans and applies changed model files by itself",
    "auto": "auto   # a run plans and applies changed model files; `never` where people review "
    "plans",
}


def transform_yaml(projects: Sequence[FoundProject], root: Path, *, plan: str = "never") -> str:
    """transform.yaml for projects.

    Args:
        projects: At least one.
        root: The folder of transform.yaml.
        plan: Of the SQLMesh projects.
    """
    return _HEAD + "".join(line for project in projects for line in _project(project, root, plan))


def _project(project: FoundProject, root: Path, plan: str) -> Iterator[str]:
    yield f"  {project.name}:\n"
    yield f"    framework: {project.framework}\n"
    yield f"    path: {_path(project.folder, root)}\n"
    if project.framework == "sqlmesh":
        yield "    environment: prod   # what is promoted there is what runs build\n"
        yield f"    plan: {_PLAN[plan]}\n"
        return
    if project.profiles is not None:
        yield f"    profiles_dir: {_path(project.profiles, root)}\n"
    yield '    cron: "@daily"   # when nodes are due that say nothing of their own\n'


def _path(path: Path, root: Path) -> str:
    """A path as YAML has it: in quotes where YAML would read something else into it, and without a
    variable in it."""
    text = path.relative_to(root).as_posix().replace("${", "$${")
    try:
        plain = yaml.safe_load(text) == text
    except yaml.YAMLError:
        plain = False
    return text if plain else json.dumps(text, ensure_ascii=False)


def definitions_py(to_root: str = "Path(__file__).parent") -> str:
    """The module that Dagster loads.

    Args:
        to_root: A Python expression for the folder of transform.yaml.
    """
    return f'''\
"""What Dagster loads: the assets, checks, jobs and schedules of transform.yaml."""

from pathlib import Path

import dagster as dg
from dagster_transform import build_transform_definitions

defs = dg.Definitions.merge(
    build_transform_definitions({to_root} / "transform.yaml"),
    dg.Definitions(assets=[]),  # your Python assets
)
'''


def defs_module(to_root: str) -> str:
    """The same for a project of Dagster's `dg`, which loads every module below its `defs` folder
    and merges what it finds there."""
    return f'''\
"""The assets, checks, jobs and schedules of transform.yaml."""

from pathlib import Path

from dagster_transform import build_transform_definitions

defs = build_transform_definitions({to_root} / "transform.yaml")
'''
