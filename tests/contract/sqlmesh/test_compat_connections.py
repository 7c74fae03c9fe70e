"""Private parts that a new SQLMesh must have: its connections."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from dagster_transform.sqlmesh import _compat, _compat_connections
from tests.support.private_parts import part

# -- connections ----------------------------------------------------------------------------------


def test_connection_pools() -> None:
    """What cancel_statements looks for: connections and cursors by thread."""
    _compat.import_sqlmesh()
    from sqlmesh.utils import connection_pool as pools

    class Connection:
        cancelled = 0

        def cursor(self) -> Connection:
            return self

        def cancel(self) -> None:
            Connection.cancelled += 1

        def close(self) -> None: ...

    class Adapter:
        def __init__(self, pool: Any) -> None:
            self._connection_pool = pool

    from threading import get_ident

    for pool, attributes in {
        pools.ThreadLocalConnectionPool(Connection): ["_thread_connections"],
        pools.ThreadLocalSharedConnectionPool(Connection): ["_thread_cursors"],
        pools.SingletonConnectionPool(Connection): ["_cursor", "_connection"],
    }.items():
        name = type(pool).__name__
        for attribute in attributes:
            part(pool, attribute, f"{name}.{attribute}")
        pool.get_cursor()
        before = Connection.cancelled
        _compat_connections.cancel_statements([Adapter(pool)], get_ident())
        assert Connection.cancelled > before, f"{name}: its connection was not found"
        before = Connection.cancelled
        _compat_connections.drop_connection([Adapter(pool)])
        if not isinstance(pool, pools.ThreadLocalSharedConnectionPool):
            _compat_connections.cancel_statements([Adapter(pool)], get_ident())
            assert Connection.cancelled == before, f"{name}: close() no longer forgets"


def test_backends_are_named_where_pools_connect() -> None:
    """`name_backends`: what an adapter connects by is a partial, which each pool asks anew."""
    _compat.import_sqlmesh()
    from sqlmesh.core.config.connection import PostgresConnectionConfig

    for tasks in (1, 4):
        config = PostgresConnectionConfig(
            host="/nowhere", user="u", password="p", port=1, database="d",
            application_name="mine", concurrent_tasks=tasks,
        )  # fmt: skip
        adapter = config.create_engine_adapter()
        derived = adapter.with_settings()
        factory = part(adapter._connection_pool, "_connection_factory", "ConnectionPool's factory")
        assert factory.keywords["application_name"] == "mine"
        _compat_connections.name_backends(adapter, lambda theirs: f"{theirs} ours", lambda: None)
        for one in (adapter, derived):
            assert one._connection_pool._connection_factory is not factory
            with pytest.raises(psycopg2.OperationalError, match="nowhere"):
                one._connection_pool.get()


def test_engine_adapter_connection_pool(context: Any) -> None:
    adapter = context.engine_adapter
    pool = part(adapter, "_connection_pool", "EngineAdapter._connection_pool")
    for name in ("get", "get_cursor", "close", "close_all"):
        part(pool, name, f"ConnectionPool.{name}")


def test_an_adapter_remembers_what_was_not_there(planned: Any) -> None:
    """`forget_tables`: else a table that another process has made meanwhile is not seen."""
    from sqlmesh.core.snapshot import DeployabilityIndex

    evaluator = planned.snapshot_evaluator
    adapter = evaluator.adapter
    snapshot = next(s for s in planned.snapshots.values() if s.is_model and not s.is_symbolic)
    table = snapshot.table_name()
    adapter.execute(f"DROP {'VIEW' if snapshot.is_view else 'TABLE'} {table} CASCADE")
    evaluator.get_snapshots_to_create([snapshot], DeployabilityIndex.all_deployable())
    adapter.execute(f"CREATE TABLE {table} (n INT)")
    assert not adapter.table_exists(table), "EngineAdapter remembers no absence any more"
    _compat_connections.forget_tables(adapter, table)
    assert adapter.table_exists(table)
    adapter.execute(f"DROP TABLE {table}")
    evaluator.get_snapshots_to_create([snapshot], DeployabilityIndex.all_deployable())
    adapter.execute(f"CREATE TABLE {table} (n INT)")
    _compat_connections.forget_tables(adapter)
    assert adapter.table_exists(table)


def test_drivers_can_cancel() -> None:
    import duckdb
    import psycopg2.extensions

    part(duckdb.DuckDBPyConnection, "interrupt", "duckdb's interrupt")
    part(psycopg2.extensions.connection, "cancel", "psycopg2's cancel")
