"""Which projects Dagster can show together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from dagster_transform import TransformTranslator
from dagster_transform.dagster.definitions.fitting import fit
from dagster_transform.dagster.translation.specs import translate
from dagster_transform.graph import Check, Graph, Location, Node, Relation, Source, SourceId
from tests.support.sqlmesh_nodes import node

MARTS = node(
    "marts.delays", id='p:"db"."marts"."delays"', location=Location("p/delays.sql"),
    relation=Relation("duckdb:/w", "db", "marts", "delays"),
)  # fmt: skip
OTHER = node("ops.free", project="q", id="q:free")


def of_q(**fields: Any) -> Node:
    return node(**{"project": "q", "id": "q:x", "location": Location("q/odd.sql"), **fields})


def errors(
    graphs: Mapping[str, Graph], translator: TransformTranslator | None = None
) -> dict[str, str]:
    found = fit(graphs, lambda graph: translate(graph, translator or TransformTranslator()))
    assert {n.project for n in found.graph.nodes.values()} == graphs.keys() - found.errors.keys()
    return {project: str(error) for project, error in found.errors.items()}


def wrong(method: str, result: Callable[[], Any]) -> TransformTranslator:
    def asked(self: TransformTranslator, thing: Any, *rest: Any) -> Any:
        if thing.project == "q":
            return result()
        return getattr(TransformTranslator, method)(self, thing, *rest)

    return type("Mine", (TransformTranslator,), {method: asked})()


P = Graph.of([MARTS])


def test_of_two_projects_that_exclude_each_other_the_first_one_stays() -> None:
    one_key = Graph.of([of_q(relation=Relation("duckdb:/v", "db", "marts", "delays"))])
    (said,) = [errors({"p": P, "q": one_key, "r": Graph.of([_as("r", OTHER)])})]
    assert set(said) == {"q"}
    for word in ("p:marts.delays", "q:marts.delays", "p/delays.sql", "q/odd.sql", "get_asset_key"):
        assert word in said["q"]
    one_table = Graph.of([of_q(parts=("other", "x", "y"), relation=MARTS.relation)])
    assert "build one relation" in errors({"p": P, "q": one_table})["q"]


def test_a_circle_of_two_projects() -> None:
    there = Relation("duckdb:/w", "db", "q", "x")
    reads = Source("p:s", "p", '"db"."q"."x"', "q.x", there)
    p = Graph.of([_with(MARTS, deps=("p:s",))], [reads])
    back = Source("q:s", "q", MARTS.reference, "marts.delays", MARTS.relation)
    q = Graph.of([of_q(parts=("db", "q", "x"), relation=there, deps=("q:s",))], [back])
    assert "in a circle" in errors({"p": p, "q": q})["q"]


def test_a_key_that_is_another_projects_source() -> None:
    elsewhere = Source(
        "q:s", "q", "s", "s", Relation("duckdb:/v", "a", "b", "c"), key=("db", "marts", "delays")
    )
    said = errors({"p": P, "q": Graph.of([OTHER], [elsewhere])})
    assert "have one asset key" in said["q"]


def test_two_checks_of_one_name() -> None:
    same = wrong("get_check_name", lambda: "same")
    checks = [Check(f"q:free:{n}", "q", n, OTHER.id, location=Location("q/free.sql")) for n in "ab"]
    said = errors({"p": P, "q": Graph.of([OTHER], [], checks)}, same)
    assert (
        "Two checks of asset db/ops/free have one name, same: q:a (q/free.sql) and q:b" in said["q"]
    )


@pytest.mark.parametrize(
    ("method", "result", "why"),
    [
        ("get_asset_key", lambda: "a text", "which is no AssetKey"),
        ("get_asset_key", lambda: dg.AssetKey([]), "a key without a part"),
        ("get_group_name", lambda: "no group!", "not a valid"),
        ("get_group_name", lambda: 1 / 0, "ZeroDivisionError"),
        ("get_owners", lambda: ["nobody"], "Invalid owner"),
        ("get_tags", lambda: {"not me!": ""}, "invalid tag keys"),
        ("get_tags", lambda: ["a"], "which is no Mapping"),
        ("get_kinds", lambda: set("abcdefghijk"), "at most"),
        ("get_metadata", lambda: {1: "m"}, "q:q.odd"),
        ("get_description", lambda: 3, "which is no str or None"),
        ("get_column_lineage", lambda: {}["x"], "KeyError"),
        ("get_automation_condition", lambda: "eager", "which is no AutomationCondition or None"),
    ],
)
def test_a_translator_that_dagster_does_not_understand(
    method: str, result: Callable[[], Any], why: str
) -> None:
    odd = Graph.of([of_q(parts=("db", "q", "odd"), name="q.odd")])
    said = errors({"p": P, "q": odd}, wrong(method, result))
    assert set(said) == {"q"}
    assert why in said["q"]
    assert "q:q.odd (q/odd.sql)" in said["q"]
    assert "Mine" in said["q"]


def test_sources_of_one_key_are_read_once_and_a_node_does_not_read_itself() -> None:
    sources = [
        Source(f"p:{n}", "p", '"db"."raw"."x"', "x", Relation(f"duckdb:/{n}", "db", "raw", "x"))
        for n in "ab"
    ]
    same = Source("p:c", "p", MARTS.reference, "c", Relation("duckdb:/c", "db", "marts", "delays"))
    graph = Graph.of([_with(MARTS, deps=("p:a", "p:b", "p:c"))], [*sources, same])
    (spec,) = translate(graph, TransformTranslator()).specs.values()
    assert [dep.asset_key.path for dep in spec.deps] == [["db", "raw", "x"]]


def _with(node: Node, **fields: Any) -> Node:
    return replace(node, **fields)


def _as(project: str, node: Node) -> Node:
    return _with(node, project=project, id=f"{project}:free")


class OfKinds(TransformTranslator):
    def get_asset_key(self, node: Node | Source) -> dg.AssetKey:
        return dg.AssetKey([node.kind, node.name])  # type: ignore[union-attr]  # what it is about


def test_who_forgets_that_sources_have_keys_too_is_told() -> None:
    raw = Source(
        id=SourceId("q:raw"), project="q", reference="raw", name="raw",
        relation=Relation("duckdb:/v", "db", "raw", "rows"),
    )  # fmt: skip
    reads = Graph.of([of_q(deps=(raw.id,))], sources=[raw])
    (said,) = errors({"q": reads}, OfKinds()).values()
    assert "AttributeError: 'Source' object has no attribute 'kind'" in said
    assert "`isinstance(node, Source)`" in said
    said = errors({"q": Graph.of([of_q()])}, wrong("get_asset_key", lambda: None))["q"]
    assert "isinstance" not in said
