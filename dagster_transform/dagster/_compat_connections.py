"""Private parts of Dagster's storage on a database server that make it slow, with a contract test.

In a run's process Dagster opens a connection for each statement with which it stores an event, and
closes it again: two or three an event. On PostgreSQL each is a process of the server's. Storing the
events of a hundred models takes longer than building them that way, and the UI falls behind.
Dagster's own webserver keeps connections; here they are kept likewise, where a run is executed.

All statements remain Dagster's own. What it sets on connections stays as it is, and so does where
passwords come from: connections are made as before, and fewer.
"""

from __future__ import annotations

import os
from weakref import ref

import dagster as dg
from sqlalchemy import Engine
from sqlalchemy.pool import NullPool, QueuePool

_KEPT = 2
"""Connections: storing a materialisation looks at another table meanwhile. Each run under way has
so many. Dagster before 1.13 leaves some to the garbage collector: there it is a few more."""


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Let the event log of an instance keep its connections, where it is on a database server and
    keeps none. One that the server has closed meanwhile is noticed, and made anew.

    Args:
        instance: Dagster's, in a process that executes a run.
    """
    engine = getattr(instance.event_log_storage, "_engine", None)
    if not isinstance(engine, Engine) or engine.dialect.name == "sqlite":
        return
    closing = engine.pool
    if type(closing) is not NullPool:
        return
    # As `Pool.recreate` does it: how connections are made, and what is done with new ones.
    engine.pool = QueuePool(
        closing._creator,
        pool_size=_KEPT,
        max_overflow=-1,
        pre_ping=True,
        dialect=engine.dialect,
        _dispatch=closing.dispatch,
    )
    kept = ref(engine)

    def forget() -> None:
        if (mine := kept()) is not None:
            mine.dispose(close=False)  # they are the parent's, which goes on with them

    os.register_at_fork(after_in_child=forget)
