"""The backends of PostgreSQL servers in which a run builds; see `databases.backends`."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from dagster_transform.databases import backends as servers
from dagster_transform.databases.backends import BackendId, application_name, backend_id, new_name
from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.graph import UnitId
from dagster_transform.planning import ResourceKey
from dagster_transform.sqlmesh import _compat_connections
from dagster_transform.sqlmesh.connections import connection_identity
from dagster_transform.sqlmesh.gateways import Gateways
from dagster_transform.sqlmesh.runs.failures import Cancelled
from dagster_transform.walk import ClaimGuard


class ProjectBackends:
    """The backends of one run of one project, of all its threads.

    They are named from when it is made; connections that were open are closed. Whoever takes over
    the run's claims ends the backends that there are by then: so a thread that has got one asks
    whether it still may build, before it executes anything there.

    Args:
        context: A SQLMesh Context.
        guard: Gets to know in which backends the project is built; from any thread.
    """

    def __init__(self, context: Any, guard: ClaimGuard) -> None:
        self._default = context.selected_gateway
        self._guard = guard
        self._used: set[BackendId] = set()
        self._by_gateway: dict[str, BackendId] = {}
        self._here = threading.local()  # the unit that a thread does
        name = new_name()
        for gateway, identity in _servers(context).items():
            self._by_gateway[gateway] = backend_id(identity, name)
            adapter = context.engine_adapters[gateway]
            _compat_connections.name_backends(adapter, partial(application_name, name), self._ask)

    @contextmanager
    def doing(self, unit: UnitId) -> Iterator[None]:
        """The calling thread does a unit, or a part of it."""
        self._here.unit = unit
        try:
            yield
        finally:
            self._here.unit = None

    def _ask(self) -> None:
        unit = getattr(self._here, "unit", None)
        if unit is not None and not self._guard.holds(unit):
            raise Cancelled

    def builds(self, unit: UnitId, snapshot: Any) -> None:
        """Say in which backends a unit is going to be built."""
        backend = self._by_gateway.get(snapshot.model_gateway or self._default)
        if backend is not None:
            self._used.add(backend)
            self._guard.builds_in(unit, frozenset(self._used))

    def plans(self, environment: ResourceKey) -> None:
        """Say in which backends an environment is going to be changed: through any gateway."""
        if self._by_gateway:
            self._guard.plans_in(environment, frozenset(self._by_gateway.values()))


def end_backends(context: Any, backends: Collection[BackendId]) -> frozenset[BackendId]:
    """End backends of other runs, as far as they are on servers that a project reaches.

    Args:
        context: A SQLMesh Context; connections are opened where there is something to end.
        backends: Of any server.

    Returns:
        Those that are not there any more.

    Raises:
        BackendsRemainError: Some do not end.
        Exception: Whatever the driver raises.
    """
    ended: frozenset[BackendId] = frozenset()
    for gateway, identity in _servers(context).items():
        others = set(backends) - ended
        if servers.in_database(identity, others):
            ask = context.engine_adapters[gateway].fetchall
            ended |= servers.end_backends(identity, others, ask)
    return ended


def backends_there(context: Any) -> frozenset[BackendId]:
    """The backends of runs that are on the servers of a project now, of whatever run.

    Args:
        context: A SQLMesh Context; its connections to servers are opened.

    Raises:
        Exception: Whatever the driver raises.
    """
    found: frozenset[BackendId] = frozenset()
    for gateway, identity in _servers(context).items():
        found |= servers.backends_there(identity, context.engine_adapters[gateway].fetchall)
    return found


def _servers(context: Any) -> dict[str, ConnectionIdentity]:
    """The connection identities of the gateways on PostgreSQL servers."""
    return {
        gateway: connection_identity(connection)
        for gateway, connection in Gateways(context).connections.items()
        if str(connection.type_) == "postgres"
    }
