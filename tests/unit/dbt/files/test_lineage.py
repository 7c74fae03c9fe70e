from __future__ import annotations

import pytest

from dagster_transform.dbt.errors import UnknownNodeError
from dagster_transform.dbt.files.lineage import Lineage
from dagster_transform.dbt.files.manifest import Manifest
from dagster_transform.graph import Graph, Node, Relation, Source

# What each reads; the word before the first dot is the resource type, `ephemeral` a model.
READS = {
    "source.a": [],
    "source.b": [],
    "seed.s": [],
    "model.m": ["source.a", "ephemeral.two"],
    "ephemeral.two": ["ephemeral.one", "seed.s", "function.f"],
    "ephemeral.one": ["source.b", "source.a"],
    "ephemeral.none": [],
    "function.f": ["model.deep", "function.g"],
    "function.g": [],
    "model.deep": ["source.a", "function.deeper"],
    "function.deeper": [],
    "model.free": ["ephemeral.none"],
    "semantic_model.x": ["model.m"],
    "metric.y": ["semantic_model.x"],
    "metric.z": ["metric.y", "metric.z"],
    "model.lost": ["model.gone"],
}


def lineage() -> Lineage:
    resources = {
        unique_id: {
            "unique_id": unique_id,
            "resource_type": unique_id.split(".")[0].replace("ephemeral", "model"),
            "config": {"materialized": "ephemeral" if unique_id.startswith("ephem") else "table"},
            "depends_on": {"nodes": reads},
        }
        for unique_id, reads in READS.items()
    }
    return Lineage(Manifest("p", "p", "duckdb", resources, {}))


@pytest.mark.parametrize(
    ("unique_id", "reads"),
    [
        # In dbt's order, what is passed through in the place of who passes it on, no repeats.
        ("model.m", ("source.a", "source.b", "seed.s", "model.deep")),
        ("function.f", ("model.deep",)),
        ("model.free", ()),
        ("metric.z", ("model.m",)),
        ("seed.s", ()),
    ],
)
def test_ephemeral_models_and_the_like_are_passed_through(
    unique_id: str, reads: tuple[str, ...]
) -> None:
    assert lineage().reads(unique_id) == reads


def test_a_node_stands_for_itself() -> None:
    assert lineage().nearest(["model.m", "ephemeral.one"]) == ("model.m", "source.b", "source.a")


def test_functions_that_a_node_needs_are_found_through_ephemeral_models_and_each_other() -> None:
    """But not through other nodes, which see to theirs."""
    assert lineage().functions("model.m") == ("function.f", "function.g")
    assert lineage().functions("model.deep") == ("function.deeper",)
    assert lineage().functions("seed.s") == ()


def test_a_parent_that_the_manifest_does_not_have_is_named() -> None:
    with pytest.raises(UnknownNodeError, match=r"no 'model.gone'"):
        lineage().reads("model.lost")


def test_depth_counts_the_nodes_on_the_longest_way() -> None:
    def node(name: str, *deps: str) -> Node:
        relation = Relation("c", None, "s", name)
        return Node(name, "p", "dbt", name, name, "table", relation, deps=deps)

    source = Source("raw", "p", "raw", "raw", Relation("c", None, "s", "raw"))
    nodes = [node("a", "raw"), node("b", "raw", "a"), node("c", "b"), node("alone")]
    assert Graph.of(nodes, [source]).depths() == {"raw": 0, "a": 1, "alone": 1, "b": 2, "c": 3}
