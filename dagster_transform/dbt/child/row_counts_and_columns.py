"""What the dbt process finds out of a relation once it is built: its rows, its columns, and what
those are computed from.

On threads and connections of its own, so that neither the next node nor a descendant waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dagster_transform.dbt.child import _compat_database
from dagster_transform.dbt.errors import ColumnLineageError
from dagster_transform.dbt.protocol import Measured
from dagster_transform.dbt.unique_ids import UniqueId

if TYPE_CHECKING:
    from dagster_transform.dbt.child._compat_database import Read
    from dagster_transform.dbt.child.column_lineage import Query, Table

_THREADS = 4
_NAMED = 5
"""How many columns a problem names."""


@dataclass(slots=True)
class _Asked:
    """What the database has said of a node, and what is to be made of it."""

    rows: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    query: Query | None = None
    reads: dict[Table, Read] = field(default_factory=dict)
    known: dict[Table, Mapping[str, str]] = field(default_factory=dict)
    """Columns as the database writes them, by name as it compares them; of what the query reads."""
    itself: Table = ()
    own: Mapping[str, str] = field(default_factory=dict)
    """Likewise of what was built, which is `itself`."""
    problems: list[str] = field(default_factory=list)


class Measurements:
    """Finds out what is wanted of relations that were built; each is said once.

    Args:
        wanted: What `Begin.measures` names.
        say: Called with what was found out of a node, on a thread of this object's own.
    """

    def __init__(self, wanted: Collection[str], say: Callable[[Measured], None]) -> None:
        self._wanted = frozenset(wanted)
        self._say = say
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="measure")
        self._under_way: dict[int, str] = {}  # by token: the name of its connection
        self._waiting: dict[int, Future[None]] = {}  # by token, until it has ended
        self._closed = False
        self._changed = threading.Condition()
        # By relation. Whoever reads one is built after it, and no relation is built twice in a run.
        self._columns: dict[str, dict[str, str]] = {}

    def of(self, build: Any, token: int, node: UniqueId) -> Callable[[], None] | None:
        """What begins to find out what is wanted of a node that was built; None: nothing is.

        From here on `drain` waits for it. The run hears that the node is built before it can hear
        what was found out, and may then have the database closed at once: whoever began only then
        would open it again, where another process has it by now.
        """
        if not self._wanted or not _compat_database.is_relation(build, node):
            return None
        if not (
            "columns" in self._wanted or self._counts(build, node) or self._follows(build, node)
        ):
            return None
        with self._changed:
            if self._closed:
                return None
            self._under_way[token] = _connection_name(node)
        return lambda: self._begin(build, token, node)

    def drain(self, patience: float) -> bool:
        """Wait until nothing is asked of the database; False after `patience` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._under_way, patience)

    def connections(self) -> list[str]:
        """Names of the connections on which something is under way."""
        with self._changed:
            return list(self._under_way.values())

    def close(self) -> None:
        """Say nothing any more, and begin nothing."""
        with self._changed:
            self._closed = True
            for token, future in list(self._waiting.items()):
                if future.cancel():
                    self._ended(token)
        self._pool.shutdown(wait=False)

    def _begin(self, build: Any, token: int, node: UniqueId) -> None:
        with self._changed:
            if self._closed:
                self._ended(token)
            else:
                self._waiting[token] = self._pool.submit(self._measure, build, token, node)

    def _ended(self, token: int) -> None:
        """Nothing is asked of the database for a node; `_changed` is held."""
        del self._under_way[token]
        self._waiting.pop(token, None)
        self._changed.notify_all()

    def _counts(self, build: Any, node: UniqueId) -> bool:
        return "row_counts" in self._wanted and not _compat_database.is_view(build, node)

    def _follows(self, build: Any, node: UniqueId) -> bool:
        return "column_lineage" in self._wanted and _compat_database.has_query(build, node)

    def _measure(self, build: Any, token: int, node: UniqueId) -> None:
        asked = _Asked()
        measured = Measured(token)
        try:
            if not self._closed:
                with _compat_database.own_connection(build, _connection_name(node)):
                    self._ask(build, node, asked)
        except BaseException as error:  # noqa: BLE001 - the node is built, whatever this raises
            asked.problems.append(_said(error))
        with self._changed:
            # From here on nothing is asked: who wants to close the database need not wait.
            self._ended(token)
        try:
            measured = _followed(measured, asked)
        except BaseException as error:  # noqa: BLE001 - as above
            asked.problems.append(f"column lineage: {_said(error)}")
        measured = replace(
            measured, rows=asked.rows, columns=asked.columns, problem="; ".join(asked.problems)
        )
        with self._changed:
            if not self._closed:
                self._say(measured)

    def _ask(self, build: Any, node: UniqueId, asked: _Asked) -> None:
        """Ask the database what is wanted of a node."""
        if "columns" in self._wanted:
            asked.columns = self._columns_of(build, _compat_database.relation_of(build, node))
        if self._follows(build, node):
            try:
                self._ask_for_lineage(build, node, asked)
            except Exception as error:  # noqa: BLE001 - the rows can be counted all the same
                asked.query = None
                asked.problems.append(f"column lineage: {_said(error)}")
        if self._counts(build, node):
            asked.rows = _compat_database.count_rows(build, node)

    def _ask_for_lineage(self, build: Any, node: UniqueId, asked: _Asked) -> None:
        sql = _compat_database.query_of(build, node)
        if sql is None:
            raise ColumnLineageError("dbt has kept no SQL of it (a Python model has none)")
        try:
            from dagster_transform.dbt.child.column_lineage import Query
        except ImportError:
            raise ColumnLineageError(
                "sqlglot is not installed (never install sqlglot[rs])"
            ) from None
        query = Query.read(sql, _compat_database.adapter_of(build).type())
        own = _compat_database.relation_of(build, node)
        asked.itself = query.table(own.relation)
        asked.own = _by_name(query, self._columns_of(build, own))
        if not asked.own:
            raise ColumnLineageError("the columns of what was built can't be read")
        for read in [own, *_compat_database.reads_of(build, node)]:
            table = query.table(read.relation)
            if table in query.tables and table not in asked.reads:
                asked.reads[table] = read
                # Without columns it is one of those whose columns are not known.
                if columns := self._columns_of(build, read):
                    asked.known[table] = _by_name(query, columns)
        asked.query = query

    def _columns_of(self, build: Any, read: Read) -> dict[str, str]:
        found = self._columns.get(read.relation)
        if found is None:
            found = self._columns[read.relation] = _compat_database.columns_of(build, read)
        return found


def _followed(measured: Measured, asked: _Asked) -> Measured:
    """With the column lineage of the node's query."""
    if asked.query is None:
        return measured
    found = asked.query.follow(asked.known)
    lineage: dict[str, list[list[str]]] = {}
    reads: dict[str, Any] = {}
    for column, ends in found.columns.items():
        if column not in asked.own:
            continue  # an incremental model may lack what its table has not
        sources: list[list[str]] = []
        for table, name in ends:
            if table == asked.itself:
                continue  # from its own rows
            read = asked.reads[table]
            reads[read.node] = read.place
            sources.append([read.node, asked.known[table][name]])
        if sources:
            lineage[asked.own[column]] = sources
    if found.lost:
        names = ", ".join(found.lost[:_NAMED]) + f" and {len(found.lost) - _NAMED} more" * (
            len(found.lost) > _NAMED
        )
        asked.problems.append(f"column lineage: it is not certain what is behind {names}")
    return replace(measured, lineage=lineage, reads=reads)


def _by_name(query: Query, columns: Mapping[str, str]) -> dict[str, str]:
    """Columns as the database writes them, by name as it compares them."""
    return {query.name(column): column for column in columns}


def _connection_name(node: UniqueId) -> str:
    return f"measure {node}"


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
