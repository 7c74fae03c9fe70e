"""Which database a SQLMesh connection leads to, and which DuckDB files it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dagster_transform.databases.identity import (
    ConnectionIdentity,
    duckdb_identity,
    file_path,
    server_identity,
)

_FILES = frozenset({"duckdb", "ducklake", "sqlite"})
"""What DuckDB attaches by a path."""
_LAKE = "ducklake:"
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
    if path := main_file(connection, catalog) or main_file(connection):
        return duckdb_identity(path)
    place = next((str(v) for k in _PLACES if (v := getattr(connection, k, None))), "")
    port = getattr(connection, "port", None)
    return server_identity(str(connection.type_), place, port, connection.get_catalog())


def duckdb_files(connection: Any) -> list[str]:
    """The resolved paths of all DuckDB files that a connection holds while it is open."""
    found = [main_file(connection)]
    if str(connection.type_) == "duckdb":
        found += [_file(attached) for attached in (connection.catalogs or {}).values()]
    return list(dict.fromkeys(path for path in found if path))


def postgres_settings(connection: Any) -> dict[str, Any] | None:
    """With what psycopg2 connects to the PostgreSQL server of a connection config, the password
    among it; None where it is another database, or a role is to be taken on there."""
    if str(connection.type_) != "postgres" or connection.role:
        return None
    names = ("host", "port", "user", "password", "connect_timeout", "sslmode", "keepalives_idle")
    found = {name: getattr(connection, name, None) for name in names}
    found["dbname"] = connection.database
    return {name: value for name, value in found.items() if value is not None}


def missing_files(connections: Iterable[Any]) -> list[str]:
    """The DuckDB files of connections that are not there: connecting would make them, empty."""
    found = [path for connection in connections for path in duckdb_files(connection)]
    return [path for path in dict.fromkeys(found) if not Path(path).exists()]


def taken_from(folder: Path, connection: Any) -> Any:
    """A connection config whose relative paths are taken from a folder.

    DuckDB takes them from the working directory of whichever process connects; the one that people
    have in mind is the project's folder, in which they call `sqlmesh`.

    Args:
        folder: The folder of the config, absolute.
        connection: A sqlmesh ConnectionConfig; it is not changed.
    """
    if str(connection.type_) != "duckdb":
        return connection
    if connection.database is not None:
        return connection.model_copy(update={"database": _placed(folder, connection.database)})
    catalogs = {
        name: _placed(folder, attached)
        if isinstance(attached, str)
        else attached.model_copy(update=_attached_from(folder, attached))
        for name, attached in (connection.catalogs or {}).items()
    }
    return connection.model_copy(update={"catalogs": catalogs}) if catalogs else connection


def relative_paths(connection: Any) -> list[str]:
    """The DuckDB files that a connection config names by paths that are not absolute."""
    if str(getattr(connection, "type_", "")) != "duckdb":
        return []
    attached = (connection.catalogs or {}).values()
    named = [connection.database, *(getattr(each, "path", each) for each in attached)]
    return [
        path
        for path in named
        if isinstance(path, str)
        and _is_path(path)
        and not path.startswith("~/")
        and not Path(path).is_absolute()
    ]


def _attached_from(folder: Path, attached: Any) -> dict[str, Any]:
    """What of DuckDBAttachOptions is another, so that it is taken from a folder."""
    if attached.type not in _FILES:
        return {}
    bare = attached.path.removeprefix(_LAKE)
    scheme = attached.path[: -len(bare)] if bare else ""
    found = {"path": scheme + _placed(folder, bare)}
    if attached.data_path is not None:
        found["data_path"] = _placed(folder, attached.data_path)
    return found


def _placed(folder: Path, path: str) -> str:
    return file_path(folder, path) if _is_path(path) else path


def _is_path(text: str) -> bool:
    """Whether it is a path; drivers take `md:cloud`, `ducklake:...` and the like in its place."""
    return bool(text) and not re.match(r"[A-Za-z]{2,}:|:memory:", text)


def main_file(connection: Any, catalog: str | None = None) -> str | None:
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
    return str(Path(path).resolve()) if _is_path(path) else None
