"""Claims in PostgreSQL, for the processes of many machines."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Connection,
    Executable,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    create_engine,
    event,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from dagster_transform.claims.store.database import Database
from dagster_transform.claims.values import Timing

_NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
_SCHEMA_LOCK = 0x64745F636C61696D  # "dt_claim"; advisory locks are numbers
_BUSY = {"55P03", "40P01", "40001", "57014"}  # lock timeout, deadlock, serialization, statement


class PostgresDatabase(Database):
    """A PostgreSQL database."""

    def now(self, connection: Connection) -> float:  # noqa: D102
        return float(connection.exec_driver_sql(_NOW).scalar_one())

    def among(  # noqa: D102
        self, column: ColumnElement[str], values: Sequence[str] | BindParameter[Any]
    ) -> ColumnElement[bool]:
        found: Any = values
        if not isinstance(values, BindParameter):
            found = literal(self.listed(values), ARRAY(Text))
        return column == any_(cast(found, ARRAY(Text)))

    def listed(self, values: Sequence[str]) -> object:  # noqa: D102
        return list(values)

    def insert(self, table: Table) -> Any:  # noqa: D102
        return insert(table)

    def add(  # noqa: D102
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
    ) -> None:
        if len(rows) < 2:
            super().add(connection, table, rows)
            return
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        self.run(connection, _inserting_many(table, tuple(columns)), columns)

    def lock_schema(self, connection: Connection) -> None:  # noqa: D102
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})

    def is_busy(self, error: DBAPIError) -> bool:  # noqa: D102
        code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
        return code in _BUSY


@cache
def _inserting_many(table: Table, columns: tuple[str, ...]) -> Callable[[Database], Executable]:
    """Rows as one array for each column: a fraction of the text that lists of values would be."""

    def build(_database: Database) -> Executable:
        arrays = (cast(bindparam(name), ARRAY(table.c[name].type)) for name in columns)
        return insert(table).from_select(columns, select(*map(func.unnest, arrays)))

    return build


def postgres_database(url: URL, timing: Timing) -> Database:
    """The database that `url` names; with psycopg2, like Dagster, where it names no driver."""
    if "+" not in url.drivername:
        has_psycopg2 = importlib.util.find_spec("psycopg2") is not None
        url = url.set(drivername=f"postgresql+{'psycopg2' if has_psycopg2 else 'psycopg'}")
    patience = int(timing.patience * 1000)
    engine = create_engine(
        url,
        # A server may have another default, and what is read after a lock must be what is there.
        isolation_level="READ COMMITTED",
        pool_size=2,
        max_overflow=3,
        pool_timeout=timing.patience,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": max(2, int(timing.patience)),
            "keepalives_idle": max(1, int(timing.patience)),
            "tcp_user_timeout": patience,
            "application_name": "dagster-transform claims",
        },
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The last one ends the transaction of a process that was stopped while it held locks.
        with connection.cursor() as cursor:
            cursor.execute(
                f"SET lock_timeout = {patience}; SET statement_timeout = {patience};"
                f" SET idle_in_transaction_session_timeout = {patience}"
            )
        connection.commit()

    return PostgresDatabase(engine)
