"""Sessions on PostgreSQL servers: those that a run builds in, and those that a run has left behind.

A server goes on with the statement of a client that is stopped or gone. So a run tells in which
sessions it builds, and whoever builds the same table next ends them first. A session is told by
its process id and by when it began: the server gives ids a second time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

from dagster_transform.sqlmesh import names
from dagster_transform.sqlmesh.errors import SqlmeshError
from dagster_transform.sqlmesh.gateways import Gateways

_STARTED = "CAST(extract(epoch FROM backend_start) * 1000000 AS BIGINT)"
_MINE = f"SELECT pid, {_STARTED} FROM pg_stat_get_activity(pg_backend_pid())"
_PATIENCE = 10.0
"""Seconds in which a session has to be gone that was told to end."""
_PAUSE = 0.02


class ServerSessions:
    """The sessions of one run of one project.

    Args:
        context: A SQLMesh Context.
        tell: Given a unit and all sessions of the project, before the unit's first statement on
            one of them; from any thread.
    """

    def __init__(self, context: Any, tell: Callable[[str, frozenset[str]], None]) -> None:
        self._context = context
        self._servers = _servers(context)
        self._tell = tell
        self._lock = threading.Lock()
        self._known: dict[tuple[int, str], str] = {}  # by thread and gateway

    def builds(self, unit: str, snapshot: Any) -> None:
        """The calling thread builds a unit: tell in which session.

        Raises:
            Exception: Whatever the driver raises where it can't connect.
        """
        gateway = snapshot.model_gateway or self._context.selected_gateway
        server = self._servers.get(gateway)
        if server is None:
            return
        adapter = self._context.snapshot_evaluator.get_adapter(snapshot.model_gateway)
        # Asked each time: SQLMesh opens another connection wherever it finds one broken.
        pid, started = adapter.fetchone(_MINE)
        with self._lock:
            self._known[threading.get_ident(), gateway] = f"{server}|{pid}|{started}"
            every = frozenset(self._known.values())
        self._tell(unit, every)


def end_sessions(context: Any, sessions: Collection[str]) -> frozenset[str]:
    """End sessions, as far as they are on servers that a project reaches.

    Args:
        context: A SQLMesh Context; connections are opened where there is something to end.
        sessions: As `ServerSessions` tells them.

    Returns:
        Those that are not there any more.

    Raises:
        SqlmeshError: One does not end.
        Exception: Whatever the driver raises.
    """
    gone: set[str] = set()
    for gateway, server in _servers(context).items():
        mine = [s for s in sessions if s.rpartition("|")[0].rpartition("|")[0] == server]
        mine = [s for s in mine if s not in gone]
        if mine:
            _end(context.engine_adapters[gateway], mine)
            gone |= set(mine)
    return frozenset(gone)


def _end(adapter: Any, sessions: Collection[str]) -> None:
    found = [session.split("|")[-2:] for session in sessions]
    pairs = ", ".join(f"({int(pid)}, {int(started)})" for pid, started in found)
    there = f"FROM pg_stat_activity WHERE (pid, {_STARTED}) IN ({pairs})"
    until = monotonic() + _PATIENCE
    while adapter.fetchall(f"SELECT pg_terminate_backend(pid) {there}"):
        if monotonic() >= until:
            raise SqlmeshError(
                "A session on the database server, in which a run builds that has lost its claims, "
                f"does not end: process {', '.join(pid for pid, _ in found)}.",
                remedy="End it there (pg_terminate_backend).",
            )
        sleep(_PAUSE)


def _servers(context: Any) -> dict[str, str]:
    """What a session's text begins with, by gateway on a PostgreSQL server."""
    return {
        gateway: quote(names.connection_identity(connection), safe="")
        for gateway, connection in Gateways(context).connections.items()
        if str(connection.type_) == "postgres"
    }
