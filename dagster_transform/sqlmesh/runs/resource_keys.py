"""The keys under which a project's tables, its files and its environment are claimed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlglot import exp

from dagster_transform.planning import ResourceKey
from dagster_transform.sqlmesh._compat import state_connection
from dagster_transform.sqlmesh.connections import (
    connection_identity,
    duckdb_files,
    missing_files,
)
from dagster_transform.sqlmesh.errors import DatabaseError
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
    place = connection_identity(state_connection(context))
    return ResourceKey.environment(f"{place}/{schema or ''}", name)


def file_keys(context: Any, connections: Iterable[Any]) -> frozenset[ResourceKey]:
    """The DuckDB files that only one process can hold: of these connections, and the state's."""
    found = (duckdb_files(connection) for connection in (*connections, state_connection(context)))
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


def require_files(name: str, connections: Iterable[Any], environment: str) -> None:
    """Raises DatabaseError where a DuckDB file is missing that an environment was built in:
    connecting would make an empty one, and what is not due would stay lost in it.

    Args:
        name: The project's name, for messages.
        connections: The connection configs of the run.
        environment: The environment's name.
    """
    if missing := missing_files(connections):
        raise DatabaseError(
            f"Project {name}: environment {environment} was planned, and there is no DuckDB file"
            f" {' and no '.join(missing)}.",
            remedy="Put it back where it was, or correct its path in the project's config: a"
            " relative one begins in the folder of the config.",
        )
