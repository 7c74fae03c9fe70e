"""How dbt's names become ours: asset keys, names, relations, connection identities."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster_transform.dbt.errors import NodeConfigError
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


def settings_of(resource: Resource, word: str) -> Mapping[str, Any]:
    """What a resource's meta has under `word` (`dagster`, `dagster_transform`).

    Raises:
        NodeConfigError: It is no mapping.
    """
    found = (resource.get("meta") or (resource.get("config") or {}).get("meta") or {}).get(word)
    return _mapping(resource, word, found)


def asset_key(resource: Resource) -> tuple[str, ...]:
    """The asset key of a model, seed, snapshot or source.

    The first that applies: `meta.dagster.asset_key`; of a source, its name and its table's; of a
    versioned model, its alias; the schema that is configured for the node, and its name; its name.

    Raises:
        NodeConfigError: `asset_key` is neither a text nor a list of texts.
    """
    config = resource.get("config") or {}
    meta = config.get("meta") or resource.get("meta") or {}
    given = _mapping(resource, "dagster", meta.get("dagster")).get("asset_key")
    if given:
        parts = [given] if isinstance(given, str) else given
        if not isinstance(parts, list) or not all(isinstance(p, str) and p for p in parts):
            raise unclear(resource, "dagster.asset_key", given, "a list of texts")
        return tuple(parts)
    if resource["resource_type"] == "source":
        return resource["source_name"], resource["name"]
    if resource.get("version"):
        return (resource["alias"],)
    schema = config.get("schema")
    return (resource["name"],) if schema is None else (schema, resource["name"])


def name_of(resource: Resource) -> str:
    """The name as dbt's users write it: `orders`, `orders.v2`, of a source `shop.orders`."""
    if resource["resource_type"] == "source":
        return f"{resource['source_name']}.{resource['name']}"
    version = resource.get("version")
    return str(resource["name"]) + ("" if version is None else f".v{version}")


def unclear(resource: Resource, setting: str, value: object, expected: str) -> NodeConfigError:
    """The error that a setting in a resource's meta can't be understood."""
    return NodeConfigError(
        f"{resource['unique_id']} ({resource['original_file_path']}): meta.{setting} is {value!r};"
        f" {expected} is expected.",
        remedy="Correct it there, or in the properties file of the node.",
    )


def connection_identity(
    connection: Mapping[str, Any], *, folder: Path, project: str, database: str | None = None
) -> str:
    """The database that a profile leads to, in the form that SQLMesh's connections have here too.

    Args:
        connection: Where it leads to (`Facts.connection`).
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
    port = connection.get("port")
    return f"{kind}:{place}{f':{port}' if port else ''}{f'/{main}' if main else ''}"


def relation_of(resource: Resource, adapter: str, connection: str) -> Relation:
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


def _duckdb(connection: Mapping[str, Any], folder: Path, project: str, database: str | None) -> str:
    main = _duckdb_file(str(connection.get("path") or ":memory:"), folder, project)
    wanted = (database or "").lower()
    for attached in connection.get("attach", ()):
        path, alias = attached.get("path"), attached.get("alias")
        if wanted != (alias or (Path(path).stem if path else "")).lower():
            continue
        return _duckdb_file(path, folder, project) if path else f"{main}#{wanted}"
    return main


def _duckdb_file(path: str, folder: Path, project: str) -> str:
    if path == ":memory:":
        return f"duckdb::memory:{project}"
    if cloud := _MOTHERDUCK.match(path):
        return f"motherduck:/{path[cloud.end() :]}"
    return f"duckdb:{path}" if _SCHEME.match(path) else f"duckdb:{(folder / path).resolve()}"


def _mapping(resource: Resource, word: str, found: object) -> Mapping[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise unclear(resource, word, found, "a mapping")
    return found
