"""What the blocks of the documentation that are not run are held to: YAML by its kind, SQL, JSON,
TOML, diagrams."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tomllib
import yaml

from dagster_transform.config import TransformConfig, load_config
from dagster_transform.config.job_group_file import parse_job_group_file
from tests.support.document_projects import prepared_project
from tests.support.documents import Block, PageError

_VARIABLE = re.compile(r"\$\{(\w+)(?::-[^}]*)?\}")
_RUN_CONFIG = {"ops", "resources", "execution", "loggers"}
_DBT = {"version", "models", "sources", "seeds", "snapshots", "groups", "unit_tests", "data_tests"}


def check_yaml(block: Block) -> None:
    """Raises PageError: it is of no kind that is known here, or not what its kind demands."""
    found = yaml.safe_load(block.text)
    kind = block.markers.get("yaml") or _kind(found, block.markers.get("file", ""))
    if kind is None:
        raise PageError(f"{block.place}: of which kind is it? <!-- yaml: {' | '.join(_KINDS)} -->")
    try:
        _KINDS[kind](block.text, found)
    except Exception as error:
        raise PageError(f"{block.place}: as {kind}: {error}") from error


def _kind(found: Any, file: str) -> str | None:
    name = Path(file).name
    if name in {"dagster.yaml", "workspace.yaml"}:
        return name
    if isinstance(found, Mapping):
        if set(found) == {"job_groups"} and all(
            isinstance(group, Mapping) and ("nodes" in group or "select" in group)
            for group in found["job_groups"].values()
        ):
            return "job groups"
        if found and set(found) <= set(TransformConfig.model_fields):
            return "transform"
        if found and set(found) <= _RUN_CONFIG:
            return "run config"
    return "file" if file else None


def _transform(text: str, found: Any) -> None:
    """A part of it is put beside no projects at all; folders that it names are made."""
    if "projects" not in found:
        text = f"projects: {{}}\n{text}"
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name in _VARIABLE.findall(text):
            patch.setenv(name, "https://example.com/x" if "URL" in name else "")
        for project in (found.get("projects") or {}).values():
            paths = project["path"] if isinstance(project["path"], list) else [project["path"]]
            for path in (*paths, project.get("profiles_dir", ".")):
                (Path(folder) / path).mkdir(parents=True, exist_ok=True)
        file = Path(folder) / "transform.yaml"
        file.write_text(text, encoding="utf-8")
        load_config(file)


def _project(text: str, found: Any) -> None:
    """Settings of one project."""
    framework = found.get("framework") or ("dbt" if "profiles_dir" in found else "sqlmesh")
    whole = {"framework": framework, "path": "p", **found}
    _transform(yaml.safe_dump({"projects": {"p": whole}}), {"projects": {"p": whole}})


def _job_groups(text: str, found: Any) -> None:
    parse_job_group_file(text, Path("job_groups.yaml"))


def _run_config(text: str, found: Any) -> None:
    """Of the job that has the op, or of the implicit one, of the project that pages are about."""
    import dagster as dg

    repository = _definitions().get_repository_def()
    jobs = repository.get_all_jobs()
    wanted = set(found.get("ops", {}))
    for job in jobs:
        if wanted <= {node.name for node in job.nodes} and (wanted or job.name == "__ASSET_JOB"):
            dg.validate_run_config(job, found)
            return
    raise PageError(f"no job has the ops {sorted(wanted)}")


@cache
def _definitions() -> Any:
    from dagster_transform import build_transform_definitions

    return build_transform_definitions(prepared_project("both"))


def _dbt(text: str, found: Any) -> None:
    if not set(found) <= _DBT:
        raise PageError(f"dbt has no {sorted(set(found) - _DBT)}")


def _dagster(text: str, found: Any) -> None:
    """Whether Dagster would take it for an instance's; nothing is connected to."""
    from dagster._core.instance.config import dagster_instance_config

    with TemporaryDirectory() as folder:
        (Path(folder) / "dagster.yaml").write_text(text, encoding="utf-8")
        dagster_instance_config(folder)


def _workspace(text: str, found: Any) -> None:
    from dagster._config import process_config
    from dagster._core.workspace.config_schema import WORKSPACE_CONFIG_SCHEMA

    done = process_config(WORKSPACE_CONFIG_SCHEMA, found)
    if not done.success:
        raise PageError(str(done.errors))


_KINDS: Mapping[str, Callable[[str, Any], None]] = {
    "transform": _transform,
    "project": _project,
    "job groups": _job_groups,
    "run config": _run_config,
    "dbt": _dbt,
    "dagster.yaml": _dagster,
    "workspace.yaml": _workspace,
    "file": lambda text, found: None,  # the commands after it read it
}


def check_sql(block: Block) -> None:
    """SQLMesh's own syntax too; of dbt's templates, whether Jinja takes them."""
    if "{{" in block.text or "{%" in block.text:
        import jinja2

        jinja2.Environment().parse(block.text)
        return
    from dagster_transform.sqlmesh._compat import import_sqlmesh

    import_sqlmesh()
    from sqlmesh.core.dialect import parse

    parse(block.text, default_dialect="duckdb")


def check_json(block: Block) -> None:
    json.loads(block.text)


def check_toml(block: Block) -> None:
    tomllib.loads(block.text)


def check_diagram(block: Block) -> None:
    if not re.match(r"(flowchart|graph|sequenceDiagram|stateDiagram-v2)\b", block.text):
        raise PageError(f"{block.place}: no diagram that Mermaid knows")


CHECKED: Mapping[str, Callable[[Block], None]] = {
    "yaml": check_yaml,
    "sql": check_sql,
    "json": check_json,
    "toml": check_toml,
    "mermaid": check_diagram,
}
"""By the language of a block."""
