"""Ending what a dbt process that was killed has left behind on a database server.

A server goes on with a statement whose client is gone. The process tells, when it has loaded its
project, how its sessions can be found; whoever sees it die ends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

_TIMEOUT = 5
"""Seconds to connect: whoever sweeps has somebody waiting."""


def end_sessions(server: Mapping[str, Any]) -> int:
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
    import psycopg2

    with closing(psycopg2.connect(**server["connect"], connect_timeout=_TIMEOUT)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = %s AND pid <> pg_backend_pid()",
                (server["name"],),
            )
            return int(cursor.rowcount)
