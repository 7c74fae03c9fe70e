"""SQLMesh's side: the only place that imports sqlmesh.

Importing this package does not; the functions below do, once they are called.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_transform.sqlmesh._compat import import_sqlmesh
from dagster_transform.sqlmesh.plans.explanation import PlanExplanation, PlanRequest
from dagster_transform.sqlmesh.settings import Restatement, SqlmeshSettings, HooksOfRun

if TYPE_CHECKING:
    from dagster_transform.config import SqlmeshProject
    from dagster_transform.graph import Graph, GraphFile, SourceFile
    from dagster_transform.sqlmesh.plans.proposal import Proposal
    from dagster_transform.sqlmesh.sweep import Sweep
    from dagster_transform.walk import SharedResources, ProjectRun

__all__ = [
    "PlanExplanation",
    "PlanRequest",
    "Restatement",
    "SqlmeshSettings",
    "HooksOfRun",
    "end_backends",
    "finish_run",
    "project_shared_resources",
    "make_project_run",
    "propose_plan",
    "read_project",
    "sweep_project",
]


def read_project(
    name: str,
    project: SqlmeshProject,
    paths: list[str],
    *,
    root: Path,
    sources: Mapping[str, SourceFile],
) -> GraphFile:
    """Read a project into a graph file's content; see `load.load_project`."""
    import_sqlmesh()
    from dagster_transform.sqlmesh.files.load import load_project

    return load_project(name, project, paths, root=root, sources=sources)


def project_shared_resources(
    name: str, project: SqlmeshProject, settings: SqlmeshSettings, *, alone: bool
) -> SharedResources:
    """What working on a project's environment shares with runs; opens no connection.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        settings: Its environment and paths.
        alone: Whether nobody else may use the environment meanwhile.

    Raises:
        SqlmeshError: The project's configuration can't be used.
    """
    import_sqlmesh()
    from dagster_transform.sqlmesh import _compat
    from dagster_transform.sqlmesh.project import clear_errors, open_context
    from dagster_transform.sqlmesh.runs import claiming

    context = open_context(name, project, settings.paths, load=False)
    try:
        with clear_errors(name, settings.paths):
            return claiming.shared_resources_of(context, settings, alone=alone)
    finally:
        _compat.close_connections(context)


def make_project_run(
    name: str, project: SqlmeshProject, graph: Graph, settings: SqlmeshSettings
) -> Session:
    """A session for one run of one project; see `session.SqlmeshProjectRun`."""
    import_sqlmesh()
    from dagster_transform.sqlmesh.runs.session import SqlmeshProjectRun

    return SqlmeshProjectRun(name, project, graph, settings)


def end_backends(
    name: str, project: SqlmeshProject, paths: list[str], sessions: Collection[str]
) -> frozenset[str]:
    """End what runs have left on servers that a project reaches; see `server_sessions.end_left`.

    Raises:
        SqlmeshError: The project's configuration or its database can't be used.
        BackendsRemainError: Some do not end.
    """
    import_sqlmesh()
    from dagster_transform.sqlmesh import _compat
    from dagster_transform.sqlmesh.project import clear_errors, open_context
    from dagster_transform.sqlmesh.runs.backends import end_left

    context = open_context(name, project, paths, load=False)
    try:
        with clear_errors(name, paths, "can't end what a run left"):
            return end_left(context, sessions)
    finally:
        _compat.close_connections(context)


def finish_run(name: str, project: SqlmeshProject, graph: Graph, settings: SqlmeshSettings) -> None:
    """Run after_all for a run whose last op never came; `settings.turn` says whether it is due.

    Raises:
        SqlmeshError: It failed, or the environment can't be read.
    """
    session = make_project_run(name, project, graph, settings)
    assessed = False
    try:
        session.assess((), ())
        assessed = True
    finally:
        session.close(completed=assessed)


def propose_plan(
    name: str, project: SqlmeshProject, settings: SqlmeshSettings, request: PlanRequest
) -> Proposal:
    """Make and explain the plan of a project, and change nothing; see `proposal.propose`."""
    import_sqlmesh()
    from dagster_transform.sqlmesh.plans.proposal import propose

    return propose(name, project, settings, request)


def sweep_project(
    name: str, project: SqlmeshProject, paths: list[str], *, now: datetime, ignore_ttl: bool = False
) -> Sweep:
    """Drop what has expired; see `janitor.sweep`."""
    import_sqlmesh()
    from dagster_transform.sqlmesh.janitor import sweep

    return sweep(name, project, paths, now=now, ignore_ttl=ignore_ttl)
