"""dbt's side: the only place that imports dbt.

Importing this package does not, nor do the functions below: dbt runs in child processes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from dagster_transform.dbt.runs.settings import KEPT_RUNS, DbtSettings, InvocationOfRun

if TYPE_CHECKING:
    from dagster_transform.config import DbtProject
    from dagster_transform.dbt.runs.project_run import DbtProjectRun, Logger
    from dagster_transform.graph import Graph, GraphFile, SourceFile

__all__ = [
    "KEPT_RUNS",
    "DbtSettings",
    "InvocationOfRun",
    "end_backends",
    "expect_no_run",
    "expect_run",
    "install_packages",
    "make_project_run",
    "read_project",
]


def expect_run(artifacts: Path) -> None:
    """A run is about to begin in this process, which may need dbt; see `spawn.spawn_ahead`.

    Args:
        artifacts: The folder where `prepare` keeps a project's artifacts.
    """
    from dagster_transform.dbt.runs.spawn import spawn_ahead

    spawn_ahead(artifacts / "partial_parse.msgpack")


def expect_no_run() -> None:
    """The run needs no dbt; see `spawn.dismiss`."""
    from dagster_transform.dbt.runs.spawn import dismiss

    dismiss()


def make_project_run(name: str, graph: Graph, settings: DbtSettings, log: Logger) -> DbtProjectRun:
    """A session for one run of one project; see `session.DbtProjectRun`."""
    from dagster_transform.dbt.runs.project_run import DbtProjectRun

    return DbtProjectRun(name, graph, settings, log)


def end_backends(
    name: str, project: DbtProject, graph: Graph, *, artifacts: Path, sessions: Collection[str]
) -> frozenset[str]:
    """End what runs have left on the server that a project reaches; dbt is started where there is
    something to end there.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        graph: Its graph.
        artifacts: The folder where `prepare` keeps the project's artifacts.
        sessions: As `backends.backend_id`.

    Returns:
        Those that are not there any more.

    Raises:
        DbtError: The project can't be loaded, the server can't be reached, or it refuses.
        BackendsRemainError: Some do not end.
    """
    settings = DbtSettings(
        folder=project.path,
        runs=artifacts / "runs",
        run=f"ends-{uuid4().hex}",
        target=project.target,
        profiles_dir=project.profiles_dir,
    )
    session = make_project_run(name, graph, settings, lambda _, __: None)
    try:
        return frozenset(session.end_backends(sessions))
    finally:
        session.close(completed=False)


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
    facts = parse(kept, project, sources=sources)
    return load_manifest(read_manifest(kept), facts, project, root=root, sources=sources)
