"""How backends on a database server are ended in which a dbt process, or another run, builds.

A server goes on with a statement whose client is stopped or dead. When it has loaded its project,
the process says how its server is reached and what its backends are called; whoever sees it die
ends them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from dagster_transform.databases import backends as names
from dagster_transform.databases.backends import BackendId
from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.dbt.errors import DbtRunError
from dagster_transform.errors import TransformError

_TIMEOUT = 5
"""Seconds to connect: somebody waits meanwhile."""


def end_backends_of_process(server: Mapping[str, Any]) -> int:
    """End the backends of a dbt process that has died, or that is about to be killed.

    Once, and without waiting for their end.

    Args:
        server: What `Loaded.server` says; empty: there is nothing that could be done.

    Returns:
        How many backends there were.

    Raises:
        Exception: Whatever the driver raises where the server can't be reached.
    """
    if server.get("type") != "postgres":
        return 0
    with _connected(server) as execute:
        return len(execute(names.statement_to_end([BackendId(server["backends"])])))


def end_backends(
    server: Mapping[str, Any], identity: ConnectionIdentity, backends: Collection[BackendId]
) -> frozenset[BackendId]:
    """End backends of other runs, as far as they are in the database that a dbt process reaches.

    Args:
        server: What `Loaded.server` says of one.
        identity: The connection identity of the database.
        backends: Of any database.

    Returns:
        Those that are not there any more; of other databases, none.

    Raises:
        BackendsRemainError: Some do not end.
        DbtRunError: The server can't be reached, or it refuses.
    """
    if server.get("type") != "postgres" or not names.in_database(identity, backends):
        return frozenset()
    try:
        with _connected(server) as execute:
            return names.end_backends(identity, backends, execute)
    except TransformError:
        raise
    except Exception as error:  # noqa: BLE001 - drivers raise what they like
        raise DbtRunError(
            f"Backends of another run on {identity} can't be ended: {str(error).strip()}",
            remedy="The user of the profile must reach the server and be allowed to end backends of"
            " the other run's user: GRANT pg_signal_backend TO it.",
        ) from None


@contextmanager
def _connected(server: Mapping[str, Any]) -> Iterator[Any]:
    """Executes statements on a connection of its own, each in a transaction of its own."""
    import psycopg2

    with closing(psycopg2.connect(**server["connect"], connect_timeout=_TIMEOUT)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:

            def execute(statement: str) -> list[tuple[Any, ...]]:
                cursor.execute(statement)
                return list(cursor.fetchall())

            yield execute
