"""dbt's side: the only place that imports dbt.

Importing this package does not, nor do the functions below: dbt runs in child processes. Its names
are imported when they are first used, because those processes import this package too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from dagster_transform.config import DbtProject
    from dagster_transform.databases.backends import BackendId
    from dagster_transform.dbt.runs.hooks import InvocationOfRun
    from dagster_transform.dbt.runs.project_run import DbtProjectRun, Logger
    from dagster_transform.dbt.runs.settings import (
        BuildOptions,
        DbtSettings,
        Measures,
        ProcessLimits,
        RunFolder,
    )
    from dagster_transform.dbt.runs.spawn import SpareProcess
    from dagster_transform.graph import Graph, GraphFile, SourceFile

KEPT_RUNS = 20
"""Of how many runs of a project the artifacts are kept."""

_HOMES = {
    "BuildOptions": "settings",
    "DbtSettings": "settings",
    "InvocationOfRun": "hooks",
    "Measures": "settings",
    "ProcessLimits": "settings",
    "RunFolder": "settings",
    "SpareProcess": "spawn",
}

__all__ = [
    "KEPT_RUNS",
    "BuildOptions",
    "DbtSettings",
    "InvocationOfRun",
    "Measures",
    "ProcessLimits",
    "RunFolder",
    "SpareProcess",
    "end_backends",
    "install_packages",
    "make_project_run",
    "read_project",
    "spare_process",
    "start_warm_process",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.runs.{_HOMES[name]}"), name)


def spare_process(artifacts: Path) -> SpareProcess | None:
    """A dbt process for a run that is about to begin in this process, started at once; None where
    there can't be one. See `spawn.spare_process`.

    Args:
        artifacts: The folder where `prepare` keeps a project's artifacts.
    """
    from dagster_transform.dbt.runs.spawn import spare_process as spare

    return spare(artifacts / "partial_parse.msgpack")


def start_warm_process(artifacts: Collection[Path]) -> bool:
    """Start the process of which the dbt processes of this code server's runs are forks; see
    `warm.start_warm_process`.

    Args:
        artifacts: The folders where `prepare` keeps the artifacts of the projects.
    """
    from dagster_transform.dbt.runs.spawn import environment
    from dagster_transform.dbt.runs.warm import start_warm_process as start

    return start([folder / "partial_parse.msgpack" for folder in artifacts], environment())


def make_project_run(name: str, graph: Graph, settings: DbtSettings, log: Logger) -> DbtProjectRun:
    """Dbt's side of one run of one project; see `project_run.DbtProjectRun`."""
    from dagster_transform.dbt.runs.project_run import DbtProjectRun

    return DbtProjectRun(name, graph, settings, log)


def end_backends(
    name: str,
    project: DbtProject,
    graph: Graph,
    *,
    artifacts: Path,
    backends: Collection[BackendId],
) -> frozenset[BackendId]:
    """End backends in which runs have built, on the server that a project reaches; dbt is started
    where there is something to end there.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        graph: Its graph.
        artifacts: The folder where `prepare` keeps the project's artifacts.
        backends: Of any server.

    Returns:
        Those that are not there any more.

    Raises:
        DbtError: The project can't be loaded, the server can't be reached, or it refuses.
        BackendsRemainError: Some do not end.
    """
    from dagster_transform.dbt.runs.settings import DbtSettings, RunFolder

    settings = DbtSettings(project, RunFolder(artifacts / "runs", f"ends-{uuid4().hex}"))
    project_run = make_project_run(name, graph, settings, lambda _, __: None)
    try:
        return frozenset(project_run.end_backends(backends))
    finally:
        project_run.close(completed=False)


def install_packages(name: str, project: DbtProject, *, artifacts: Path) -> bool:
    """Run `dbt deps` where that is needed; see `parse.install_packages`.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        artifacts: The folder where `prepare` keeps the project's artifacts.
    """
    from dagster_transform.dbt.files.artifacts import Artifacts
    from dagster_transform.dbt.files.parse import install_packages as install

    return install(Artifacts(name, artifacts), project)


def read_project(
    name: str,
    project: DbtProject,
    *,
    root: Path,
    artifacts: Path | None,
    sources: Mapping[str, SourceFile],
) -> GraphFile:
    """Parse a project with dbt and read it into a graph file's content.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        root: Folder of transform.yaml: locations below it are relative to it.
        artifacts: The folder where manifest.json and partial_parse.msgpack are kept for runs; None
            keeps nothing.
        sources: Fingerprint of the files, taken before.

    Raises:
        DbtError: dbt is missing, or it can't parse the project; the message says why.
        GraphError: Its nodes don't make a graph.
    """
    from dagster_transform.dbt.files.artifacts import Artifacts
    from dagster_transform.dbt.files.load import load_manifest
    from dagster_transform.dbt.files.manifest import read_manifest
    from dagster_transform.dbt.files.parse import parse

    if artifacts is None:
        with TemporaryDirectory(prefix="dagster-transform-") as folder:
            return read_project(name, project, root=root, artifacts=Path(folder), sources=sources)
    kept = Artifacts(name, artifacts)
    record = parse(kept, project, sources=sources)
    return load_manifest(read_manifest(kept), record, project, root=root, sources=sources)
