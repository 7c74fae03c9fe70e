"""Private parts of SQLMesh's connections that this package touches, each with a contract test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any


def cancel_statements(adapters: Iterable[Any], thread: int) -> None:
    """Ask the engines to end what `thread` (an ident) executes; harmless if it executes nothing.

    psycopg, psycopg2 and most drivers have `cancel` on the connection, DuckDB has `interrupt`.
    An engine that has neither goes on to the statement's end.
    """
    for adapter in adapters:
        pool = adapter._connection_pool
        for target in _open_connections(pool, thread):
            for name in ("interrupt", "cancel"):
                stop = getattr(target, name, None)
                if callable(stop):
                    with suppress(Exception):  # closed by now: then its statement has ended
                        stop()
                    break


def _open_connections(pool: Any, thread: int) -> list[Any]:
    # DuckDB's statements run on cursors, which are connections of their own.
    for name in ("_thread_connections", "_thread_cursors"):
        by_thread = getattr(pool, name, None)
        if by_thread is not None:
            connection = by_thread.get(thread)  # at once: the thread may be closing it
            return [] if connection is None else [connection]
    return [c for c in (pool._cursor, pool._connection) if c is not None]


def drop_connection(adapters: Iterable[Any]) -> None:
    """Close the calling thread's connections, so that the next statement opens new ones."""
    for adapter in adapters:
        adapter._connection_pool.close()


def name_backends(
    adapter: Any, name: Callable[[str | None], str], may_go_on: Callable[[], None]
) -> None:
    """Give the backends that an adapter for PostgreSQL gets from now on an `application_name`; its
    open connections are closed.

    Not in the connection's configuration: SQLMesh's cache of models is of one configuration.

    Args:
        adapter: The adapter; those that SQLMesh derives from it have its connections.
        name: The name, made of the one that the user has set.
        may_go_on: Called with each new connection before anything is executed on it, on the thread
            that needs it; the connection is closed again if it raises.
    """
    pool = adapter._connection_pool
    connect = pool._connection_factory
    named = name(connect.keywords.get("application_name"))

    def connect_and_ask(*args: Any, **kwargs: Any) -> Any:
        connection = connect(*args, **kwargs, application_name=named)
        try:
            may_go_on()
        except BaseException:
            connection.close()
            raise
        return connection

    pool._connection_factory = connect_and_ask
    pool.close_all()


def forget_tables(adapter: Any, table: Any = None) -> None:
    """Have an engine adapter look again whether tables are there.

    It remembers of each table that it has looked for whether it was, for as long as it lives; what
    another process makes or drops meanwhile it does not see.

    Args:
        adapter: The adapter.
        table: One table, where other threads use the adapter; None: all.
    """
    adapter._clear_data_object_cache(table)
