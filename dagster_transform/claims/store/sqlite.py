"""Claims in a SQLite file, for the processes of one machine, or in this process's memory.

The file must be on a local disk: SQLite's locks do not work over a network. A writing transaction
locks the whole file from its start, so what PostgreSQL locks row by row needs nothing here. A
process that is stopped in the middle of one keeps the lock: for others the store is busy.

SQLite's clock is the machine's, which somebody may set while claims live. So the file holds at what
time the machine was started, as it was known first, and time is counted from there.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    MetaData,
    StaticPool,
    Table,
    Text,
    create_engine,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from dagster_transform.claims.clock import boot_id, elapsed
from dagster_transform.claims.errors import UnknownStoreError
from dagster_transform.claims.store.database import Database
from dagster_transform.claims.store.schema import PREFIX
from dagster_transform.claims.values import Timing
from dagster_transform.process.private_files import create_private

_boot = Table(
    f"{PREFIX}boot",
    MetaData(),
    Column("boot_id", Text, primary_key=True),
    Column("began", Float(53), nullable=False),
)


class SqliteDatabase(Database):
    """A SQLite file."""

    _began: float | None = None

    def prepare(self) -> None:
        """The tables, and since when time is counted."""
        super().prepare()
        boot = boot_id()
        if boot is None:
            return  # then the machine's clock has to do

        def find(connection: Connection) -> float | None:
            if not inspect(connection).has_table(_boot.name):
                return None
            return connection.scalar(select(_boot.c.began).where(_boot.c.boot_id == boot))

        def make(connection: Connection) -> None:
            _boot.create(connection, checkfirst=True)
            row = {"boot_id": boot, "began": time.time() - elapsed()}
            connection.execute(insert(_boot).values(row).on_conflict_do_nothing())

        self._began = self.transact(find, read_only=True)
        if self._began is None:
            self.transact(make)
            self._began = self.transact(find, read_only=True)

    def now(self, connection: Connection) -> float:  # noqa: ARG002, D102
        return time.time() if self._began is None else self._began + elapsed()

    def among(  # noqa: D102
        self, column: ColumnElement[str], values: Sequence[str] | BindParameter[Any]
    ) -> ColumnElement[bool]:
        found = values if isinstance(values, BindParameter) else self.listed(values)
        return column.in_(select(func.json_each(found).table_valued("value")))

    def listed(self, values: Sequence[str]) -> object:  # noqa: D102
        return json.dumps(list(values))

    def insert(self, table: Table) -> Any:  # noqa: D102
        return insert(table)

    def lock_schema(self, connection: Connection) -> None:  # noqa: D102
        pass  # the transaction has locked the file

    def is_busy(self, error: DBAPIError) -> bool:  # noqa: D102
        return "locked" in str(error.orig) or "busy" in str(error.orig)


class MemoryDatabase(SqliteDatabase):
    """SQLite in memory: one connection, one transaction at a time."""

    shared = False

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.url = "memory"
        self.alone = threading.RLock()


def sqlite_database(url: URL, timing: Timing) -> Database:
    """The file that `url` names, in a folder that is made if there is none."""
    if url.database in {None, "", ":memory:"}:
        return memory_database()
    try:
        path = Path(str(url.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        if not str(path).startswith("file:"):  # SQLite's own form of a name, with options
            create_private(path)
    except OSError as error:
        raise UnknownStoreError(str(url), f"{error}.") from error
    engine = create_engine(url, connect_args={"timeout": timing.patience}, pool_size=2)
    _take_locks(engine)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        # Nothing is lost when a process is killed. What a power cut can take back are claims of
        # processes that it ended too.
        connection.execute("PRAGMA synchronous = NORMAL")

    return SqliteDatabase(engine)


def memory_database() -> Database:
    """A new database that ends with this process."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    _take_locks(engine)
    return MemoryDatabase(engine)


def _take_locks(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # or the driver begins transactions when it likes

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # A transaction that reads first and then writes fails when another wrote in between.
        read_only = connection.get_execution_options().get("read_only")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
