"""Connection identity: one text for one database."""

from __future__ import annotations

import pytest

from dagster_transform.databases.identity import duckdb_file, duckdb_identity, server_identity


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("postgres", "db.example", 5432, "shop"), "postgres:db.example:5432/shop"),
        (("postgres", "db.example", "5432", "shop"), "postgres:db.example:5432/shop"),
        (("postgres", "/var/run/pg", 5432, "shop"), "postgres:/var/run/pg:5432/shop"),
        (("snowflake", "account", None, "DB"), "snowflake:account/DB"),
        (("bigquery", "project"), "bigquery:project"),
        (("mysql", "host", 3306, ""), "mysql:host:3306"),
    ],
)
def test_a_server_is_named_by_its_engine_its_place_and_its_database(
    parts: tuple[str, str], text: str
) -> None:
    assert server_identity(*parts) == text


def test_a_file_is_found_in_its_identity() -> None:
    identity = duckdb_identity("/data/w.duckdb")
    assert identity == "duckdb:/data/w.duckdb"
    assert duckdb_file(identity) == "/data/w.duckdb"


@pytest.mark.parametrize(
    "identity",
    [
        duckdb_identity(":memory:"),
        duckdb_identity("md:cloud"),
        duckdb_identity("relative.duckdb"),  # an identity has resolved paths: this is none
        server_identity("postgres", "/var/run/pg", 5432, "shop"),
    ],
)
def test_what_is_no_file_has_none(identity: str) -> None:
    assert duckdb_file(identity) is None
