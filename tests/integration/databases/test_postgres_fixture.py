"""The PostgreSQL fixtures serve psycopg2, SQLAlchemy and SQLMesh, and leave nothing behind."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlmesh.core.config.connection import PostgresConnectionConfig

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

pytestmark = pytest.mark.postgres

seen_databases: list[str] = []


def names_of_databases(server: PostgresDatabase) -> set[str]:
    engine = sa.create_engine(server.url)
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        names = {row[0] for row in cursor.fetchall()}
    engine.dispose()
    return names


def test_sqlalchemy_connects(postgres_database: PostgresDatabase) -> None:
    seen_databases.append(postgres_database.database)
    engine = sa.create_engine(postgres_database.url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE flights (id int)"))
        assert connection.scalar(sa.text("SELECT current_database()")) == postgres_database.database
    # Not disposed of: the database is dropped all the same.


def test_sqlmesh_connects_and_the_database_is_new(postgres_database: PostgresDatabase) -> None:
    seen_databases.append(postgres_database.database)
    config = PostgresConnectionConfig(
        host=postgres_database.host,
        port=postgres_database.port,
        user=postgres_database.user,
        password=postgres_database.password,
        database=postgres_database.database,
    )
    adapter = config.create_engine_adapter()
    try:
        adapter.create_schema("marts")
        adapter.execute("CREATE TABLE marts.delays AS SELECT 1 AS minutes")
        assert adapter.fetchone("SELECT minutes FROM marts.delays") == (1,)
        assert adapter.fetchone("SELECT to_regclass('public.flights')") == (None,)
    finally:
        adapter.close()


def test_databases_of_earlier_tests_are_dropped(postgres: PostgresDatabase) -> None:
    if not seen_databases:
        pytest.skip("no test of this file ran before, in this process")
    left = names_of_databases(postgres)
    assert postgres.database in left
    assert not left & set(seen_databases)
