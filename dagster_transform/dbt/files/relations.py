"""The relations of dbt's nodes and sources, and the connection identities of their databases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster_transform.databases.identity import (
    ConnectionIdentity,
    duckdb_identity,
    file_path,
    server_identity,
)
from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.graph import Relation

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+]+:")
_MOTHERDUCK = re.compile(r"(?:md|motherduck):")
# Adapters that SQLMesh, whose words connection identities are made of, calls otherwise.
_KINDS = {"sqlserver": "mssql"}
# What is one name to an engine however it is written, and how engines write what is not quoted.
_CASELESS = frozenset(
    {"databricks", "duckdb", "presto", "redshift", "spark", "sqlite", "sqlserver", "trino"}
)
_UPPER = frozenset({"oracle", "snowflake"})
_AS_IS = frozenset({"bigquery", "clickhouse", "doris", "fabric", "mysql", "starrocks"})


def connection_identity(
    connection: Mapping[str, Any], *, folder: Path, project: str, database: str | None = None
) -> ConnectionIdentity:
    """The database that a profile leads to, in the form that SQLMesh's connections have here too.

    Args:
        connection: Where it leads to (`ParseRecord.connection`).
        folder: The folder of the dbt project, from which relative paths are meant.
        project: The project's name; a database in memory is nobody else's.
        database: A database there: DuckDB can have several files attached. None, and one that is
            not attached, are the main one.

    Returns:
        `duckdb:<resolved path>` for a file, else `<type>:<host>:<port>/<database>` with what the
        profile has of these.
    """
    adapter = str(connection["type"])
    if adapter == "duckdb":
        return _duckdb(connection, folder, project, database)
    kind = _KINDS.get(adapter, adapter)
    main = connection.get("catalog") or connection.get("database")
    names = ("host", "server", "account", "server_hostname")
    place = next((connection[name] for name in names if connection.get(name)), None)
    if place is None:  # BigQuery's is the project, which dbt calls database; Athena's the region
        place = connection.get("region_name") or main or ""
    return server_identity(kind, place, connection.get("port"), main)


def all_identities(
    connection: Mapping[str, Any], *, folder: Path, project: str
) -> frozenset[ConnectionIdentity]:
    """The main database that a profile leads to and all that are attached to it; arguments as of
    `connection_identity`."""
    databases = [None, *(attached.get("alias") for attached in connection.get("attach", ()))]
    return frozenset(
        connection_identity(connection, folder=folder, project=project, database=database)
        for database in databases
    )


def relation_of(resource: Resource, adapter: str, connection: ConnectionIdentity) -> Relation:
    """The relation of a node or source, normalised as SQLMesh normalises that engine's names.

    Args:
        resource: A node or source with a relation.
        adapter: The adapter's type.
        connection: The connection identity of its database.
    """
    written = str(resource.get("relation_name") or "")
    name = resource["identifier"] if resource["resource_type"] == "source" else resource["alias"]
    return Relation(
        connection,
        _normal(resource.get("database"), adapter, written),
        _normal(resource.get("schema"), adapter, written),
        _normal(name, adapter, written) or name,
    )


def table_name(resource: Resource) -> str:
    """`database.schema.alias` of a node as dbt has it, unquoted and not normalised."""
    parts = (resource.get("database"), resource.get("schema"), resource["alias"])
    return ".".join(part for part in parts if part)


def _normal(part: str | None, adapter: str, written: str) -> str | None:
    if not part:
        return None
    if adapter in _AS_IS:
        return part
    quoted = any(f"{mark}{part}{mark}" in written for mark in ('"', "`"))
    if quoted and adapter not in _CASELESS:
        return part
    return part.upper() if adapter in _UPPER else part.lower()


def _duckdb(
    connection: Mapping[str, Any], folder: Path, project: str, database: str | None
) -> ConnectionIdentity:
    main = _duckdb_file(str(connection.get("path") or ":memory:"), folder, project)
    wanted = (database or "").lower()
    for attached in connection.get("attach", ()):
        path, alias = attached.get("path"), attached.get("alias")
        if wanted != (alias or (Path(path).stem if path else "")).lower():
            continue
        if path:
            return _duckdb_file(path, folder, project)
        return ConnectionIdentity(f"{main}#{wanted}")  # no file: of the main one, whatever that is
    return main


def _duckdb_file(path: str, folder: Path, project: str) -> ConnectionIdentity:
    if path == ":memory:":
        return duckdb_identity(f"{path}{project}")
    if cloud := _MOTHERDUCK.match(path):
        return server_identity("motherduck", f"/{path[cloud.end() :]}")
    if _SCHEME.match(path):
        return duckdb_identity(path)
    return duckdb_identity(str(Path(file_path(folder, path)).resolve()))
