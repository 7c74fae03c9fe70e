"""What each column of a query is computed from: sqlglot's lineage, of which only what is certain is
kept.

Pure, and the only part of dbt's side that imports sqlglot: the dbt process does so where a run asks
for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects import Dialect
from sqlglot.lineage import Node as Step
from sqlglot.lineage import lineage
from sqlglot.optimizer import Scope, build_scope
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from dagster_transform.dbt.errors import ColumnLineageError

Table = tuple[str, ...]
"""Catalog, schema and name of a relation as its engine compares them."""

_DIALECTS = {"sqlserver": "tsql", "synapse": "tsql", "fabricspark": "spark", "glue": "spark"}
"""Adapters whose dialect sqlglot calls otherwise."""


@dataclass(frozen=True, slots=True)
class Found:
    """What could be found out.

    Attributes:
        columns: By column of the query, in its order: the columns (relation, column there) that it
            is computed from, sorted. A column that is computed from none is not in it. Names are as
            the engine compares them (see `Query.name`).
        lost: Columns that could not be followed to their ends; none of them is in `columns`.
    """

    columns: Mapping[str, tuple[tuple[Table, str], ...]]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was read.

    Attributes:
        tables: The relations that it reads, as they are written in it.
    """

    tables: frozenset[Table]
    _dialect: Dialect = field(repr=False)
    _tree: Any = field(repr=False)

    @classmethod
    def read(cls, sql: str, adapter: str) -> Query:
        """The query of a node.

        Args:
            sql: Its compiled code.
            adapter: The adapter's type.

        Raises:
            ColumnLineageError: It can't be read.
        """
        try:
            dialect = Dialect.get_or_raise(_DIALECTS.get(adapter, adapter))
        except ValueError:
            raise ColumnLineageError(f"sqlglot knows no SQL of {adapter}") from None
        try:
            trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
        except (sqlglot.errors.SqlglotError, RecursionError) as error:
            raise ColumnLineageError(f"sqlglot can't read its SQL: {_first_line(error)}") from None
        if len(trees) != 1 or not isinstance(trees[0], exp.Query):
            raise ColumnLineageError("its SQL is not one query")
        tree = normalize_identifiers(trees[0], dialect=dialect)
        for operation in tree.find_all(exp.SetOperation):
            # sqlglot follows all of them by position.
            if any(operation.args.get(name) for name in ("by_name", "side", "kind", "on")):
                raise ColumnLineageError("it unites queries by name")
        for table in tree.find_all(exp.Table):
            # ... and these by the names behind the alias, or by those in front of it.
            if isinstance(table.this, exp.Identifier) and table.alias_column_names:
                raise ColumnLineageError("it gives the columns of a table other names")
        tables = frozenset(_parts(table) for table in tree.find_all(exp.Table))
        return cls(tables, dialect, tree)

    def table(self, relation: str) -> Table:
        """A relation that is written as in SQL, as it is in `tables`."""
        written = exp.to_table(relation, dialect=self._dialect)
        return _parts(normalize_identifiers(written, dialect=self._dialect))

    def name(self, column: str) -> str:
        """The name of a column of the database as the engine compares it."""
        identifier = exp.to_identifier(column, quoted=True)
        return normalize_identifiers(identifier, dialect=self._dialect).name

    def follow(self, known: Mapping[Table, Collection[str]]) -> Found:
        """What its columns are computed from.

        Args:
            known: All columns of relations that it reads, by `name`.

        Raises:
            ColumnLineageError: sqlglot can't make out what its columns mean.
        """
        schema = MappingSchema(dialect=self._dialect, normalize=False)
        try:
            for table, columns in known.items():
                identifiers = [exp.to_identifier(part, quoted=True) for part in reversed(table)]
                names = ("this", "db", "catalog")
                written = exp.Table(**dict(zip(names, identifiers, strict=False)))
                schema.add_table(written, dict.fromkeys(columns, "unknown"), normalize=False)
            tree = qualify(
                self._tree.copy(),
                dialect=self._dialect,
                schema=schema,
                # Which table a column is of is never guessed. That a name is an alias of the same
                # SELECT is certain only where no table can have a column of that name.
                infer_schema=False,
                expand_alias_refs=self._read_tables() <= known.keys(),
                validate_qualify_columns=False,
            )
            scope = build_scope(tree)
        except Exception as error:  # noqa: BLE001 - sqlglot raises what it likes
            raise ColumnLineageError(
                f"sqlglot can't follow its SQL: {_first_line(error)}"
            ) from None
        if scope is None:
            raise ColumnLineageError("sqlglot can't follow its SQL")
        names_given = tree.named_selects
        if _has_star(tree) or not all(names_given):
            raise ColumnLineageError(
                "it selects all columns (*) of something whose columns are not known"
            )
        found: dict[str, tuple[tuple[Table, str], ...]] = {}
        lost = {name: None for name in names_given if names_given.count(name) > 1}
        for name, step in self._steps(tree, scope):
            ends = None if step is None or name in lost else _ends(step, known)
            if ends is None:
                lost[name] = None
            elif ends:
                found[name] = tuple(sorted(ends))
        return Found(found, tuple(lost))

    def _read_tables(self) -> set[Table]:
        """The relations that it reads, without its own CTEs."""
        own = {cte.alias for cte in self._tree.find_all(exp.CTE)}
        return {table for table in self.tables if len(table) > 1 or table[0] not in own}

    def _steps(self, tree: Any, scope: Scope) -> Iterator[tuple[str, Step | None]]:
        """The query's columns with the beginning of their lineage; None where there is none."""
        options: dict[str, Any] = {
            "scope": scope, "trim_selects": False, "dialect": self._dialect, "copy": False
        }  # fmt: skip
        try:
            yield from lineage(None, tree, **options).items()
        except Exception:  # noqa: BLE001 - one column is at fault: the others are tried one by one
            for name in tree.named_selects:
                try:
                    yield name, lineage(exp.column(name, quoted=True), tree, **options)
                except Exception:  # noqa: BLE001
                    yield name, None


def _ends(
    step: Step, known: Mapping[Table, Collection[str]]
) -> dict[tuple[Table, str], None] | None:
    """The columns of relations at the end of a lineage; None where one end is not certain."""
    found: dict[tuple[Table, str], None] = {}
    for one in step.walk():
        if _has_star(one.source) or _is_pivoted(one.source) or _is_mixed(one.source):
            return None
        if isinstance(one.expression, exp.Query):
            return None  # sqlglot did not find the column, and took the whole query for it
        if isinstance(one.expression, exp.Placeholder):
            return None
        if not isinstance(one.expression, exp.Table):
            continue
        table, column = _parts(one.expression), exp.to_column(one.name).name
        if column not in known.get(table, ()):
            return None
        found[table, column] = None
    return found


def _has_star(query: Any) -> bool:
    """Whether nobody knows which columns a query has."""
    if isinstance(query, exp.SetOperation):
        return _has_star(query.this) or _has_star(query.expression)
    if isinstance(query, exp.Subquery):
        return _has_star(query.this)
    return isinstance(query, exp.Select) and any(
        part.is_star or part.find(exp.Columns) for part in query.expressions
    )


def _is_pivoted(query: Any) -> bool:
    """Whether a query reads what a PIVOT has made other columns of."""
    if not isinstance(query, exp.Select):
        return False
    read = [query.args.get("from_"), *query.args.get("joins", ())]
    return any(part.this.args.get("pivots") for part in read if part is not None)


def _is_mixed(source: Any) -> bool:
    """Whether columns come from something of which sqlglot takes every column to be made of all
    that is in it: a LATERAL subquery, VALUES of columns, UNNEST of several."""
    if isinstance(source, exp.Lateral):
        return source.find(exp.Query) is not None
    if isinstance(source, exp.Unnest):
        return len(source.expressions) > 1
    return isinstance(source, exp.UDTF) and source.find(exp.Column) is not None


def _parts(table: exp.Table) -> Table:
    return tuple(part.name for part in table.parts)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
