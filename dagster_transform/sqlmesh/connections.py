"""Which database a SQLMesh connection leads to, and which DuckDB files it holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dagster_transform.databases.identity import (
    ConnectionIdentity,
    duckdb_identity,
    server_identity,
)

_PLACES = ("host", "server", "account", "server_hostname", "project", "region_name")
"""Options of connection configs that say where the server is; the first one that is set counts."""


def connection_identity(connection: Any, catalog: str | None = None) -> ConnectionIdentity:
    """The database that a SQLMesh connection config leads to; never a user name or a password.

    Args:
        connection: A sqlmesh ConnectionConfig.
        catalog: A catalog there: DuckDB can have several files open, one for each. None, and one
            that the config does not name, are the connection's default.

    Returns:
        `duckdb:<resolved path>` for a file (one process only can hold it), else
        `<type>:<host>:<port>/<database>` with what the config has of these.
    """
    # What is no file (a server that DuckDB attaches) is known by the file beside it.
    if path := _configured_file(connection, catalog) or _configured_file(connection):
        return duckdb_identity(path)
    place = next((str(v) for k in _PLACES if (v := getattr(connection, k, None))), "")
    port = getattr(connection, "port", None)
    return server_identity(str(connection.type_), place, port, connection.get_catalog())


def duckdb_files(connection: Any) -> list[str]:
    """The resolved paths of all DuckDB files that a connection holds while it is open."""
    found = [_configured_file(connection)]
    if str(connection.type_) == "duckdb":
        found += [_file(attached) for attached in (connection.catalogs or {}).values()]
    return list(dict.fromkeys(path for path in found if path))


def _configured_file(connection: Any, catalog: str | None = None) -> str | None:
    """The resolved path of the DuckDB file that a connection config names, if it names one.

    Args:
        connection: A sqlmesh ConnectionConfig.
        catalog: Which of its catalogs; None, and one that it does not name, are its default.
    """
    if str(connection.type_) != "duckdb":
        return None
    if connection.database is not None or not connection.catalogs:
        return _file(connection.database)
    catalogs = connection.catalogs
    return _file(catalogs.get(catalog, next(iter(catalogs.values()))))


def _file(attached: Any) -> str | None:
    """The path of what a DuckDB connection opens; None where it is no file of DuckDB's."""
    if getattr(attached, "type", "duckdb") != "duckdb":
        return None
    path = str(getattr(attached, "path", attached) or "")
    # Drivers take `md:cloud`, `ducklake:...` and the like where a path may stand.
    if not path or re.match(r"[A-Za-z]{2,}:|:memory:", path):
        return None
    return str(Path(path).resolve())
