"""`dg scaffold defs dagster_transform.TransformComponent NAME`."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from dagster.components import Scaffolder, ScaffoldRequest, scaffold_component
from pydantic import BaseModel, Field

from dagster_transform.config.ignored_files import generated, ignore
from dagster_transform.dagster.component.errors import ScaffoldError

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
_PYTHON = """\
import dagster as dg
from dagster_transform import TransformComponent, load_config


@dg.component_instance
def load(context: dg.ComponentLoadContext) -> TransformComponent:
    return TransformComponent(config=load_config(context.path / "transform.yaml"))
"""


class TransformScaffoldParams(BaseModel):
    """What may be said on the command line; the rest is written into the file."""

    sqlmesh_path: str | None = Field(
        default=None, description="Folder of a SQLMesh project (config.yaml or config.py)."
    )
    dbt_path: str | None = Field(
        default=None, description="Folder of a dbt project (dbt_project.yml)."
    )
    environment: str | None = Field(
        default=None, description="Environment of the SQLMesh project; prod by default."
    )
    target: str | None = Field(
        default=None, description="Target of the dbt project; the profile's by default."
    )


class TransformScaffolder(Scaffolder[TransformScaffoldParams]):
    """Writes a defs.yaml with the projects that are named."""

    @classmethod
    def get_scaffold_params(cls) -> type[TransformScaffoldParams]:
        """The options of the command."""
        return TransformScaffoldParams

    def scaffold(self, request: ScaffoldRequest[TransformScaffoldParams]) -> None:
        """Write the file, and have git ignore what is generated.

        Raises:
            ScaffoldError: A folder is no project.
        """
        attributes = {"projects": _projects(request)}
        if request.scaffold_format == "yaml":
            scaffold_component(request, attributes)
        else:
            import yaml

            (request.target_path / "component.py").write_text(_PYTHON, encoding="utf-8")
            text = yaml.safe_dump(attributes, sort_keys=False)
            (request.target_path / "transform.yaml").write_text(text, encoding="utf-8")
        _ignore(request)


def _projects(request: ScaffoldRequest[TransformScaffoldParams]) -> dict[str, Any]:
    params = request.params
    found: dict[str, Any] = {}
    for framework, path, said in (
        ("dbt", params.dbt_path, {"target": params.target}),
        ("sqlmesh", params.sqlmesh_path, {"environment": params.environment}),
    ):
        if path is None:
            continue
        folder = Path(path).absolute()
        if not any((folder / name).is_file() for name in _FILES[framework]):
            raise ScaffoldError(
                f"{path} is no {framework} project: it has no {' or '.join(_FILES[framework])}.",
                remedy=f"Give the folder of the project: --{framework}-path FOLDER.",
            )
        name = _name_of(folder)
        while name in found:
            name = f"{name}_{framework}"
        found[name] = {
            "framework": framework,
            "path": _written(folder, request),
            **{key: value for key, value in said.items() if value},
        }
    return found


def _ignore(request: ScaffoldRequest[TransformScaffoldParams]) -> None:
    """Lines for the .gitignore of the project of dg. Nothing depends on it: what can't be changed
    stays as it is."""
    if request.project_root is None:
        return
    root = request.project_root.absolute()
    named = (("dbt", request.params.dbt_path), ("sqlmesh", request.params.sqlmesh_path))
    projects = [(framework, Path(path).absolute()) for framework, path in named if path is not None]
    with suppress(OSError, ValueError):
        ignore(root, generated(root, projects))


_FILES = {"dbt": ("dbt_project.yml",), "sqlmesh": ("config.yaml", "config.yml", "config.py")}


def _name_of(folder: Path) -> str:
    name = _NOT_A_NAME.sub("_", folder.name).strip("_") or "project"
    return f"_{name}" if name[0].isdigit() else name


def _written(folder: Path, request: ScaffoldRequest[TransformScaffoldParams]) -> str:
    """A path that holds wherever the project of dg is; in Python's transform.yaml there are no
    templates, so from its folder."""
    root = None if request.project_root is None else request.project_root.absolute()
    if root is None or not folder.is_relative_to(root):
        return str(folder)
    if request.scaffold_format == "yaml":
        return f"{{{{ context.project_root }}}}/{folder.relative_to(root).as_posix()}"
    return Path(os.path.relpath(folder, request.target_path.absolute())).as_posix()
