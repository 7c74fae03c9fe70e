"""Private parts of Dagster's event log on SQLite that make it slow, with a contract test.

For each statement it makes an engine of SQLAlchemy's, opens a connection, and takes both apart
again. SQLite writes its log into the file and deletes it when the last connection to a file is
closed, and makes it anew with the next; a new engine knows of no statement that was compiled
before. For an event of a check there are three transactions, and before a run begins one such event
for each check that is planned. This is four fifths of the time in which an event is stored, in the
process that also does the run's work.

All statements remain Dagster's own, in its order; what changes is how often a file is opened, and
how often it is written to.

Imported where a run begins: it brings SQLAlchemy, which loading definitions does without.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from multiprocessing.util import Finalize
from time import monotonic
from typing import Any

from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.instance.runs.run_domain import RunDomain
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from sqlalchemy.pool import QueuePool

_MOST = 8
"""Files of which something is kept: the index of all runs, and the file of a run."""
_MIRRORED = ASSET_EVENTS | ASSET_CHECK_EVENTS
"""Events that are stored in both files."""
_LONGEST = 0.5
"""Seconds after which a transaction of many events is committed: others want to write too."""


class _OneConnection(QueuePool):
    """Keeps one connection to a file open. Further ones, while that one is in use, are closed."""

    def dispose(self) -> None:
        """Nothing: Dagster disposes of its engine after each statement."""

    def recreate(self) -> _OneConnection:
        """Itself, for the same reason."""
        return self

    def close(self) -> None:
        """Close what is open and not in use."""
        super().dispose()


class KeptEngines:
    """Makes engines as Dagster does, and gives the same one for the same file again, which has a
    connection open.

    Args:
        make: Dagster's own function.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make
        self._engines: dict[str, Any] = {}
        self._process = os.getpid()

    def __call__(self, url: str, **settings: Any) -> Any:
        """An engine for a file."""
        if self._process != os.getpid():  # a fork: SQLite's connections must not be used there
            _of_parents.append(self._engines)
            self._engines, self._process = {}, os.getpid()
        engine = self._engines.get(url)
        if engine is None or not os.path.exists(engine.url.database):
            if engine is not None or len(self._engines) >= _MOST:
                self.close()
            engine = self._engines[url] = self.make(url, **settings)
        elif not isinstance(engine.pool, _OneConnection):
            # Not the first time: Dagster makes the file's tables then.
            engine = self._engines[url] = self.make(url, **_with_one_connection(settings))
        return engine

    def kept(self, url: str) -> Any:
        """The engine with a connection that is kept open to a file; None: there is none yet. Only
        Dagster knows with which settings one is made."""
        engine = self._engines.get(url) if self._process == os.getpid() else None
        if engine is None or not os.path.exists(engine.url.database):
            return None
        return engine if isinstance(engine.pool, _OneConnection) else None

    def close(self) -> None:
        """Keep nothing any more: the last connections are closed."""
        while self._engines:
            _, engine = self._engines.popitem()
            if isinstance(engine.pool, _OneConnection):
                engine.pool.close()


_of_parents: list[Any] = []
"""Engines of a process of which this one is a fork, never used nor closed: closing a connection
there would take away the parent's files."""


def _with_one_connection(settings: dict[str, Any]) -> dict[str, Any]:
    connect_args = {**settings.get("connect_args", {}), "check_same_thread": False}
    return settings | {
        "poolclass": _OneConnection,
        "pool_size": 1,
        "max_overflow": -1,
        "connect_args": connect_args,
    }


class Together:
    """What one thread stores of a run, in one transaction for each of the storage's two files: the
    run's, and the index of all runs.

    As in Dagster, the other threads of the process wait meanwhile; what is stored of a run is
    committed before it is in the index. What takes longer than `_LONGEST` is committed in parts.

    Args:
        storage: The event log.
        run_id: The run.
        connect: Dagster's own `SqliteEventLogStorage._connect`.

    Attributes:
        storage: As given.
        committed: Whether something is stored for good.
    """

    def __init__(self, storage: SqliteEventLogStorage, run_id: str, connect: Any) -> None:
        self.storage = storage
        self.committed = False
        self._shards = (run_id, INDEX_SHARD_NAME)
        self._connect = connect
        self._open: dict[str, tuple[Any, Any]] = {}  # connection and transaction
        self._began: float | None = None
        self._over = False

    def connection(self, shard: str) -> AbstractContextManager[Any]:
        """What Dagster's `_connect` gives: a connection in a transaction."""
        if self._over or shard not in self._shards or not self._has_begun():
            self.end()
            return self._connect(self.storage, shard)  # type: ignore[no-any-return]
        return self._in_transaction(shard)

    def end(self) -> None:
        """Commit what is open; what comes after that has Dagster's own transactions."""
        self._over = True
        self._close("commit")

    def give_up(self) -> None:
        """Undo what is not committed."""
        self._over = True
        self._close("rollback")

    @contextmanager
    def _in_transaction(self, shard: str) -> Iterator[Any]:
        connection, _ = self._open[shard]
        try:
            yield connection
        except BaseException:
            self.give_up()
            raise
        if self._began is not None and monotonic() - self._began > _LONGEST:
            self._close("commit")

    def _has_begun(self) -> bool:
        """Begin where that is still to be done; False: the files have no connections of ours."""
        if self._began is not None:
            return True
        engines = self._engines()
        if engines is None:
            return False
        self.storage._db_lock.acquire()
        self._began = monotonic()
        try:
            for shard, engine in engines.items():
                connection = engine.connect()
                self._open[shard] = (connection, connection.begin())
        except BaseException:
            self.give_up()
            raise
        return True

    def _engines(self) -> dict[str, Any] | None:
        """Those of both files. Where one is missing Dagster opens the files: the first time it
        makes them, the second time a connection is kept."""
        urls = {shard: self.storage.conn_string_for_shard(shard) for shard in self._shards}
        for _ in range(3):
            kept = vars(sqlite_event_log)["create_engine"].kept
            found = {shard: kept(url) for shard, url in urls.items()}
            if None not in found.values():
                return found
            for shard in self._shards:
                with self._connect(self.storage, shard):
                    pass
        return None

    def _close(self, how: str) -> None:
        if self._began is None:
            return
        self._began = None
        opened, self._open = list(self._open.values()), {}
        try:
            for _, transaction in opened:
                getattr(transaction, how)()
                self.committed |= how == "commit"
        finally:
            try:
                for connection, _ in opened:
                    connection.close()  # and undo what is not committed
            finally:
                self.storage._db_lock.release()


class _Current(threading.local):
    together: Together | None = None


_current = _Current()


@contextmanager
def _storing(together: Together) -> Iterator[None]:
    _current.together = together
    try:
        yield
    finally:
        _current.together = None
        together.end()


def store_events_faster() -> None:
    """Let Dagster's event log on SQLite keep its files open and store in fewer transactions, in a
    process that executes a run."""
    names = vars(sqlite_event_log)
    if isinstance(names["create_engine"], KeptEngines):
        return
    # The module's own name for it: nothing else in Dagster sees this.
    kept = names["create_engine"] = KeptEngines(names["create_engine"])
    # A code server's processes of runs end without what is registered with atexit.
    Finalize(None, kept.close, exitpriority=1)
    _store_together(SqliteEventLogStorage, RunDomain)


def _store_together(storage_class: Any, domain_class: Any) -> None:
    """Put what decides on transactions around Dagster's own methods."""
    connect, store_event = storage_class._connect, storage_class.store_event
    has_table, log_planned = storage_class.has_table, domain_class._log_asset_planned_events
    tables: set[tuple[str, str]] = set()

    @wraps(connect)
    def connect_together(self: Any, shard: str) -> AbstractContextManager[Any]:
        together = _current.together
        if together is not None and together.storage is self:
            return together.connection(shard)
        return connect(self, shard)  # type: ignore[no-any-return]

    @wraps(store_event)
    def store_event_together(self: Any, event: Any) -> None:
        mirrored = event.is_dagster_event and event.dagster_event_type in _MIRRORED
        if _current.together is not None or not mirrored:
            store_event(self, event)
            return
        together = Together(self, event.run_id, connect)
        try:
            with _storing(together):
                store_event(self, event)
        except Exception:
            if together.committed:
                raise
            store_event(self, event)  # fails as Dagster has it fail, with what that leaves

    @wraps(has_table)
    def has_known_table(self: Any, table_name: str) -> bool:
        known = (self._base_dir, table_name)
        if known not in tables and has_table(self, table_name):
            tables.add(known)  # for good: Dagster drops no table
        return known in tables

    @wraps(log_planned)
    def log_planned_together(self: Any, dagster_run: Any, *args: Any, **kwargs: Any) -> None:
        storage = self._instance.event_log_storage
        mine = isinstance(storage, storage_class) and _current.together is None
        together = Together(storage, dagster_run.run_id, connect) if mine else None
        with nullcontext() if together is None else _storing(together):
            log_planned(self, dagster_run, *args, **kwargs)

    storage_class._connect = connect_together
    storage_class.store_event = store_event_together
    storage_class.has_table = has_known_table
    domain_class._log_asset_planned_events = log_planned_together
