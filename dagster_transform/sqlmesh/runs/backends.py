"""The sessions on PostgreSQL servers that a run of a project builds in; see `server_sessions`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from dagster_transform.databases.backends import (
    among,
    application_name,
    end_backends,
    new_name,
    told,
)
from dagster_transform.sqlmesh import _compat, names
from dagster_transform.sqlmesh.gateways import Gateways


class ProjectBackends:
    """The sessions of one run of one project, on all threads.

    They are named from when it is made; connections that were open are closed.

    Args:
        context: A SQLMesh Context.
        tell: Given what is built (a node by id, an environment by its key) and the sessions in
            which the project is built; from any thread.
    """

    def __init__(self, context: Any, tell: Callable[[str, frozenset[str]], None]) -> None:
        self._default = context.selected_gateway
        self._tell = tell
        self._used: set[str] = set()
        self._texts: dict[str, str] = {}  # by gateway
        name = new_name()
        for gateway, identity in _servers(context).items():
            self._texts[gateway] = told(identity, name)
            adapter = context.engine_adapters[gateway]
            _compat.name_sessions(adapter, partial(application_name, name))

    def builds(self, unit: str, snapshot: Any) -> None:
        """A unit is to be built: tell in which sessions."""
        text = self._texts.get(snapshot.model_gateway or self._default)
        if text is not None:
            self._used.add(text)
            self._tell(unit, frozenset(self._used))

    def plans(self, environment: str) -> None:
        """An environment is to be changed, through any gateway."""
        if self._texts:
            self._tell(environment, frozenset(self._texts.values()))


def end_left(context: Any, sessions: Collection[str]) -> frozenset[str]:
    """End what other runs have left, as far as it is on servers that a project reaches.

    Args:
        context: A SQLMesh Context; connections are opened where there is something to end.
        sessions: As `backends.backend_id`.

    Returns:
        Those that are not there any more.

    Raises:
        BackendsRemainError: Some do not end.
        Exception: Whatever the driver raises.
    """
    gone: frozenset[str] = frozenset()
    for gateway, identity in _servers(context).items():
        if among(identity, set(sessions) - gone):
            ask = context.engine_adapters[gateway].fetchall
            gone |= end_backends(identity, set(sessions) - gone, ask)
    return gone


def _servers(context: Any) -> dict[str, str]:
    """The connection identities of the gateways on PostgreSQL servers."""
    return {
        gateway: names.connection_identity(connection)
        for gateway, connection in Gateways(context).connections.items()
        if str(connection.type_) == "postgres"
    }
