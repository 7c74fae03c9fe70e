"""Groups and tags that are called differently stay different."""

from __future__ import annotations

from typing import Any

import dagster as dg

from dagster_transform import TransformTranslator
from dagster_transform.dagster.translation.specs import translate
from dagster_transform.graph import Graph, Node
from tests.support.sqlmesh_nodes import node


def specs(*nodes: Node, translator: TransformTranslator | None = None) -> dict[str, dg.AssetSpec]:
    found = translate(Graph.of(nodes), translator or TransformTranslator())
    return {spec.key.path[-1]: spec for spec in found.specs.values()}


def tagged(name: str, *tags: str, **fields: Any) -> Node:
    return node(f"marts.{name}", tags=tags, **fields)


def groups(**called: str) -> dict[str, str | None]:
    nodes = [tagged(name, f"dagster:group_name:{group}") for name, group in called.items()]
    return {name: spec.group_name for name, spec in specs(*nodes).items()}


def test_groups() -> None:
    assert groups(a="my group") == {"a": "my_group"}, "what it was called until now"
    found = groups(a="my group", b="my_group", c="my-group", d="my group")
    assert found["b"] == "my_group"
    assert found["a"] == found["d"]
    assert len(set(found.values())) == 3


def test_tags() -> None:
    long = "x" * 70
    found = specs(
        tagged("a", "two words", "日本", long), tagged("b", "two_words", "日", long + "y")
    )
    a, b = (set(found[name].tags) for name in "ab")
    assert "two_words" in b
    own = {tag for tag in a | b if not tag.startswith("dagster/")}
    assert len(own) == 6
    assert not {tag for tag in own if tag in a and tag in b}


def test_a_translator_of_ones_own_has_its_say() -> None:
    class Mine(TransformTranslator):
        def get_group_name(self, node: Node) -> str:
            return "all"

        def get_tags(self, node: Node) -> dict[str, str]:
            return {"one": "1"}

    found = specs(tagged("a", "x y"), tagged("b", "x_y"), translator=Mine())
    assert {spec.group_name for spec in found.values()} == {"all"}
    assert all(spec.tags["one"] == "1" and "x_y" not in spec.tags for spec in found.values())
