"""What differs between the databases that can hold claims: one base class, a subclass for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Table,
    bindparam,
    insert,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.compiler import SQLCompiler

from dagster_transform.claims.errors import StoreBusyError, StoreError, StoreUnreachableError
from dagster_transform.claims.store.schema import VERSION, create_or_upgrade, current_version

T = TypeVar("T")


class _Statement:
    """A compiled statement, and how its rows are called."""

    def __init__(self, compiled: SQLCompiler) -> None:
        self.sql = str(compiled)
        binds = compiled.binds.items()
        self._fixed = {name: bind.value for name, bind in binds if not bind.required}
        self._order = compiled.positiontup  # where the driver wants them in order
        self._names: Callable[..., Any] | None = None

    def parameters(self, values: Mapping[str, object]) -> Any:
        found = {**self._fixed, **values}
        return found if self._order is None else tuple(found[name] for name in self._order)

    def many(self, rows: Iterable[Mapping[str, object]]) -> Iterable[Any]:
        """The parameters of each row."""
        if self._fixed or self._order is None or len(self._order) < 2:
            return map(self.parameters, rows)
        return map(itemgetter(*self._order), rows)

    def rows(self, cursor: Any) -> list[Any]:
        if self._names is None:
            names = [column[0] for column in cursor.description]
            self._names = namedtuple("Row", names, rename=True)  # type: ignore[misc] # noqa: PYI024
        return [self._names(*row) for row in cursor.fetchall()]


@cache
def _inserting(table: Table, columns: tuple[str, ...]) -> Callable[[Database], Executable]:
    def build(_database: Database) -> Executable:
        return insert(table).values({name: bindparam(name) for name in columns})

    return build


class Database(ABC):
    """A database, through SQLAlchemy.

    Attributes:
        engine: Its transactions take, from their start or row by row, the locks that writing needs.
        url: For messages, without the password.
        shared: Whether other processes can see it.
        alone: Held while a transaction runs, where only one at a time can.
    """

    shared = True

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.url = engine.url.render_as_string(hide_password=True)
        self.alone: AbstractContextManager[object] = nullcontext()
        self._dbapi: Any = engine.dialect.dbapi
        self._statements: dict[object, _Statement] = {}

    @abstractmethod
    def now(self, connection: Connection) -> float:
        """Seconds since 1970, at the moment of the call and not of the transaction's start."""

    @abstractmethod
    def among(
        self, column: ColumnElement[str], values: Sequence[str] | BindParameter[Any]
    ) -> ColumnElement[bool]:
        """`column` is one of `values`, however many they are, with one parameter.

        For a parameter that `run` is given a value for, what `listed` makes of the values is it.
        """

    @abstractmethod
    def listed(self, values: Sequence[str]) -> object:
        """Values for a parameter of `among`, as the driver takes them."""

    @abstractmethod
    def insert(self, table: Table) -> Any:
        """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""

    @abstractmethod
    def lock_schema(self, connection: Connection) -> None:
        """Let one process at a time make the tables, until the transaction's end."""

    @abstractmethod
    def is_busy(self, error: DBAPIError) -> bool:
        """Whether an error says that a lock was not to be had."""

    def run(
        self,
        connection: Connection,
        statement: Callable[[Database], Executable],
        values: Mapping[str, object],
    ) -> list[Any]:
        """Execute what a function builds, on the driver's own cursor.

        It is built and compiled once, and SQLAlchemy's results, which can do more than is needed
        here, are not made: they are half of the time that a claim takes in SQLite.

        Args:
            connection: In a transaction.
            statement: A function of a module, called the first time.
            values: Of its parameters.

        Returns:
            Its rows, with the names of the columns; of columns with one name, the first has it.
        """
        found = self._statement(statement)
        with self._cursor(connection, found) as cursor:
            cursor.execute(found.sql, found.parameters(values))
            return found.rows(cursor) if cursor.description else []

    def _statement(self, build: Callable[[Database], Executable]) -> _Statement:
        """What a function builds, compiled once."""
        found = self._statements.get(build)
        if found is None:
            compiled = build(self).compile(dialect=self.engine.dialect)  # type: ignore[attr-defined]
            found = self._statements[build] = _Statement(compiled)
        return found

    @contextmanager
    def _cursor(self, connection: Connection, statement: _Statement) -> Iterator[Any]:
        """The driver's cursor, whose errors are raised as SQLAlchemy's."""
        raw = connection.connection
        cursor = raw.cursor()
        try:
            yield cursor
        except self._dbapi.Error as error:
            is_lost = self.engine.dialect.is_disconnect(error, raw.driver_connection, cursor)
            if is_lost:
                self.engine.dispose(close=False)  # others of the pool are as old
                connection.invalidate(error)
            raise DBAPIError.instance(
                statement.sql, None, error, self._dbapi.Error, connection_invalidated=is_lost
            ) from error
        finally:
            cursor.close()

    def add(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Insert rows that have all the same columns."""
        if rows:
            found = self._statement(_inserting(table, tuple(rows[0])))
            with self._cursor(connection, found) as cursor:
                cursor.executemany(found.sql, found.many(rows))

    def transact(self, work: Callable[[Connection], T], *, read_only: bool = False) -> T:
        """Do `work` in one transaction; once more where the connection has been lost.

        So `work` may have been done, and committed, when it is called.

        Raises:
            StoreUnreachableError: The database does not do it.
            StoreBusyError: A lock was not to be had in time.
        """
        engine = self.engine.execution_options(read_only=True) if read_only else self.engine
        for last in (False, True):
            try:
                with self.alone, engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if last or not error.connection_invalidated:
                    raise self._translated(error) from error
            except PoolTimeout as error:
                raise StoreBusyError(self.url, "no connection is free.") from error
        raise AssertionError("the second try returns or raises")

    def prepare(self) -> None:
        """Make the tables, or bring them to this version; two processes may at once.

        Raises:
            StoreVersionError: A newer version made them.
        """
        if self.transact(current_version, read_only=True) == VERSION:
            return

        def create(connection: Connection) -> None:
            self.lock_schema(connection)
            create_or_upgrade(connection, self.url)

        self.transact(create)

    def _translated(self, error: DBAPIError) -> StoreError:
        kind = StoreBusyError if self.is_busy(error) else StoreUnreachableError
        why = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        return kind(self.url, why[0])
