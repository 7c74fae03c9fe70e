"""Private parts of dbt that its connections are reached by, each with a contract test
(tests/contract/test_dbt_compat_build.py).

Only the dbt process of a run calls what is here; dbt is imported inside the functions. `build` is
dbt's BuildTask, whose project is loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dagster_transform.databases.backends import application_name, backend_id
from dagster_transform.databases.identity import server_identity
from dagster_transform.databases.samples import Sample, sample_of
from dagster_transform.dbt.unique_ids import UniqueId

_RELATIONS = ("model", "seed", "snapshot")
_QUERIES = ("model", "snapshot")
_PLACE = ("resource_type", "database", "schema", "alias", "identifier", "relation_name")


@dataclass(frozen=True, slots=True)
class Read:
    """A relation that the SQL of a node may read.

    Attributes:
        node: Unique id of the node or source.
        relation: The relation, as it is written in SQL.
        place: What dbt's manifest says of where it is, as `relations.relation_of` takes it.
        entry: dbt's entry for it.
    """

    node: UniqueId
    relation: str
    place: dict[str, Any]
    entry: Any


def name_backends(build: Any, name: str) -> dict[str, Any]:
    """Give the backends on the database server a name of this process's own.

    Args:
        build: The build.
        name: As of `backends.new_name`.

    Returns:
        How to end them from another process (`backends.end_backends_of_process`); empty where that
        can't be done.
    """
    credentials = build.config.credentials
    if credentials.type != "postgres":
        return {}
    credentials.application_name = application_name(name, credentials.application_name)
    found = {
        key: getattr(credentials, key)
        for key in ("host", "port", "user", "password", "sslmode", "sslcert", "sslkey",
                    "sslrootcert")
    }  # fmt: skip
    identity = server_identity(
        credentials.type, credentials.host, credentials.port, credentials.database
    )
    return {
        "type": credentials.type,
        "backends": backend_id(identity, name),
        "connect": {
            "dbname": credentials.database,
            **{key: value for key, value in found.items() if value is not None},
        },
    }


def cancel_statements(build: Any, name: str | None) -> None:
    """End what is executed on the connections of a name: a node's unique id, or a name of our own;
    None: on any but those of a cancel like this one.

    Raises:
        Exception: Whatever the driver raises; the statement may go on.
    """
    adapter = adapter_of(build)
    mine = f"cancel {name or 'everything'}"
    connections = adapter.connections
    busy = [
        connection
        for connection in list(connections.thread_connections.values())
        if connection.state == "open"
        and (connection.name == name if name else not str(connection.name).startswith("cancel "))
    ]
    if busy:
        with adapter.connection_named(mine):  # PostgreSQL cancels from another backend
            for connection in busy:
                connections.cancel(connection)


def is_relation(build: Any, node: UniqueId) -> bool:
    """Whether a node is a table or a view once it is built."""
    found = build.manifest.expect(node)
    return str(found.resource_type) in _RELATIONS and bool(found.relation_name)


def is_view(build: Any, node: UniqueId) -> bool:
    """Whether a node is a view, which is executed when it is read: counting may take long."""
    return str(build.manifest.expect(node).config.materialized) == "view"


@contextmanager
def own_connection(build: Any, name: str) -> Iterator[None]:
    """A connection of this thread's own, by whose name `cancel_statements` finds it."""
    with adapter_of(build).connection_named(name):
        yield


def count_rows(build: Any, node: UniqueId) -> int:
    """The rows of what a node has built; on this thread's connection.

    Raises:
        Exception: Whatever the driver raises.
    """
    relation = build.manifest.expect(node).relation_name
    query = f"select count(*) as row_count from {relation}"
    _, table = adapter_of(build).execute(query, fetch=True)
    return int(table.rows[0][0])


def sample(build: Any, node: UniqueId, query: str, most: int) -> Sample:
    """The first rows of a query, on a connection of this thread's, by the name of the node.

    Raises:
        Exception: Whatever the driver raises.
    """
    adapter = adapter_of(build)
    with adapter.connection_named(node):
        # The adapter reads so many rows: not every database has LIMIT.
        _, table = adapter.execute(query, fetch=True, limit=most)
        return sample_of(table.column_names, table.rows, most)


def columns_of(build: Any, read: Read) -> dict[str, str]:
    """The types of the columns of a relation, by name; on this thread's connection.

    Raises:
        Exception: Whatever the driver raises.
    """
    adapter = adapter_of(build)
    relation = adapter.Relation.create_from(build.config, read.entry)
    found = adapter.get_columns_in_relation(relation)
    return {str(column.name): str(column.data_type) for column in found}


def has_query(build: Any, node: UniqueId) -> bool:
    """Whether a node is built from a query (or from Python in the place of one); no seed is."""
    return str(build.manifest.expect(node).resource_type) in _QUERIES


def query_of(build: Any, node: UniqueId) -> str | None:
    """The compiled SQL of a node that was built; None where it has none, as a Python model."""
    entry = build.manifest.expect(node)
    return entry.compiled_code or None if str(entry.language) == "sql" else None


def relation_of(build: Any, node: UniqueId) -> Read:
    """The relation that a node builds."""
    return _read(build, node)


def reads_of(build: Any, node: UniqueId) -> list[Read]:
    """The relations that the query of a node may read, also through ephemeral models: of its
    parents, and where they are deferred to another environment, there."""
    found: list[Read] = []
    seen: set[str] = set()
    stack = list(build.manifest.expect(node).depends_on.nodes)[::-1]
    while stack:
        parent = stack.pop()
        if parent in seen:
            continue
        seen.add(parent)
        entry = build.manifest.expect(parent)
        if getattr(entry, "relation_name", None):
            found.append(_read(build, parent))
            deferred = getattr(entry, "defer_relation", None)
            if deferred is not None and deferred.relation_name:
                found.append(_read(build, parent, deferred))
        else:
            above = getattr(entry, "depends_on", None)
            stack.extend(above.nodes[::-1] if above is not None else ())
    return found


def _read(build: Any, node: UniqueId, deferred: Any = None) -> Read:
    entry = build.manifest.expect(node)
    written = deferred or entry
    return Read(node, str(written.relation_name), _place(entry), written)


def _place(entry: Any) -> dict[str, Any]:
    place = {name: getattr(entry, name, None) for name in _PLACE}
    return {**place, "resource_type": str(entry.resource_type)}


def places(build: Any) -> dict[str, dict[str, Any]]:
    """Where all nodes and sources of the project are, by unique id, as `Read.place` says it."""
    manifest = build.manifest
    entries = (*manifest.nodes.values(), *manifest.sources.values())
    kinds = (*_RELATIONS, "source")
    return {
        entry.unique_id: _place(entry)
        for entry in entries
        if entry.relation_name and str(entry.resource_type) in kinds
    }


def refresh_relation(build: Any, node: Any) -> None:
    """Correct what dbt remembers of a node's relation: another process may have made or dropped it.

    Else it would make a table that is there, and fail, or take a first build for a later one.
    """
    if str(node.resource_type) not in _RELATIONS:
        return
    adapter = adapter_of(build)
    mine = adapter.Relation.create_from(build.config, node)
    place = {"database": mine.database, "schema": mine.schema, "identifier": mine.identifier}
    with adapter.connection_named(node.unique_id):
        there = adapter.list_relations_without_caching(mine.without_identifier())
        found = [relation for relation in there if relation.matches(**place)]
        known = [
            r for r in adapter.list_relations(mine.database, mine.schema) if r.matches(**place)
        ]
    if [r.type for r in known] != [r.type for r in found]:
        for relation in known:
            adapter.cache_dropped(relation)
        for relation in found:
            adapter.cache_added(relation)


def close_database(build: Any) -> None:
    """Close what only one process can hold, which is DuckDB's file; the next node opens it."""
    environment = getattr(type(adapter_of(build).connections), "_ENV", None)
    if environment is not None:
        environment.close()


def adapter_of(build: Any) -> Any:
    """The adapter of a build."""
    return importlib.import_module("dbt.adapters.factory").get_adapter(build.config)
