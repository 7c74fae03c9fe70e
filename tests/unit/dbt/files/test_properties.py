from __future__ import annotations

from typing import Any

import pytest

from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.dbt.errors import NodeConfigError
from dagster_transform.dbt.files.crons import cron_of
from dagster_transform.dbt.files.properties import properties_of
from dagster_transform.graph import Relation
from dagster_transform.planning import CONCURRENCY
from tests.support.dbt_resources import resource


def concurrency(tags: Any) -> str | None:
    found = resource(meta={"dagster_transform": {"tags": tags}})
    place = ConnectionIdentity("postgres:db/shop")
    relation = Relation(place, "shop", "mart", "orders")
    properties = properties_of(found, adapter="postgres", relation=relation, functions=())
    assert cron_of(found, None, None) == (None, None)
    return properties.get(CONCURRENCY)


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ({"heavy": 2}, "heavy:2"),
        ({"heavy": 2, "gpu": 1}, "heavy:2 gpu"),
        (["heavy", "gpu"], "heavy gpu"),
        (["heavy:2"], "heavy:2"),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_concurrency_tags_in_meta_are_a_property_of_the_node(tags: Any, text: str | None) -> None:
    assert concurrency(tags) == text


@pytest.mark.parametrize(
    "tags",
    ["heavy", 2, {"heavy": "2"}, {"heavy": 0}, {"heavy": True}, {"a b": 1}, ["a b"], [1], {1: 1}],
)
def test_concurrency_tags_that_are_none_name_the_node(tags: Any) -> None:
    with pytest.raises(NodeConfigError) as raised:
        concurrency(tags)
    assert f"meta.dagster_transform.tags is {tags!r}; a mapping of tags" in str(raised.value)
    assert "model.shop.orders (models/orders.sql)" in str(raised.value)
