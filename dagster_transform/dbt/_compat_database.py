"""Private parts of dbt that its connections are reached by, each with a contract test
(tests/contract/test_dbt_compat_build.py).

Only the dbt process of a run calls what is here; dbt is imported inside the functions. `build` is
dbt's BuildTask, whose project is loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_RELATIONS = ("model", "seed", "snapshot")


def name_sessions(build: Any, name: str) -> dict[str, Any]:
    """Give the sessions on the database server a name of this process's own.

    Returns:
        How to end them from another process (`sweep.end_sessions`); empty where the adapter can't.
    """
    credentials = build.config.credentials
    if credentials.type != "postgres":
        return {}
    theirs = credentials.application_name
    # PostgreSQL cuts names off at 63 characters.
    credentials.application_name = f"{theirs[: 62 - len(name)]} {name}" if theirs else name
    found = {
        key: getattr(credentials, key)
        for key in ("host", "port", "user", "password", "sslmode", "sslcert", "sslkey",
                    "sslrootcert")
    }  # fmt: skip
    return {
        "type": "postgres",
        "name": credentials.application_name,
        "connect": {
            "dbname": credentials.database,
            **{key: value for key, value in found.items() if value is not None},
        },
    }


def cancel_statements(build: Any, node: str | None) -> None:
    """End what is executed for a node, or for anything but a cancel like this one (None).

    Raises:
        Exception: Whatever the driver raises; the statement may go on.
    """
    adapter = adapter_of(build)
    mine = f"cancel {node or 'everything'}"
    connections = adapter.connections
    busy = [
        connection
        for connection in list(connections.thread_connections.values())
        if connection.state == "open"
        and (connection.name == node if node else not str(connection.name).startswith("cancel "))
    ]
    if busy:
        with adapter.connection_named(mine):  # PostgreSQL ends a session from another one
            for connection in busy:
                connections.cancel(connection)


def is_relation(build: Any, node: str) -> bool:
    """Whether a node is a table or a view once it is built."""
    found = build.manifest.expect(node)
    return str(found.resource_type) in _RELATIONS and bool(found.relation_name)


def is_view(build: Any, node: str) -> bool:
    """Whether a node is a view, which is executed when it is read: counting may take long."""
    return str(build.manifest.expect(node).config.materialized) == "view"


@contextmanager
def own_connection(build: Any, name: str) -> Iterator[None]:
    """A connection of this thread's own, by whose name `cancel_statements` finds it."""
    with adapter_of(build).connection_named(name):
        yield


def count_rows(build: Any, node: str) -> int:
    """The rows of what a node has built; on this thread's connection.

    Raises:
        Exception: Whatever the driver raises.
    """
    relation = build.manifest.expect(node).relation_name
    query = f"select count(*) as row_count from {relation}"
    _, table = adapter_of(build).execute(query, fetch=True)
    return int(table.rows[0][0])


def columns_of(build: Any, node: str) -> dict[str, str]:
    """The types of the columns of what a node has built, by name; on this thread's connection.

    Raises:
        Exception: Whatever the driver raises.
    """
    adapter = adapter_of(build)
    relation = adapter.Relation.create_from(build.config, build.manifest.expect(node))
    found = adapter.get_columns_in_relation(relation)
    return {str(column.name): str(column.data_type) for column in found}


def close_database(build: Any) -> None:
    """Close what only one process can hold, which is DuckDB's file; the next node opens it."""
    environment = getattr(type(adapter_of(build).connections), "_ENV", None)
    if environment is not None:
        environment.close()


def adapter_of(build: Any) -> Any:
    """The adapter of a build."""
    return importlib.import_module("dbt.adapters.factory").get_adapter(build.config)
