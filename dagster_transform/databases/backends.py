"""Sessions on PostgreSQL servers, in which runs build: how they are named, told and ended.

A server goes on with the statement of a client that is stopped or gone. So each process that
builds gives its sessions a name of their own, and tells it before it builds: as a text,
`<server>|<name>`, with neither spaces nor passwords. Whoever builds the same table next ends the
sessions of that name first, whichever framework opened them.

Nothing is connected here: whoever reaches a server gives a function that asks it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote, unquote

from dagster_transform.errors import TransformError

Ask = Callable[[str], Iterable[Sequence[Any]]]
"""Executes a statement on a server, in a transaction of its own, and returns its rows."""

_PREFIX = "dagster-transform:"
_BYTES = 6
_NAME = re.compile(rf"{_PREFIX}[0-9a-f]{{{2 * _BYTES}}}")
_LENGTH = len(_PREFIX) + 2 * _BYTES
_LONGEST = 63
"""What PostgreSQL cuts application names off at, in bytes."""
_PATIENCE = 10.0
"""Seconds in which sessions have to be gone that were told to end."""
_PAUSE = 0.02


class SessionsLeftError(TransformError):
    """Sessions on a database server, in which a run built that has lost its claims, do not end."""


def new_name() -> str:
    """A name for the sessions of one process, which no other one has."""
    return f"{_PREFIX}{secrets.token_hex(_BYTES)}"


def application_name(name: str, theirs: str | None) -> str:
    """The `application_name` of sessions: what the user has set, and then the name as a whole.

    PostgreSQL keeps 63 bytes, and writes what is not ASCII otherwise.
    """
    plain = (theirs or "").encode("ascii", "replace").decode("ascii")
    return f"{plain[: _LONGEST - 1 - len(name)]} {name}" if plain else name


def told(identity: str, name: str) -> str:
    """The text of sessions.

    Args:
        identity: The connection identity of the database, as relations have it.
        name: As of `new_name`.
    """
    return f"{quote(identity, safe='')}|{name}"


def among(identity: str, sessions: Collection[str]) -> frozenset[str]:
    """Those of the texts that are of sessions in this database."""
    return frozenset(
        s for s in sessions if _parts(s)[0] == identity and _NAME.fullmatch(_parts(s)[1])
    )


def end_sessions(identity: str, sessions: Collection[str], ask: Ask) -> frozenset[str]:
    """End sessions, as far as they are in this database.

    Args:
        identity: The connection identity of the database that `ask` asks.
        sessions: Texts, as of `told`.
        ask: Not called where there is nothing to end.

    Returns:
        The texts of those that are not there any more.

    Raises:
        SessionsLeftError: Some are still there after 10 s.
        Exception: Whatever `ask` raises: the user may not be allowed to end them.
    """
    mine = among(identity, sessions)
    if not mine:
        return mine
    until = monotonic() + _PATIENCE
    while found := list(ask(statement_to_end(mine))):
        if monotonic() >= until:
            pids = ", ".join(str(pid) for pid, _ in found)
            raise SessionsLeftError(
                "Sessions on a database server, in which a run built that has lost its claims, do "
                f"not end: {', '.join(map(in_words, sorted(mine)))} (process {pids}).",
                remedy=f"End them there: SELECT pg_terminate_backend(pid), with pid {pids}.",
            )
        sleep(_PAUSE)
    return mine


def statement_to_end(sessions: Collection[str]) -> str:
    """What ends sessions on their server, and says which processes there were."""
    found = sorted({_parts(session)[1] for session in sessions})
    names = ", ".join(f"'{name}'" for name in found if _NAME.fullmatch(name))
    return (  # nothing but letters, digits, `-` and `:` is in the names
        "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608
        f"WHERE right(application_name, {_LENGTH}) IN ({names}) AND pid <> pg_backend_pid()"
    )


def in_words(session: str) -> str:
    """The sessions of a text, for people: a text of another form as it is."""
    identity, name = _parts(session)
    return f"{name} on {identity}" if identity else session


def _parts(session: str) -> tuple[str, str]:
    server, _, name = session.rpartition("|")
    return unquote(server), name
