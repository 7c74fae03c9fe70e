"""The keys under which a project's tables, its files and its environment are claimed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlglot import exp

from dagster_transform.planning import ResourceKey
from dagster_transform.sqlmesh.connections import connection_identity, duckdb_files
from dagster_transform.sqlmesh.gateways import Gateways
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.walk import SharedResources


def shared_resources_of(context: Any, settings: SqlmeshSettings, *, alone: bool) -> SharedResources:
    """What a run of a project shares with other runs.

    Args:
        context: A SQLMesh Context; no connection is opened.
        settings: What the run asks for.
        alone: Whether nobody else may use the environment meanwhile: the run plans.
    """
    return SharedResources(
        files=file_keys(context, Gateways(context).connections.values()),
        environment=environment_key(context, settings.environment),
        alone=alone,
    )


def environment_key(context: Any, name: str) -> ResourceKey:
    """The key of an environment: where the project's state is, and the environment's name."""
    schema = context.config.get_state_schema(context.gateway)
    return ResourceKey.environment(f"{connection_identity(_state(context))}/{schema or ''}", name)


def file_keys(context: Any, connections: Iterable[Any]) -> frozenset[ResourceKey]:
    """The DuckDB files that only one process can hold: of these connections, and the state's."""
    found = (duckdb_files(connection) for connection in (*connections, _state(context)))
    return frozenset(ResourceKey.file(path) for files in found for path in files)


def table_key(context: Any, evaluation: Evaluation, snapshot: Any) -> ResourceKey | None:
    """The key of the physical table that building a snapshot writes; None if it writes none.

    Environments that share a version share its table, and with it the key.
    """
    if not snapshot.is_model or snapshot.is_symbolic:
        return None
    gateways = Gateways(context)
    table = exp.to_table(evaluation.physical_table(snapshot))
    return ResourceKey.table(gateways.table(gateways.of(snapshot.model), table))


def connections_of(context: Any, evaluation: Evaluation) -> list[Any]:
    """The connection configurations of the gateways that the run's models use."""
    connections = Gateways(context).connections
    snapshots = evaluation.scheduler.snapshots.values()
    gateways = {s.model_gateway for s in snapshots if s.model_gateway} - {context.selected_gateway}
    return [context.connection_config, *(connections[gateway] for gateway in sorted(gateways))]


def _state(context: Any) -> Any:
    return context.config.get_state_connection(context.gateway) or context.connection_config
