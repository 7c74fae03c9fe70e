"""Private parts of SQLMesh that this package touches, each with a contract test.

tests/contract/test_sqlmesh_compat.py fails, naming the part, when a new version moves one.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from dagster_transform.process.collector import kept
from dagster_transform.sqlmesh._compat_imports import less_imported
from dagster_transform.sqlmesh.connections import main_file, missing_files
from dagster_transform.sqlmesh.errors import SqlmeshMissingError


def import_sqlmesh() -> Any:
    """Import sqlmesh as an embedded library and return the module.

    SQLMesh forks process pools and starts an analytics thread when it is imported or loads a
    project, which a process with threads and open databases must not let it do. What the user has
    set is kept.

    Raises:
        SqlmeshMissingError: It is not installed, or sqlglotc stands beside it.
    """
    os.environ.setdefault("MAX_FORK_WORKERS", "1")
    os.environ.setdefault("SQLMESH__DISABLE_ANONYMIZED_ANALYTICS", "true")
    if importlib.util.find_spec("sqlmesh") is None:
        raise SqlmeshMissingError(
            "SQLMesh is not installed in this Python environment.",
            remedy="pip install 'dagster-transform[sqlmesh]'",
        )
    try:
        with kept("SQLMesh"), less_imported():
            import sqlmesh
    except TypeError as error:
        # It has no module of its name: its compiled files lie inside sqlglot's folder.
        if not list(importlib.metadata.distributions(name="sqlglotc")):
            raise
        # Compiled sqlglot classes can't be subclassed by SQLMesh's dialects.
        raise SqlmeshMissingError(
            f"SQLMesh can't be imported beside sqlglotc: {error}",
            remedy="pip uninstall sqlglotc. It comes with sqlglot[rs], which dagster-dbt requires:"
            " docs/compatibility.md says how to install both.",
        ) from error
    return sqlmesh


def load_materializations(context: Any) -> None:
    """Make a project's custom materialisations known without loading its models."""
    context._load_materializations()


def run_audit(evaluator: Any, audit: Any, arguments: dict[str, Any], **kwargs: Any) -> Any:
    """Run one audit and return SQLMesh's AuditResult.

    SQLMesh takes `blocking` out of the arguments that it is given, so it is given a copy.
    """
    return evaluator._audit(audit=audit, audit_args=dict(arguments), **kwargs)


def asking_for_columns_once(adapter: Any) -> Any:
    """An engine adapter, on the connections of this one, that asks for each table's columns once.

    SQLMesh asks for those of a model's table with each audit: a third of the computing that an
    audit takes.
    """
    asking = adapter.with_settings()
    ask = asking.columns
    found: dict[Any, dict[str, Any]] = {}

    def columns(table_name: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        key = (table_name, args, tuple(kwargs.items()))
        if key not in found:
            found[key] = ask(table_name, *args, **kwargs)
        return dict(found[key])

    asking.columns = columns
    return asking


def first_rows(adapter: Any, query: Any, most: int) -> tuple[list[str], list[Any]]:
    """The names of a query's columns, and its first rows; on this thread's connection."""
    from sqlglot import exp

    with adapter.transaction():
        adapter.execute(exp.select("*").from_(query.subquery("rows")).limit(most))
        cursor = adapter.cursor
        return [str(column[0]) for column in cursor.description], cursor.fetchall()


def plan_evaluator(context: Any) -> Any:
    """The evaluator whose `visit_*` methods carry out the stages of a plan."""
    from sqlmesh.core.plan.evaluator import BuiltInPlanEvaluator

    return BuiltInPlanEvaluator(
        state_sync=context.state_sync,
        snapshot_evaluator=context.snapshot_evaluator,
        create_scheduler=context.create_scheduler,
        default_catalog=context.default_catalog,
        console=context.console,
    )


def select_by_fqn(context: Any) -> None:
    """Let plans of a Context take fully qualified names in `select_models` too.

    SQLMesh's own expressions have no way to write a model whose name has a blank or a slash.
    """

    class Selector(context._selector_cls):  # type: ignore[misc]  # a class of SQLMesh's
        def expand_model_selections(
            self, model_selections: Iterable[str], models: dict[str, Any] | None = None
        ) -> set[str]:
            known, asked = models or dict(self._models), set(model_selections)
            found = asked & known.keys()
            if asked - found:
                found |= super().expand_model_selections(asked - found, models)
            return found

    context._selector_cls = Selector


def unversioned_snapshots(context: Any, nodes: dict[str, Any]) -> dict[str, Any]:
    """Snapshots of local nodes with their fingerprints, made without asking the state."""
    snapshots: dict[str, Any] = context._nodes_to_snapshots(nodes)
    return snapshots


def model_selector(context: Any) -> Callable[[Iterable[str]], Collection[str]]:
    """What gives the models that expressions of SQLMesh's selection syntax choose, by fully
    qualified name. The state is not asked."""
    selector = context._selector_cls(
        None,
        models=context._models,
        context_path=context.path,
        dag=context.dag,
        default_catalog=context.default_catalog,
        dialect=context.default_dialect,
        cache_dir=context.cache_dir,
    )
    expand: Callable[[Iterable[str]], Collection[str]] = selector.expand_model_selections
    return expand


def environment_statements(context: Any) -> list[Any]:
    """The before_all and after_all statements of a loaded project's files."""
    statements: list[Any] = context._environment_statements
    return statements


def existing_state(context: Any) -> Any | None:
    """The project's state as it is, or None where none was ever made.

    `context.state_sync` makes it, and connecting makes a DuckDB file that is not there; reading
    must do neither. After this, a context whose state was not opened before is good for reading
    only, and `close_connections` closes this state too.

    Raises:
        Exception: Whatever the driver raises where the state's database can't be reached.
    """
    if context._state_sync is not None:
        return context._state_sync
    if _has_no_state(context):
        return None
    state = context._state_sync = context._new_state_sync()
    # SQLMesh takes every error here for "there is no such table": a DuckDB file that another
    # process holds would look like a project that was never planned.
    state.engine_adapter.cursor  # noqa: B018 - connects
    if state.get_versions(validate=False).schema_version == 0:
        return None
    return state


def _has_no_state(context: Any) -> bool:
    """Whether the DuckDB file is missing that the state would be in; or another one that connecting
    would make beside it, and nothing but the file itself says that there is no state in it."""
    connection = state_connection(context)
    file = main_file(connection)
    if file is None or not missing_files([connection]):
        return False
    if not Path(file).exists():
        return Path(file).parent.is_dir()  # else connecting says what is wrong
    import duckdb

    schema = context.config.get_state_schema(context.gateway) or "main"
    with closing(duckdb.connect(file)) as peek:
        found = peek.execute(
            "SELECT 1 FROM duckdb_tables() WHERE schema_name = ? AND table_name = '_versions'",
            [schema],
        ).fetchone()
    return found is None


def state_connection(context: Any) -> Any:
    """The connection config of the project's state."""
    return context.config.get_state_connection(context.gateway) or context.connection_config


def open_state(context: Any) -> Any:
    """The project's state, for planning and for runs; where none was ever made, an empty one in
    memory, which `make_state` puts the project's own in the place of.

    Raises:
        Exception: Whatever the driver raises where the state's database can't be reached, and
            SQLMesh where the state is of another version.
    """
    from sqlmesh.core.config.connection import DuckDBConnectionConfig
    from sqlmesh.core.state_sync import EngineAdapterStateSync
    from sqlmesh.core.state_sync.cache import CachingStateSync

    if context._state_sync is None:
        state = existing_state(context)
        if state is None:
            for adapter in state_adapters(context):
                adapter.close()
            state = context._provided_state_sync = EngineAdapterStateSync(
                DuckDBConnectionConfig().create_engine_adapter(),
                schema="sqlmesh",
                cache_dir=context.cache_dir,
                console=context.console,
            )
            state.migrate()
        state.get_versions()
        context._state_sync = CachingStateSync(state)  # type: ignore[abstract]
    return context._state_sync


def make_state(context: Any) -> None:
    """Have `context.state_sync` make the project's own state, where `open_state` found none."""
    if context._provided_state_sync is not None:
        context._provided_state_sync.engine_adapter.close()
        context._provided_state_sync = context._state_sync = None


def load_files(context: Any) -> Any | None:
    """Load a project's files for reading only; returns the state, as `existing_state` does.

    Where its configuration has a `project` name, SQLMesh adds to the files what other projects
    have in the state; a state that is not there it would make.

    Raises:
        Exception: Whatever SQLMesh or a driver raises.
    """
    state = existing_state(context)
    projects = context._projects
    if state is None:
        context._projects = set()
    try:
        context.load()
    finally:
        context._projects = projects
    return state


def _inner(state: Any) -> Any:
    """The state inside its cache, where it has one."""
    return getattr(state, "state_sync", state)


def remove_development_intervals(
    state: Any, intervals: Iterable[tuple[Any, tuple[int, int]]]
) -> None:
    """Remove intervals of development tables from the state, by snapshot.

    The state's own `remove_intervals` knows only those of tables that production may use.
    """
    from sqlmesh.core.state_sync.db.interval import _intervals_to_df

    store = _inner(state).interval_state
    store.engine_adapter.insert_append(
        store.intervals_table,
        _intervals_to_df(list(intervals), is_dev=True, is_removed=True),
        target_columns_to_types=store._interval_columns_to_types,
        track_rows_processed=False,
    )


def interval_rows(state: Any) -> int:
    """How many rows of intervals the state has."""
    from sqlglot import exp

    state = _inner(state)
    table = state.interval_state.intervals_table
    (count,) = state.engine_adapter.fetchone(exp.select(exp.Count(this=exp.Star())).from_(table))
    return int(count)


def cleanup_adapters(context: Any, environment: Any) -> tuple[Any, dict[str, Any], str | None]:
    """The adapters that reach the views of an environment as they were when it was planned.

    Returns:
        The default one, those by gateway, and why there are none, if there are none.
    """
    find = getattr(context, "_cleanup_adapters_for_environment", None)
    if find is None:  # before 0.236.2 SQLMesh's own janitor takes those of today
        return context.engine_adapter, context.engine_adapters, None
    default, by_gateway, failure = find(environment)
    return default, by_gateway, failure


def cells_of(interval: tuple[int, int], unit: Any) -> list[tuple[int, int]]:
    """The smallest parts of an interval that can be built alone: the days of a daily model.

    Args:
        interval: `[start, end)` in epoch milliseconds.
        unit: The model's IntervalUnit.
    """
    from sqlmesh.core.scheduler import _expand_range_as_interval

    return [(start, end) for start, end in _expand_range_as_interval(*interval, unit)]


def forget_snapshots(state: Any) -> None:
    """Have the state read snapshots anew, as objects of their own.

    It gives the same objects again for two minutes, and refreshing their intervals would change
    them while somebody builds with them.
    """
    cache = getattr(state, "snapshot_cache", None)
    if cache is not None:
        cache.clear()


class _QueriesOfSome:
    """Stands in for SQLMesh's cache of optimised queries: knows those of some models only."""

    def __init__(self, whole: Any, names: Collection[str]) -> None:
        self._whole = whole
        self._names = names

    def put(self, model: Any) -> str | None:
        return self._whole.put(model) if self._wants(model) else None

    def with_optimized_query(self, model: Any, name: str | None = None) -> bool:
        return self._wants(model) and bool(self._whole.with_optimized_query(model, name))

    def _wants(self, model: Any) -> bool:
        # An embedded model's query becomes a part of those that read it.
        return model.fqn in self._names or model.kind.is_embedded


def fetch_snapshots(
    state: Any, records: Iterable[Any], queries_of: Collection[str]
) -> dict[Any, Any]:
    """Snapshots from the state, of which only some will be built.

    SQLMesh would read the optimised query of every one from its cache, twice, or make it where the
    cache is empty: two thirds of the time. A query that is left out and needed after all is made
    when it is needed.

    Args:
        state: The project's state.
        records: Which snapshots; an environment's records will do.
        queries_of: Fully qualified names of those that will be built or judged.
    """
    store = getattr(_inner(state), "snapshot_state", None)
    if store is None:  # a state of another make
        return dict(state.get_snapshots(records))
    cache = store._snapshot_cache
    whole = cache._optimized_query_cache
    cache._optimized_query_cache = _QueriesOfSome(whole, queries_of)
    try:
        return dict(state.get_snapshots(records))
    finally:
        cache._optimized_query_cache = whole


def state_adapters(context: Any) -> list[Any]:
    """The engine adapter of an opened state; none where the state was not opened."""
    state = _inner(context._state_sync)
    return [state.engine_adapter] if state is not None else []


def close_connections(context: Any) -> None:
    """Close every connection of a context; the next statement opens new ones.

    `Context.close` leaves out the adapter that looks up the default catalog.
    """
    context.close()
    if context._engine_adapter is not None:
        context._engine_adapter.close()
    for adapter in context.__dict__.get("engine_adapters", {}).values():
        adapter.close()


def statements_as_written(thing: Any) -> list[str]:
    """The statements of a SQL model or an audit: those before its query, the query, those after
    it. SQLMesh's public attributes have them parsed, without their comments and line breaks."""
    query = getattr(thing, "query_", None)
    before = (getattr(thing, "pre_statements_", None) or getattr(thing, "expressions_", None)) or ()
    after = getattr(thing, "post_statements_", None) or ()
    found = [*before, *([query] if query is not None else []), *after]
    return [str(statement.sql) for statement in found]
