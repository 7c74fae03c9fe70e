"""What the golden files of tests/golden/dbt do not show: the odd ends of dbt's translation."""

from __future__ import annotations

import logging
from typing import Any

import dagster as dg
import pytest
from dagster._utils.tags import is_valid_tag_key

from dagster_transform import TransformTranslator
from dagster_transform.dagster.definitions.errors import DuplicateKeyError
from dagster_transform.dagster.translation import dbt_translation
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.graph import Check, Column, Graph, Node, Relation, Source

TRANSLATOR = TransformTranslator()


def node(name: str = "orders", package: str = "shop", **fields: Any) -> Node:
    reference = f"model.{package}.{name}"
    given: dict[str, Any] = {
        "id": f"d:{reference}", "project": "d", "framework": "dbt", "reference": reference,
        "name": name, "key": (name,), "kind": "table", **fields,
        "relation": Relation("duckdb:/w", "w", package, fields.get("table", name)),
        "properties": {"adapter": "duckdb", **fields.get("properties", {})},
    }  # fmt: skip
    given.pop("table", None)
    return Node(**given)


def source(table: str) -> Source:
    relation = Relation("duckdb:/w", "w", "shop", table)
    return Source("d:source.shop.raw.o", "d", "source.shop.raw.o", "raw.o", relation, key=("o",))


def test_a_dbt_node_without_a_group_has_none() -> None:
    assert TRANSLATOR.get_group_name(node()) is None
    assert TRANSLATOR.get_group_name(node(group="a group")) == "a_group"


def test_a_version_is_no_part_of_what_a_node_is_called_without_a_description() -> None:
    versioned = node(reference="model.shop.orders.v2", name="orders.v2")
    assert (TRANSLATOR.get_description(versioned) or "").startswith("dbt model orders\n\n####")


@pytest.mark.parametrize(
    "tag",
    [
        *("daily", "a.b-c_d", "team/daily", "x" * 63),
        *("x" * 64, "a/b/c", "a b", "a:b", "", "é", "a/", "/a", "a\n"),
    ],
)
def test_a_tag_is_kept_where_dagster_takes_it(tag: str) -> None:
    found = TRANSLATOR.get_tags(node(tags=(tag,)))
    # Dagster's pattern lets a line break at the end pass.
    assert found == ({tag: ""} if is_valid_tag_key(tag) and not tag.endswith("\n") else {})


def test_a_tag_that_is_left_out_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    dbt_translation._is_tag.cache_clear()
    with caplog.at_level(logging.WARNING, "dagster_transform"):
        for _ in range(3):
            TRANSLATOR.get_tags(node(tags=("not me!", "me")))
    assert caplog.messages == ["The dbt tag 'not me!' is left out: Dagster does not take it."]


def test_constraints_and_tags_of_columns() -> None:
    facts = '{"id": {"constraints": ["primary_key", "check (id > 0)"], "tags": ["key", "a b"]}, '
    facts += '"n": {"constraints": ["unique"]}, "m": {"constraints": ["not_null"]}}'
    columns = (Column("id", "int"), Column("n"), Column("m"), Column("free"))
    found = TRANSLATOR.get_metadata(node(columns=columns, properties={"columns": facts}))
    schema: dg.TableSchema = found["dagster/column_schema"]
    shown = {
        c.name: (c.type, c.constraints.nullable, c.constraints.unique, list(c.constraints.other))
        for c in schema.columns
    }
    assert shown == {
        "id": ("int", False, True, ["primary_key", "check (id > 0)"]),
        "n": ("?", True, True, []),
        "m": ("?", False, False, []),
        "free": ("?", True, False, []),
    }
    assert dict(schema.columns[0].tags or {}) == {"key": ""}


def test_metadata_has_the_cron_and_the_zone_and_the_meta_as_json() -> None:
    properties = {"meta": '{"a": [1]}', "table_name": "W.Main.Orders"}
    found = TRANSLATOR.get_metadata(
        node(cron="@daily", time_zone="Europe/Zurich", properties=properties)
    )
    assert found["dagster_transform/cron"] == "@daily Europe/Zurich"
    assert found["dagster_transform/meta"] == dg.MetadataValue.json({"a": [1]})
    assert found["dagster/table_name"] == "W.Main.Orders"
    assert "dagster/code_references" not in found  # there is no root


def test_a_check_has_the_id_of_its_test() -> None:
    test = Check("d:x:t", "d", "t", "d:x", kind="test", reference="test.p.t",
                 properties={"column": "n"})  # fmt: skip
    assert TRANSLATOR.get_check_metadata(test) == {
        "dagster_dbt/unique_id": "test.p.t", "column": "n",
    }  # fmt: skip
    audit = Check("d:x:a", "d", "a", "d:x", reference="a", properties={"column": "n"})
    assert TRANSLATOR.get_check_metadata(audit) == {"column": "n"}


def test_two_nodes_of_one_name_and_key_are_told_apart_by_their_ids() -> None:
    with pytest.raises(DuplicateKeyError) as raised:
        keys_of(Graph.of([node(), node(package="helper")]), TRANSLATOR)
    told = "d:model.helper.orders and d:model.shop.orders have one asset key: orders"
    assert told in str(raised.value)
    assert "meta: {dagster: {asset_key: [...]}}" in str(raised.value)


def test_a_source_with_the_key_of_a_node_must_be_that_node() -> None:
    with pytest.raises(DuplicateKeyError, match=r"d:o and d:raw\.o have one asset key: o"):
        keys_of(Graph.of([node("o")], [source("elsewhere")]), TRANSLATOR)
    keys_of(Graph.of([node("o")], [source("o")]), TRANSLATOR)
