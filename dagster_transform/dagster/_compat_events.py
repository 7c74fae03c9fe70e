"""The private part of Dagster's event log on SQLite that makes it slow, with a contract test.

For each statement it makes an engine of SQLAlchemy's, opens a connection, and takes both apart
again. SQLite writes its log into the file and deletes it when the last connection to a file is
closed, and makes it anew with the next; a new engine knows of no statement that was compiled
before. This is two thirds of the time in which an event is stored, in the process that also does
the run's work.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.util import Finalize
from typing import Any

_MOST = 8
"""Files of which something is kept: the index of all runs, and the file of a run."""


class KeptEngines:
    """Makes engines as Dagster does, gives the same one for the same file again, and has the file
    open meanwhile, on a connection that does nothing: so none is the last that is closed.

    Dagster's connections are opened and closed as before: its engines have no pool.

    Args:
        make: Dagster's own function.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make
        self._engines: dict[str, Any] = {}
        self._open: dict[str, sqlite3.Connection] = {}

    def __call__(self, url: str, **settings: Any) -> Any:
        """An engine for a file."""
        engine = self._engines.get(url)
        if engine is None:
            if len(self._engines) >= _MOST:
                self.close()
            engine = self._engines[url] = self.make(url, **settings)
        elif url not in self._open:  # not the first time: Dagster makes the file's tables then
            self._keep_open(url, engine)
        return engine

    def close(self) -> None:
        """Keep nothing any more: the last connections are closed."""
        self._engines.clear()
        while self._open:
            _, connection = self._open.popitem()
            with suppress(sqlite3.Error):
                connection.close()

    def _keep_open(self, url: str, engine: Any) -> None:
        with suppress(sqlite3.Error):  # then it is as slow as without
            connection = sqlite3.connect(engine.url.database, check_same_thread=False)
            connection.execute("PRAGMA schema_version").fetchall()  # opens the file
            self._open[url] = connection


def keep_engines() -> None:
    """Let Dagster's event log on SQLite keep its engines, in a process that executes a run."""
    # Not imported with this module: it brings SQLAlchemy, which loading definitions does without.
    from dagster._core.storage.event_log.sqlite import sqlite_event_log

    names = vars(sqlite_event_log)
    if not isinstance(names["create_engine"], KeptEngines):
        # The module's own name for it: nothing else in Dagster sees this.
        kept = names["create_engine"] = KeptEngines(names["create_engine"])
        # A code server's processes of runs end without what is registered with atexit.
        Finalize(None, kept.close, exitpriority=1)
