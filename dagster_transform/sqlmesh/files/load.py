"""From the files of a SQLMesh project, and what its state knows of them, to a graph file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dagster_transform.config import SettingError, SqlmeshProject
from dagster_transform.graph import (
    Check,
    Graph,
    GraphFile,
    Node,
    Source,
    SourceFile,
    same_key,
)
from dagster_transform.planning import keyed_sources
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.files.checks import model_checks, standalone_checks
from dagster_transform.sqlmesh.files.chosen import chosen_models
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
        SettingError: What its configuration says does not fit its files.
        GraphError: Its models don't make a graph (a cycle).
    """
    with opened(name, project, paths) as context:
        state = _compat.load_files(context)
        return _read(name, project, context, state, root=root, sources=sources)


def read_loaded(
    name: str,
    project: SqlmeshProject,
    context: Any,
    *,
    root: Path,
    sources: Mapping[str, SourceFile],
) -> GraphFile:
    """Read a project that is loaded already (see `_compat.existing_state` about its state).

    Args:
        name: Its name in transform.yaml.
        project: Its configuration.
        context: A sqlmesh Context with its models.
        root: Folder of transform.yaml: locations below it are relative to it.
        sources: Fingerprint of the files, taken before they were read.

    Raises:
        Exception: Whatever the state's driver raises.
        SettingError: What its configuration says does not fit its files.
        GraphError: The models don't make a graph (a cycle).
    """
    state = _compat.existing_state(context)
    return _read(name, project, context, state, root=root, sources=sources)


def _read(
    name: str,
    project: SqlmeshProject,
    context: Any,
    state: Any | None,
    *,
    root: Path,
    sources: Mapping[str, SourceFile],
) -> GraphFile:
    models = OwnModels(context, chosen_models(context, project))
    views = EnvironmentViews(context, Gateways(context), project.environment, state)
    snapshots = _compat.unversioned_snapshots(context, {**models.all, **context.standalone_audits})
    found = NodesAndSources(name, context, models, views, snapshots, root=root, config=project)
    nodes, read = list(found.nodes()), keyed_sources(found.sources(), project)
    if not project.catalog_in_key:
        _require_different_keys([*nodes, *read])
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
        environment=project.environment,
        plan_id=views.record.plan_id if views.record else None,
        drift=find_drift(context, state, views.record, snapshots, models.left_out),
        written_by={
            "dagster-transform": version("dagster-transform"),
            "sqlmesh": version("sqlmesh"),
        },
        settings=project.graph_settings(),
        sources_digest=sources,
    )


def _require_different_keys(things: list[Node | Source]) -> None:
    """Raises SettingError where asset keys without the catalog are no longer different."""
    if (found := same_key(things)) is not None:
        one, other = (thing.reference for thing in found)
        raise SettingError(
            ("catalog_in_key",),
            f"without the catalog {one} and {other} have one asset key: {'/'.join(found[0].key)}",
            remedy="Leave catalog_in_key as it is by default (true), or, where one of them is only"
            " read, give it a key in source_keys.",
        )
