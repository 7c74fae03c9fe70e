"""What each column of a model is computed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from sqlglot import exp
from sqlglot.lineage import Node as Step
from sqlglot.lineage import lineage
from sqlglot.optimizer import Scope, build_scope
from sqlglot.optimizer.qualify import qualify
from sqlmesh.core.dialect import normalize_mapping_schema, normalize_model_name
from sqlmesh.core.model import Model

Columns = Mapping[str, Mapping[tuple[str, str], None]]
"""By column: the columns (fully qualified name of a model or table, column) that it is computed
from, in the query's order."""


class Lineage:
    """Column lineage of a project's models.

    As `sqlmesh.core.lineage` finds it, but for all columns of a model at a time: several times as
    fast, which decides whether a project of hundreds of models can have it by default.

    Args:
        models: All models of the project, by fully qualified name.
    """

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models
        self._found: dict[str, Columns] = {}

    def of(self, fqn: str) -> Columns:
        """What a model's columns are computed from; embedded models are looked through.

        Empty for what has no query: Python models, seeds, external models. A column of which it
        can't be found out is left out, and so is one that is computed from no column. Nothing is
        raised: a query that SQLMesh can run and its lineage can't follow is no reason to refuse a
        project.
        """
        if fqn not in self._found:
            model = self._models[fqn]
            self._found[fqn] = self._through_embedded(_direct(model)) if model.is_sql else {}
        return self._found[fqn]

    def _through_embedded(self, direct: Columns) -> Columns:
        found: dict[str, dict[tuple[str, str], None]] = {}
        for column, sources in direct.items():
            ends: dict[tuple[str, str], None] = {}
            for parent, name in sources:
                model = self._models.get(parent)
                if model is not None and model.kind.is_embedded:
                    ends.update(self.of(parent).get(name, {}))
                else:
                    ends[parent, name] = None
            if ends:
                found[column] = ends
        return found


def _direct(model: Any) -> Columns:
    """What a model's columns are computed from in its own query."""
    try:
        query = model.render_query_or_raise()
        if not _is_qualified(query):
            schema = normalize_mapping_schema(model.mapping_schema, dialect=model.dialect)
            query = qualify(
                query.copy(),
                dialect=model.dialect,
                schema=schema,
                infer_schema=True,
                validate_qualify_columns=False,
            )
        scope = build_scope(query)
    except Exception:  # noqa: BLE001 - see Lineage.of
        return {}
    if scope is None:
        return {}
    named: dict[int, str] = {}
    found: dict[str, dict[tuple[str, str], None]] = {}
    for column, step in _steps(query, scope, model.dialect):
        sources = dict.fromkeys(_ends(step, model, named))
        if sources:
            found[column] = sources
    return found


def _is_qualified(query: exp.Expr) -> bool:
    """Whether SQLMesh has qualified it, as it does where it knows all columns that are read.

    Doing that again would take most of the time. A column's table may be missing behind ORDER BY
    alone, where it means a column of the result.
    """
    return not any(select.is_star for select in query.find_all(exp.Select)) and all(
        column.table or column.find_ancestor(exp.Order) for column in query.find_all(exp.Column)
    )


def _steps(query: Any, scope: Scope, dialect: str) -> Iterator[tuple[str, Step]]:
    """The result's columns with the beginning of their lineage."""
    options: dict[str, Any] = {"scope": scope, "trim_selects": False, "dialect": dialect}
    try:
        yield from lineage(None, query, copy=False, **options).items()
    except Exception:  # noqa: BLE001 - one column is at fault: the others are tried one by one
        for name in query.named_selects:
            try:
                yield name, lineage(exp.column(name, quoted=True), query, copy=False, **options)
            except Exception:  # noqa: BLE001, S112 - see Lineage.of
                continue


def _ends(step: Step, model: Any, named: dict[int, str]) -> Iterator[tuple[str, str]]:
    """The columns of tables at the end of a lineage.

    Args:
        step: Its beginning.
        model: The model whose query it is of.
        named: The fully qualified names of that query's tables that are known by now.
    """
    for end in step.walk():
        table = None if end.downstream else end.expression.find(exp.Table)
        if table is None or end.name == "*":
            continue
        if id(table) not in named:
            named[id(table)] = normalize_model_name(
                table, default_catalog=model.default_catalog, dialect=model.dialect
            )
        yield named[id(table)], _column_name(end.name)


@lru_cache(maxsize=65_536)
def _column_name(sql: str) -> str:
    return exp.to_column(sql).name
