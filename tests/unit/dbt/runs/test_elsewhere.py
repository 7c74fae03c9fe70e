"""Where dbt has a project's relations, beside where the graph file has them."""

from __future__ import annotations

from typing import Any

from dagster_transform.dbt.runs.elsewhere import Places
from dagster_transform.graph import Graph, Node, Relation, Source

NAMES = "abcde"


def relation(name: str, schema: str = "main", connection: str = "duckdb:/w") -> Relation:
    return Relation(connection, "w", schema, name)


GRAPH = Graph.of(
    [
        *(Node(f"d:model.{n}", "d", "dbt", f"model.{n}", n, "table", relation(n)) for n in NAMES),
        Node("other:model.a", "other", "dbt", "model.a", "a", "table", relation("a", "other")),
    ],
    [Source("d:source.raw", "d", "source.raw", "raw", relation("raw"))],
)


def places(**said: dict[str, Any]) -> Places:
    unique_ids = {"source.raw" if name == "raw" else f"model.{name}": p for name, p in said.items()}
    return Places(GRAPH, "d", unique_ids, lambda place: relation(**place))


def test_what_is_where_the_graph_has_it_is_not_worth_a_word() -> None:
    found = places(a={"name": "a"}, raw={"name": "raw"})
    assert found.moved == {}
    assert found.warning() == ""
    assert found.of(GRAPH.nodes["d:model.a"]) == relation("a")
    assert found.of(GRAPH.nodes["d:model.b"]) == relation("b"), "dbt has said nothing of it"


def test_what_dbt_says_counts() -> None:
    found = places(
        a={"name": "a", "schema": "prod"}, raw={"name": "raw", "connection": "duckdb:/x"}
    )
    assert found.of(GRAPH.nodes["d:model.a"]) == relation("a", "prod")
    assert found.words("d:model.a") == "w.prod.a (the graph file says w.main.a)"
    assert found.words("d:source.raw") == (
        "w.main.raw in duckdb:/x (the graph file says duckdb:/w)"
    )
    assert found.moved.keys() == {"d:model.a", "d:source.raw"}, "and not that of another project"
    warning = found.warning()
    assert "has 2 relations elsewhere" in warning
    assert "a is w.prod.a" in warning


def test_many_are_counted() -> None:
    found = places(**{name: {"name": name, "schema": "prod"} for name in NAMES})
    assert "c is w.prod.c (the graph file says w.main.c) and 2 more." in found.warning()
