"""Connection identity: the database itself, and not a name that a configuration has for it.

Two projects on one database have one identity, whichever framework they are of. There is neither a
user nor a password in it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NewType

ConnectionIdentity = NewType("ConnectionIdentity", str)
"""`duckdb:/data/flights.duckdb`, `postgres:db.example:5432/warehouse`."""

_DUCKDB = "duckdb:"


def file_path(folder: Path, path: str) -> str:
    """The absolute path of a database's file, as a driver would find it that works in `folder`.

    Links are not followed: DuckDB calls a database after its file.

    Args:
        folder: Absolute.
        path: As it is configured; `~/` is the user's home.
    """
    return os.path.abspath(folder / (os.path.expanduser(path) if path.startswith("~/") else path))


def duckdb_identity(path: str) -> ConnectionIdentity:
    """The identity of a DuckDB database: of a file by its resolved path, else by what it is called
    (`:memory:...`)."""
    return ConnectionIdentity(f"{_DUCKDB}{path}")


def server_identity(
    kind: str, place: str, port: object = None, database: object = None
) -> ConnectionIdentity:
    """The identity of a database on a server: `<kind>:<place>:<port>/<database>`.

    Args:
        kind: The engine, in SQLMesh's word.
        place: Host, account, project or region: what the engine has in its place.
        port: None where there is none.
        database: Likewise.
    """
    port_part = f":{port}" if port else ""
    database_part = f"/{database}" if database else ""
    return ConnectionIdentity(f"{kind}:{place}{port_part}{database_part}")


def duckdb_file(identity: ConnectionIdentity) -> str | None:
    """The resolved path of the DuckDB file that is the database; None where it is no file."""
    path = identity.removeprefix(_DUCKDB)
    return path if path != identity and Path(path).is_absolute() else None
