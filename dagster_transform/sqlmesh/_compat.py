"""Private parts of SQLMesh that this package touches, each with a contract test.

tests/contract/test_sqlmesh_compat.py fails, naming the part, when a new version moves one.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

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
        import sqlmesh
    except TypeError as error:
        if importlib.util.find_spec("sqlglotc") is None:
            raise
        # Compiled sqlglot classes can't be subclassed by SQLMesh's dialects.
        raise SqlmeshMissingError(
            f"SQLMesh can't be imported beside sqlglotc: {error}",
            remedy="pip uninstall sqlglotc (it comes with sqlglot[rs], which dagster-dbt requires)",
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


def cancel_statements(adapters: Iterable[Any], thread: int) -> None:
    """Ask the engines to end what `thread` (an ident) executes; harmless if it executes nothing.

    psycopg, psycopg2 and most drivers have `cancel` on the connection, DuckDB has `interrupt`.
    An engine that has neither goes on to the statement's end.
    """
    for adapter in adapters:
        pool = adapter._connection_pool
        for target in _open_connections(pool, thread):
            for name in ("interrupt", "cancel"):
                stop = getattr(target, name, None)
                if callable(stop):
                    with suppress(Exception):  # closed by now: then its statement has ended
                        stop()
                    break


def _open_connections(pool: Any, thread: int) -> list[Any]:
    # DuckDB's statements run on cursors, which are connections of their own.
    for name in ("_thread_connections", "_thread_cursors"):
        by_thread = getattr(pool, name, None)
        if by_thread is not None:
            connection = by_thread.get(thread)  # at once: the thread may be closing it
            return [] if connection is None else [connection]
    return [c for c in (pool._cursor, pool._connection) if c is not None]


def drop_connection(adapters: Iterable[Any]) -> None:
    """Close the calling thread's connections, so that the next statement opens new ones."""
    for adapter in adapters:
        adapter._connection_pool.close()


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


def unversioned_snapshots(context: Any, nodes: dict[str, Any]) -> dict[str, Any]:
    """Snapshots of local nodes with their fingerprints, made without asking the state."""
    snapshots: dict[str, Any] = context._nodes_to_snapshots(nodes)
    return snapshots


def existing_state(context: Any) -> Any | None:
    """The project's state as it is, or None where none was ever made.

    `context.state_sync` makes it; reading must not. After this, the context is good for reading
    only, and `close_connections` closes this state too.

    Raises:
        Exception: Whatever the driver raises where the state's database can't be reached.
    """
    state = context._state_sync = context._new_state_sync()
    # SQLMesh takes every error here for "there is no such table": a DuckDB file that another
    # process holds would look like a project that was never planned.
    state.engine_adapter.cursor  # noqa: B018 - connects
    if state.get_versions(validate=False).schema_version == 0:
        return None
    return state


def state_adapters(context: Any) -> list[Any]:
    """The engine adapter of an opened state; none where the state was not opened."""
    state = context._state_sync
    state = getattr(state, "state_sync", state)  # inside the cache, where there is one
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
