"""Finding the store that a URL names. SQLAlchemy is imported only when one is opened."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from dagster_transform.claims.errors import UnknownStoreError
from dagster_transform.claims.ports import Store
from dagster_transform.claims.values import Timing

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from dagster_transform.claims.store.database import Database
    from dagster_transform.claims.store.sql_store import SqlStore

_DEFAULT = Timing()
_lock = threading.Lock()
_opened: dict[tuple[int, str | None, Timing], SqlStore] = {}


def open_store(url: str | None, timing: Timing = _DEFAULT) -> Store:
    """The store at `url`, its tables made or brought to this version.

    One for each URL and process: connections are shared, and so is what is in memory.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/database`, with or without a
            driver's name; None: in this process's memory.
        timing: How long claims live. The same in all processes that share a store.

    Raises:
        UnknownStoreError: The URL names no database that can hold claims.
        StoreUnreachableError: The database cannot be used.
        StoreVersionError: A newer version made the tables.
    """
    found = (os.getpid(), url, timing)  # connections do not survive a fork
    with _lock:
        if found not in _opened:
            _opened[found] = new_store(url, timing)
        return _opened[found]


def new_store(url: str | None, timing: Timing = _DEFAULT) -> SqlStore:
    """The same, with connections (and, of None, a memory) of its own."""
    from dagster_transform.claims.store.sql_store import SqlStore

    store = SqlStore(database_at(url, timing), timing)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def database_at(url: str | None, timing: Timing) -> Database:
    """The database that `url` names; None: a new one in memory. Nothing is connected yet."""
    from dagster_transform.claims.store.sqlite import memory_database, sqlite_database

    if url is None:
        return memory_database()
    parsed = _parsed(url)
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        return sqlite_database(parsed, timing)
    if backend == "postgres":  # what some hosters write
        backend, parsed = "postgresql", parsed.set(drivername="postgresql")
    if backend != "postgresql":
        raise UnknownStoreError(parsed.render_as_string(hide_password=True))
    from dagster_transform.claims.store.postgres import postgres_database

    try:
        return postgres_database(parsed, timing)
    except ImportError as error:
        raise UnknownStoreError(
            parsed.render_as_string(hide_password=True),
            f"{error}; install dagster-transform[postgres].",
        ) from error


def _parsed(url: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UnknownStoreError(url) from error
