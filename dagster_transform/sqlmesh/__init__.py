"""SQLMesh's side: the only place that imports sqlmesh.

Importing this package does not; the functions below do, once they are called. Its names are
imported when they are first used: definitions that only load need none of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster_transform.config import SqlmeshProject
    from dagster_transform.databases.backends import BackendId
    from dagster_transform.graph import Graph, GraphFile, SourceFile
    from dagster_transform.sqlmesh.janitor.report import Sweep
    from dagster_transform.sqlmesh.plans.explanation import PlanExplanation, PlanRequest
    from dagster_transform.sqlmesh.plans.proposal import Proposal
    from dagster_transform.sqlmesh.settings import HooksOfRun, Restatement, SqlmeshSettings
    from dagster_transform.walk import ProjectRun, SharedResources

_HOMES = {
    "HooksOfRun": "settings",
    "PlanExplanation": "plans.explanation",
    "PlanRequest": "plans.explanation",
    "Restatement": "settings",
    "SqlmeshSettings": "settings",
}

__all__ = [
    "HooksOfRun",
    "PlanExplanation",
    "PlanRequest",
    "Restatement",
    "SqlmeshSettings",
    "end_backends",
    "finish_run",
    "import_early",
    "import_now",
    "make_project_run",
    "project_shared_resources",
    "propose_plan",
    "read_project",
    "sweep_project",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def _import_sqlmesh() -> None:
    from dagster_transform.sqlmesh._compat import import_sqlmesh

    import_sqlmesh()


def read_project(
    name: str,
    project: SqlmeshProject,
    paths: list[str],
    *,
    root: Path,
    sources: Mapping[str, SourceFile],
) -> GraphFile:
    """Read a project into a graph file's content; see `load.load_project`."""
    _import_sqlmesh()
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
    _import_sqlmesh()
    from dagster_transform.sqlmesh.project import opened
    from dagster_transform.sqlmesh.runs.resource_keys import shared_resources_of

    with opened(name, project, settings.paths) as context:
        return shared_resources_of(context, settings, alone=alone)


def import_now() -> None:
    """Import SQLMesh, and what opening a project and a run of it import besides.

    Raises:
        SqlmeshMissingError: It can't be imported.
    """
    _import_sqlmesh()
    import_module(f"{__name__}.runs.project_run")


def import_early() -> None:
    """Import SQLMesh, and what opening a project imports besides, on a thread of its own; whoever
    needs it next waits for that, or hears what went wrong.

    It takes more than a second of computing, and a process that is about to execute a run waits
    meanwhile for Dagster's storage, for servers and for the disk.
    """

    def load() -> None:
        with suppress(Exception):
            import_now()

    threading.Thread(target=load, name="import-sqlmesh", daemon=True).start()


def make_project_run(
    name: str,
    project: SqlmeshProject,
    graph: Graph,
    settings: SqlmeshSettings,
    log: Callable[[str, str], None] = lambda _, __: None,
) -> ProjectRun:
    """One run of one project; see `project_run.SqlmeshProjectRun`."""
    _import_sqlmesh()
    from dagster_transform.sqlmesh.project import OpenProject
    from dagster_transform.sqlmesh.runs.project_run import SqlmeshProjectRun

    opened = OpenProject(name, project, settings.paths)
    return SqlmeshProjectRun(opened, graph, settings, log=log)


def end_backends(
    name: str, project: SqlmeshProject, paths: Sequence[str], backends: Collection[BackendId]
) -> frozenset[BackendId]:
    """End backends of other runs on servers that a project reaches; see `runs.backends`.

    Raises:
        SqlmeshError: The project's configuration or its database can't be used.
        BackendsRemainError: Some do not end.
    """
    _import_sqlmesh()
    from dagster_transform.sqlmesh.project import opened
    from dagster_transform.sqlmesh.runs import backends as of_project

    with opened(name, project, paths, "can't end the backends of a run") as context:
        return of_project.end_backends(context, backends)


def finish_run(name: str, project: SqlmeshProject, graph: Graph, settings: SqlmeshSettings) -> None:
    """Run after_all for a run whose last op never came; `settings.hooks` says whether it is due.

    Raises:
        SqlmeshError: It failed, or the environment can't be read.
    """
    run = make_project_run(name, project, graph, replace(settings, last=True))
    assessed = False
    try:
        run.assess((), ())
        assessed = True
    finally:
        run.close(completed=assessed)


def propose_plan(
    name: str, project: SqlmeshProject, settings: SqlmeshSettings, request: PlanRequest
) -> Proposal:
    """Make and explain the plan of a project, and change nothing; see `proposal.propose`."""
    _import_sqlmesh()
    from dagster_transform.sqlmesh.plans.proposal import propose

    return propose(name, project, settings, request)


def sweep_project(
    name: str, project: SqlmeshProject, paths: list[str], *, now: datetime, ignore_ttl: bool = False
) -> Sweep:
    """Drop what has expired; see `janitor.sweep`."""
    _import_sqlmesh()
    from dagster_transform.sqlmesh.janitor.sweep import sweep

    return sweep(name, project, paths, now=now, ignore_ttl=ignore_ttl)
