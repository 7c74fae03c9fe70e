"""Backends of a PostgreSQL server, and their names."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import psycopg2

from dagster_transform.databases.identity import ConnectionIdentity, server_identity
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database

NODE: Any = SimpleNamespace(model_gateway=None)
MODELS = {
    f"mart.m{i}": "kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1), "
    "start '2024-03-01'\n---\nSELECT @start_ds::DATE AS ds FROM pg_sleep(0.2)"
    for i in range(2)
}
OURS = "dagster-transform:"


def named(database: Database) -> dict[int, str]:
    """The application names of the backends in the database that are a run's, by process."""
    found = database.rows(
        "SELECT pid, application_name FROM pg_stat_activity WHERE datname = current_database() "
        f"AND pid <> pg_backend_pid() AND application_name LIKE '%{OURS}%'"
    )
    return dict(found)


def backend(where: PostgresDatabase, name: str) -> Any:
    """A connection, whose backend is there until it is closed."""
    connection = psycopg2.connect(
        host=where.host, port=where.port, user=where.user, password=where.password,
        dbname=where.database, application_name=name,
    )  # fmt: skip
    connection.autocommit = True
    return connection


def identity_of(where: PostgresDatabase) -> ConnectionIdentity:
    return server_identity("postgres", where.host, where.port, where.database)


def ask(connection: Any) -> Callable[[str], list[Any]]:
    def asked(statement: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    return asked
