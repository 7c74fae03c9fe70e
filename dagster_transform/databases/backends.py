"""Backends of PostgreSQL servers, in which runs build: how they are named, found and ended.

A server goes on with the statement of a client that is stopped or dead. So each process that builds
gives its backends a name of their own (their `application_name`), and writes it down before it
builds, as a `BackendId`. Whoever builds the same table next ends the backends of that name first,
whichever framework had connected to them.

Nothing is connected here: whoever reaches a server gives a function that executes statements there.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from time import monotonic, sleep
from typing import Any, NewType
from urllib.parse import quote, unquote

from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.errors import TransformError

BackendId = NewType("BackendId", str)
"""All backends of one process on one server: `<connection identity>|<name>`, with neither spaces
nor passwords."""

Execute = Callable[[str], Iterable[Sequence[Any]]]
"""Executes a statement on a server, in a transaction of its own, and returns its rows."""

_PREFIX = "dagster-transform:"
_BYTES = 6
_NAME = re.compile(rf"{_PREFIX}[0-9a-f]{{{2 * _BYTES}}}")
_LENGTH = len(_PREFIX) + 2 * _BYTES
_LONGEST = 63
"""What PostgreSQL cuts application names off at, in bytes."""
_PATIENCE = 10.0
"""Seconds that backends have to end after they were asked to."""
_PAUSE = 0.02


class BackendsRemainError(TransformError):
    """Backends of a database server, in which a run built that has lost its claims, do not end."""


def new_name() -> str:
    """A name for the backends of one process, which no other one has."""
    return f"{_PREFIX}{secrets.token_hex(_BYTES)}"


def application_name(name: str, configured: str | None) -> str:
    """The `application_name` of backends: what the user has set, and then the name as a whole.

    PostgreSQL keeps 63 bytes, and writes what is not ASCII otherwise.
    """
    plain = (configured or "").encode("ascii", "replace").decode("ascii")
    return f"{plain[: _LONGEST - 1 - len(name)]} {name}" if plain else name


def backend_id(identity: ConnectionIdentity, name: str) -> BackendId:
    """The id of the backends of a process.

    Args:
        identity: The connection identity of the database, as relations have it.
        name: As of `new_name`.
    """
    return BackendId(f"{quote(identity, safe='')}|{name}")


def in_database(
    identity: ConnectionIdentity, backends: Collection[BackendId]
) -> frozenset[BackendId]:
    """Those of the backends that are in this database."""
    return frozenset(
        b for b in backends if _parts(b)[0] == identity and _NAME.fullmatch(_parts(b)[1])
    )


def end_backends(
    identity: ConnectionIdentity, backends: Collection[BackendId], execute: Execute
) -> frozenset[BackendId]:
    """End backends, as far as they are in this database.

    Args:
        identity: The database that `execute` leads to.
        backends: Of any database.
        execute: Not called where there is nothing to end.

    Returns:
        Those that are not there any more.

    Raises:
        BackendsRemainError: Some are still there after 10 s.
        Exception: Whatever `execute` raises: the user may not be allowed to end them.
    """
    mine = in_database(identity, backends)
    if not mine:
        return mine
    until = monotonic() + _PATIENCE
    while found := list(execute(statement_to_end(mine))):
        if monotonic() >= until:
            pids = ", ".join(str(pid) for pid, _ in found)
            raise BackendsRemainError(
                "Backends of a database server, in which a run built that has lost its claims, do "
                f"not end: {', '.join(map(in_words, sorted(mine)))} (process {pids}).",
                remedy=f"End them there: SELECT pg_terminate_backend(pid), with pid {pids}.",
            )
        sleep(_PAUSE)
    return mine


def backends_there(identity: ConnectionIdentity, execute: Execute) -> frozenset[BackendId]:
    """All backends that have a name of ours, on the server of a database.

    Args:
        identity: The database that `execute` leads to.
        execute: Executes a statement there.

    Raises:
        Exception: Whatever `execute` raises.
    """
    names = {
        str(name)
        for (name,) in execute(
            f"SELECT DISTINCT right(application_name, {_LENGTH}) FROM pg_stat_activity "  # noqa: S608
            "WHERE datname = current_database()"
        )
    }
    return frozenset(backend_id(identity, name) for name in names if _NAME.fullmatch(name))


def statement_to_end(backends: Collection[BackendId]) -> str:
    """The statement that ends backends on their server, and returns which processes there were."""
    found = sorted({_parts(backend)[1] for backend in backends})
    names = ", ".join(f"'{name}'" for name in found if _NAME.fullmatch(name))
    return (  # nothing but letters, digits, `-` and `:` is in the names
        "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608
        f"WHERE right(application_name, {_LENGTH}) IN ({names}) AND pid <> pg_backend_pid()"
    )


def in_words(backend: BackendId) -> str:
    """Backends, for people: `<name> on <connection identity>`; an id of another form as it is."""
    identity, name = _parts(backend)
    return f"{name} on {identity}" if identity else backend


def _parts(backend: BackendId) -> tuple[str, str]:
    server, _, name = backend.rpartition("|")
    return unquote(server), name
