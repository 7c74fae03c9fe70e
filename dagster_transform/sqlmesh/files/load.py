"""From the files of a SQLMesh project, and what its state knows of them, to a graph file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dagster_transform.config import SqlmeshProject
from dagster_transform.graph import Check, Graph, GraphFile, SourceFile
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.files.checks import model_checks, standalone_checks
from dagster_transform.sqlmesh.files.drift import find_drift
from dagster_transform.sqlmesh.files.environment_views import EnvironmentViews
from dagster_transform.sqlmesh.files.nodes import NodesAndSources
from dagster_transform.sqlmesh.files.own_models import OwnModels
from dagster_transform.sqlmesh.gateways import Gateways
from dagster_transform.sqlmesh.project import opened


def load_project(
    name: str,
    project: SqlmeshProject,
    paths: list[str],
    *,
    root: Path,
    sources: Mapping[str, SourceFile],
) -> GraphFile:
    """Read a project.

    Args:
        name: Its name in transform.yaml.
        project: Its configuration.
        paths: Its folders, resolved.
        root: Folder of transform.yaml: locations below it are relative to it.
        sources: Fingerprint of the files, taken before they are read.

    Raises:
        SqlmeshError: The project can't be loaded, or its database can't be reached.
        GraphError: Its models don't make a graph (a cycle).
    """
    with opened(name, project, paths) as context:
        state = _compat.load_files(context)
        return _read(
            name,
            context,
            state,
            environment=project.environment,
            root=root,
            sources=sources,
            column_lineage=project.column_lineage,
        )


def read_loaded(
    name: str,
    context: Any,
    *,
    environment: str,
    root: Path,
    sources: Mapping[str, SourceFile],
    column_lineage: bool = True,
) -> GraphFile:
    """Read a project that is loaded already (see `_compat.existing_state` about its state).

    Args:
        name: Its name in transform.yaml.
        context: A sqlmesh Context with its models.
        environment: The environment that the graph is about.
        root: Folder of transform.yaml: locations below it are relative to it.
        sources: Fingerprint of the files, taken before they were read.
        column_lineage: Whether to find out what each column is computed from.

    Raises:
        Exception: Whatever the state's driver raises.
        GraphError: The models don't make a graph (a cycle).
    """
    return _read(
        name,
        context,
        _compat.existing_state(context),
        environment=environment,
        root=root,
        sources=sources,
        column_lineage=column_lineage,
    )


def _read(
    name: str,
    context: Any,
    state: Any | None,
    *,
    environment: str,
    root: Path,
    sources: Mapping[str, SourceFile],
    column_lineage: bool,
) -> GraphFile:
    models = OwnModels(context)
    views = EnvironmentViews(context, Gateways(context), environment, state)
    snapshots = _compat.unversioned_snapshots(context, {**models.all, **context.standalone_audits})
    found = NodesAndSources(
        name, context, models, views, snapshots, root=root, column_lineage=column_lineage
    )
    nodes, read = list(found.nodes()), found.sources()
    checks: list[Check] = []
    for model in models.built.values():
        checks += model_checks(name, found.id_of(model), model, found.locate)
    for model in models.declared:
        checks += model_checks(name, found.id_declared(model), model, found.locate)
    graph = Graph.of(nodes, read, checks)
    alone = [(audit, found.ids_read(audit)) for audit in models.audits]
    checks += standalone_checks(name, alone, graph, found.locate)
    return GraphFile(
        graph=Graph.of(nodes, read, checks),
        project=name,
        environment=environment,
        plan_id=views.record.plan_id if views.record else None,
        drift=find_drift(context, state, views.record, snapshots),
        written_by={
            "dagster-transform": version("dagster-transform"),
            "sqlmesh": version("sqlmesh"),
        },
        sources_digest=sources,
    )
