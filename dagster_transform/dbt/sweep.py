"""Ending what a dbt process that was killed, or another run, has left on a database server.

A server goes on with a statement whose client is stopped or gone. The process tells, when it has
loaded its project, how its server is reached and how its sessions are called; whoever sees it die
ends them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from dagster_transform.databases import backends
from dagster_transform.dbt.errors import DbtRunError
from dagster_transform.errors import TransformError

_TIMEOUT = 5
"""Seconds to connect: whoever sweeps has somebody waiting."""


def end_backends(server: Mapping[str, Any]) -> int:
    """End the sessions of a dbt process that is gone.

    Args:
        server: What `Loaded.server` says; empty: there is nothing that could be done.

    Returns:
        How many sessions there were.

    Raises:
        Exception: Whatever the driver raises where the server can't be reached.
    """
    if server.get("type") != "postgres":
        return 0
    with _cursor(server) as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND pid <> pg_backend_pid()",
            (server["name"],),
        )
        return int(cursor.rowcount)


def end_left(server: Mapping[str, Any], identity: str, sessions: Collection[str]) -> frozenset[str]:
    """End what other runs have left on the server that a dbt process reaches.

    Args:
        server: What `Loaded.server` says of one.
        identity: The connection identity of the database.
        sessions: As `backends.backend_id`.

    Returns:
        Those that are not there any more; of other databases, none.

    Raises:
        BackendsRemainError: Some do not end.
        DbtRunError: The server can't be reached, or it refuses.
    """
    if server.get("type") != "postgres" or not backends.in_database(identity, sessions):
        return frozenset()
    try:
        with _cursor(server) as cursor:

            def ask(statement: str) -> list[tuple[Any, ...]]:
                cursor.execute(statement)
                return list(cursor.fetchall())

            return backends.end_backends(identity, sessions, ask)
    except TransformError:
        raise
    except Exception as error:  # noqa: BLE001 - drivers raise what they like
        raise DbtRunError(
            f"What another run has left on {identity} can't be ended: {str(error).strip()}",
            remedy="The user of the profile must reach the server and be allowed to end sessions of"
            " the other run's user: GRANT pg_signal_backend TO it.",
        ) from None


@contextmanager
def _cursor(server: Mapping[str, Any]) -> Iterator[Any]:
    """On a connection of its own, each statement in a transaction of its own."""
    import psycopg2

    with closing(psycopg2.connect(**server["connect"], connect_timeout=_TIMEOUT)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
