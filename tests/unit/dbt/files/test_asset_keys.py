from __future__ import annotations

from typing import Any

import pytest

from dagster_transform.dbt.errors import NodeConfigError
from dagster_transform.dbt.files.asset_keys import asset_key, name_of
from tests.support.dbt_resources import resource, source

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


def test_names_are_those_that_people_select_by() -> None:
    assert name_of(resource()) == "orders"
    assert name_of(resource(version=2)) == "orders.v2"
    assert name_of(resource(version="a")) == "orders.va"
    assert name_of(source(name="lines")) == "till.lines"
