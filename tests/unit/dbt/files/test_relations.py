from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.dbt.files.relations import (
    all_identities,
    connection_identity,
    relation_of,
    table_name,
)
from dagster_transform.graph import Relation
from tests.support.dbt_resources import resource, source


def test_the_table_is_as_dbt_writes_it() -> None:
    assert table_name(resource(database="DB", alias="Big")) == "DB.main.Big"
    assert table_name(resource(database=None)) == "main.orders"


# -- relations -----------------------------------------------------------------------------------

PLACE = ConnectionIdentity("c")
DIALECTS = {
    "athena": "athena", "bigquery": "bigquery", "clickhouse": "clickhouse",
    "databricks": "databricks", "duckdb": "duckdb", "materialize": "materialize",
    "mysql": "mysql", "oracle": "oracle", "postgres": "postgres", "redshift": "redshift",
    "risingwave": "risingwave", "snowflake": "snowflake", "spark": "spark", "sqlite": "sqlite",
    "sqlserver": "tsql", "starrocks": "starrocks", "trino": "trino",
}  # fmt: skip


@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize("adapter", sorted(DIALECTS))
def test_a_relation_is_normalised_as_sqlmesh_does_it(adapter: str, quoted: bool) -> None:
    parts = ("Db", "Shop", "Orders")
    table = exp.table_("Orders", "Shop", "Db", quoted=quoted)
    normal = normalize_identifiers(table, dialect=DIALECTS[adapter])
    # BigQuery's tables are case-sensitive, and sqlglot knows it only of a table in a query.
    expected = parts if adapter == "bigquery" else tuple(part.name for part in normal.parts)
    written = ".".join(f'"{part}"' if quoted else part for part in parts)
    found = relation_of(
        resource(database="Db", schema="Shop", alias="Orders", relation_name=written),
        adapter,
        PLACE,
    )
    assert found == Relation(PLACE, *expected)


def test_a_source_is_where_its_identifier_says() -> None:
    found = relation_of(source(name="o", identifier="Raw_Orders"), "postgres", PLACE)
    assert found == Relation(PLACE, "db", "main", "raw_orders")  # nothing in it is quoted


def test_parts_that_an_engine_lacks_are_none() -> None:
    found = relation_of(resource(database=None, relation_name="main.orders"), "spark", PLACE)
    assert found == Relation(PLACE, None, "main", "orders")


# -- connections ---------------------------------------------------------------------------------


def identity(connection: dict[str, Any], database: str | None = None) -> ConnectionIdentity:
    return connection_identity(connection, folder=Path("/p/dbt"), project="d", database=database)


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (
            {"type": "postgres", "host": "db.example", "port": 5432, "database": "w"},
            "postgres:db.example:5432/w",
        ),
        ({"type": "snowflake", "account": "ab1", "database": "W"}, "snowflake:ab1/W"),
        ({"type": "bigquery", "database": "my-project"}, "bigquery:my-project/my-project"),
        (
            {"type": "databricks", "host": "x.example", "database": "main"},
            "databricks:x.example/main",
        ),
        (
            {"type": "sqlserver", "host": "h", "port": 1433, "database": "w"},
            "mssql:h:1433/w",
        ),
        ({"type": "athena", "region_name": "eu", "database": "c"}, "athena:eu/c"),
        ({"type": "duckdb", "path": "data/w.duckdb"}, "duckdb:/p/dbt/data/w.duckdb"),
        ({"type": "duckdb", "path": "/x/../w.duckdb"}, "duckdb:/w.duckdb"),
        ({"type": "duckdb", "path": ":memory:"}, "duckdb::memory:d"),
        ({"type": "duckdb"}, "duckdb::memory:d"),
        ({"type": "duckdb", "path": "md:cloud"}, "motherduck:/cloud"),
        ({"type": "duckdb", "path": "s3://bucket/w.duckdb"}, "duckdb:s3://bucket/w.duckdb"),
    ],
)
def test_a_connection_is_the_database_itself(connection: dict[str, Any], expected: str) -> None:
    assert identity(connection) == expected


def test_each_attached_file_is_a_database_of_its_own() -> None:
    connection = {
        "type": "duckdb",
        "path": "w.duckdb",
        "attach": [
            {"path": "other/lake.duckdb", "alias": None, "type": "duckdb"},
            {"path": "raw.duckdb", "alias": "Landing", "type": "duckdb"},
            {"path": None, "alias": "crm", "type": "postgres"},
        ],
    }
    assert identity(connection, "w") == identity(connection) == "duckdb:/p/dbt/w.duckdb"
    assert identity(connection, "lake") == "duckdb:/p/dbt/other/lake.duckdb"
    assert identity(connection, "landing") == "duckdb:/p/dbt/raw.duckdb"
    assert identity(connection, "crm") == "duckdb:/p/dbt/w.duckdb#crm"
    everything = all_identities(connection, folder=Path("/p/dbt"), project="d")
    assert identity(connection) in everything
    assert {identity(connection, "landing"), identity(connection, "crm")} <= everything
