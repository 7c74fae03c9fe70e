"""Resource keys: what is made is read back, and what is no key is refused."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.databases.identity import duckdb_identity, server_identity
from dagster_transform.errors import TransformError
from dagster_transform.graph import Relation
from dagster_transform.planning import ResourceKey, ResourceKeyError, ResourceKind

SERVER = server_identity("postgres", "db", 5432, "shop")
FILE = duckdb_identity("/data/w.duckdb")


@pytest.mark.parametrize(
    ("key", "text", "kind", "name"),
    [
        (
            ResourceKey.table(Relation(SERVER, "shop", "sqlmesh__mart", "mart__a__1")),
            "table:postgres:db:5432/shop/shop.sqlmesh__mart.mart__a__1",
            ResourceKind.TABLE,
            "postgres:db:5432/shop/shop.sqlmesh__mart.mart__a__1",
        ),
        (
            ResourceKey.table(Relation(FILE, None, "main", "a")),
            "table:duckdb:/data/w.duckdb/main.a",
            ResourceKind.TABLE,
            "duckdb:/data/w.duckdb/main.a",
        ),
        (
            ResourceKey.file("/data/w.duckdb"),
            "file:/data/w.duckdb",
            ResourceKind.FILE,
            "/data/w.duckdb",
        ),
        (
            ResourceKey.environment(f"{SERVER}/sqlmesh", "prod"),
            "environment:postgres:db:5432/shop/sqlmesh/prod",
            ResourceKind.ENVIRONMENT,
            "postgres:db:5432/shop/sqlmesh/prod",
        ),
        (ResourceKey.tag("heavy"), "tag:heavy", ResourceKind.TAG, "heavy"),
        (ResourceKey.tag("team:x"), "tag:team:x", ResourceKind.TAG, "team:x"),
        (
            ResourceKey.connections(SERVER),
            "connections:postgres:db:5432/shop",
            ResourceKind.CONNECTIONS,
            "postgres:db:5432/shop",
        ),
    ],
)
def test_a_key_is_a_kind_and_a_name(
    key: ResourceKey, text: str, kind: ResourceKind, name: str
) -> None:
    """The texts are those in the claims stores that users have: another one would be another
    resource, and what is paused under the first is not paused."""
    assert key == text
    assert (key.kind, key.name) == (kind, name)
    assert ResourceKey.parse(text) == key


@pytest.mark.parametrize(
    "text", ["", ":", "table", "table:", ":a", "mart.a", "marts:mart.a", "Table:x", " table:x"]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ResourceKeyError) as raised:
        ResourceKey.parse(text)
    assert raised.value.text == text
    assert isinstance(raised.value, TransformError)
    assert "table:..., file:..., environment:..., tag:..., connections:..." in str(raised.value)


@given(st.sampled_from(ResourceKind), st.text(min_size=1))
def test_whatever_is_made_is_read_back(kind: ResourceKind, name: str) -> None:
    key = ResourceKey.parse(f"{kind.value}:{name}")
    assert (key.kind, key.name) == (kind, name)
    assert ResourceKey.parse(str(key)) == key


def test_two_kinds_with_one_name_are_two_resources() -> None:
    assert len({ResourceKey.parse(f"{kind.value}:x") for kind in ResourceKind}) == len(ResourceKind)


def test_a_key_is_stored_and_shown_as_text() -> None:
    key = ResourceKey.tag("heavy")
    assert json.loads(json.dumps({key: key})) == {"tag:heavy": "tag:heavy"}
    assert f"{key}" == "tag:heavy"
    assert {"tag:heavy": 1}[key] == 1
    again = pickle.loads(pickle.dumps(key))
    assert (again, type(again)) == (key, ResourceKey)
