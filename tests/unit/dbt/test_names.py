from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from dagster_transform.dbt.errors import NodeConfigError
from dagster_transform.dbt.files.names import (
    asset_key,
    connection_identity,
    name_of,
    relation_of,
    settings_of,
    table_name,
)
from dagster_transform.graph import Relation


def resource(**fields: Any) -> dict[str, Any]:
    """A model, as a manifest has it."""
    return {
        "unique_id": "model.shop.orders", "resource_type": "model", "name": "orders",
        "alias": "orders", "package_name": "shop", "original_file_path": "models/orders.sql",
        "database": "db", "schema": "main", "relation_name": '"db"."main"."orders"',
        "config": {}, "meta": {}, **fields,
    }  # fmt: skip


def source(**fields: Any) -> dict[str, Any]:
    given = {"resource_type": "source", "source_name": "till", "identifier": "orders", **fields}
    return resource(**given)


CUSTOM = {"dagster": {"asset_key": ["a", "b", "c"]}}


@pytest.mark.parametrize(
    ("found", "key"),
    [
        # In the order of the rules: each is given what those below it look at, too.
        (resource(config={"meta": CUSTOM, "schema": "s"}, version=1), ("a", "b", "c")),
        (resource(config={"schema": "s"}, meta=CUSTOM), ("a", "b", "c")),
        (source(meta=CUSTOM), ("a", "b", "c")),
        (source(config={"schema": "s"}), ("till", "orders")),
        (resource(version=1, alias="orders_v1", config={"schema": "s"}), ("orders_v1",)),
        (resource(config={"schema": "s"}, schema="main_s", alias="other"), ("s", "orders")),
        (resource(alias="other"), ("orders",)),
        # config.meta hides meta wherever it has anything at all.
        (resource(config={"meta": {"x": 1}}, meta=CUSTOM), ("orders",)),
        (resource(meta={"dagster": {"asset_key": "one"}}), ("one",)),
    ],
)
def test_the_first_rule_that_applies_gives_the_key(
    found: dict[str, Any], key: tuple[str, ...]
) -> None:
    assert asset_key(found) == key


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"dagster": {"asset_key": 5}}, "meta.dagster.asset_key is 5; a list of texts"),
        ({"dagster": {"asset_key": ["a", ""]}}, "meta.dagster.asset_key is ['a', '']"),
        ({"dagster": "key"}, "meta.dagster is 'key'; a mapping is expected"),
    ],
)
def test_a_key_that_is_none_names_the_node_and_its_file(meta: dict[str, Any], told: str) -> None:
    with pytest.raises(NodeConfigError) as raised:
        asset_key(resource(meta=meta))
    assert told in str(raised.value)
    assert "model.shop.orders (models/orders.sql)" in str(raised.value)


def test_settings_are_found_in_either_meta() -> None:
    settings = {"dagster_transform": {"cron": "@daily"}}
    assert settings_of(resource(meta=settings), "dagster_transform") == {"cron": "@daily"}
    assert settings_of(resource(config={"meta": settings}), "dagster_transform")["cron"] == "@daily"
    assert settings_of(resource(), "dagster_transform") == {}


def test_names_are_those_that_people_select_by() -> None:
    assert name_of(resource()) == "orders"
    assert name_of(resource(version=2)) == "orders.v2"
    assert name_of(resource(version="a")) == "orders.va"
    assert name_of(source(name="lines")) == "till.lines"


def test_the_table_is_as_dbt_writes_it() -> None:
    assert table_name(resource(database="DB", alias="Big")) == "DB.main.Big"
    assert table_name(resource(database=None)) == "main.orders"


# -- relations -----------------------------------------------------------------------------------

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
        resource(database="Db", schema="Shop", alias="Orders", relation_name=written), adapter, "c"
    )
    assert found == Relation("c", *expected)


def test_a_source_is_where_its_identifier_says() -> None:
    found = relation_of(source(name="o", identifier="Raw_Orders"), "postgres", "c")
    assert found == Relation("c", "db", "main", "raw_orders")  # nothing in it is quoted


def test_parts_that_an_engine_lacks_are_none() -> None:
    found = relation_of(resource(database=None, relation_name="main.orders"), "spark", "c")
    assert found == Relation("c", None, "main", "orders")


# -- connections ---------------------------------------------------------------------------------


def identity(connection: dict[str, Any], database: str | None = None) -> str:
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
