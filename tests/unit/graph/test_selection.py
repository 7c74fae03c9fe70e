from __future__ import annotations

import pytest

from dagster_transform.graph import (
    Graph,
    Node,
    NodeFinder,
    Relation,
    SelectionError,
    Source,
    select,
)


def node(project: str, reference: str, name: str, *deps: str, **fields: object) -> Node:
    values = {"kind": "FULL", **fields}
    relation = Relation(f"duckdb:/{project}", "flights", "main", name)
    return Node(
        id=f"{project}:{reference}",
        project=project,
        framework="sqlmesh",
        reference=reference,
        name=name,
        relation=relation,
        deps=deps,
        **values,  # type: ignore[arg-type]
    )


STG = "staging:model.staging.stg_flights"
DELAYS = 'marts:"flights"."marts"."delays"'
ODD = 'marts:"flights"."marts"."odd, name"'
DAILY = 'marts:"flights"."marts"."daily[x]"'

GRAPH = Graph.of(
    [
        node("staging", "model.staging.stg_flights", "stg_flights", "staging:raw", kind="view"),
        node("marts", '"flights"."marts"."delays"', "marts.delays", STG, tags=("core", "Night")),
        node("marts", '"flights"."marts"."odd, name"', 'marts."odd, name"', DELAYS, group="Odd"),
        node("marts", '"flights"."marts"."daily[x]"', "marts.daily[x]", DELAYS, tags=("core",)),
    ],
    [Source("staging:raw", "staging", "raw", "raw", Relation("duckdb:/x", None, "raw", "raw"))],
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*", {STG, DELAYS, ODD, DAILY}),
        (DELAYS, {DELAYS}),
        ('"flights"."marts"."delays"', {DELAYS}),
        ("flights.marts.delays", {DELAYS}),
        ("marts.delays", {DELAYS}),
        ("delays", {DELAYS}),
        ("DELAYS", {DELAYS}),
        ("model.staging.stg_flights", {STG}),
        ("stg_*", {STG}),
        ("main.stg_flights", {STG}),
        ("flights.main.STG_flights", {STG}),
        ("marts.*", {DELAYS, ODD, DAILY}),
        ('marts."odd, name"', {ODD}),
        ("daily[x]", {DAILY}),
        ("tag:core", {DELAYS, DAILY}),
        ("tag:night", {DELAYS}),
        ("TAG:ni*", {DELAYS}),
        ("project:marts", {DELAYS, ODD, DAILY}),
        ("kind:VIEW", {STG}),
        ("group:odd", {ODD}),
        ("+delays", {STG, DELAYS}),
        ("delays+", {DELAYS, ODD, DAILY}),
        ("+delays+", {STG, DELAYS, ODD, DAILY}),
        ("+tag:core", {STG, DELAYS, DAILY}),
        ("staging.stg_flights", {STG}),
        ("flights/marts/delays", {DELAYS}),
        ("stg_flights,delays", {STG, DELAYS}),
        ("  stg_flights ,\n delays ", {STG, DELAYS}),
        ("+*", {STG, DELAYS, ODD, DAILY}),
    ],
)
def test_select(expression: str, expected: set[str]) -> None:
    assert select(GRAPH, expression) == expected


def test_one_name_selects_every_node_that_has_it() -> None:
    graph = Graph.of([node("a", "m.x", "x"), node("b", "m.y", "s.x")])
    assert select(graph, "x") == {"a:m.x", "b:m.y"}


@pytest.mark.parametrize(
    ("expression", "close"),
    [
        ("delays stg_flihgts", "stg_flights"),
        ("+marts.delay", "marts.delays"),
        ("tag:nigth", "Night"),
        ("project:mart", "marts"),
        ("kind:fulll", "FULL"),
    ],
)
def test_an_unknown_name_is_an_error_with_close_matches(expression: str, close: str) -> None:
    with pytest.raises(SelectionError, match="matches no node") as caught:
        select(GRAPH, expression)
    assert close in caught.value.close_matches
    assert close in str(caught.value)
    assert caught.value.term == expression.rsplit(maxsplit=1)[-1]


@pytest.mark.parametrize("expression", ["zzz", "zzz*", "raw", "d?lays", "daily[xyz]", "group:zzz"])
def test_a_term_that_matches_nothing_is_an_error(expression: str) -> None:
    with pytest.raises(SelectionError, match="matches no node"):
        select(GRAPH, expression)


@pytest.mark.parametrize(
    ("expression", "there"),
    [
        ("project:shop", "; there are marts, staging."),
        ("kind:seed", "; there are FULL, view."),
        ("group:zzz", "; there is Odd."),
        ("tag:zzz", "; there are core, Night."),
        ("nowhere", "has the name 'nowhere'."),
    ],
)
def test_what_there_is_of_a_kind_is_told(expression: str, there: str) -> None:
    with pytest.raises(SelectionError) as caught:
        select(GRAPH, expression)
    assert there in caught.value.cause


def test_of_much_not_all_is_told() -> None:
    tags = tuple(f"t{number:02}" for number in range(20))
    graph = Graph.of([node("a", "m.x", "x", tags=tags)])
    with pytest.raises(SelectionError, match="t11 and 8 more"):
        select(graph, "tag:zzz")
    with pytest.raises(SelectionError, match="none has a group"):
        select(graph, "group:zzz")


@pytest.mark.parametrize("expression", ["", " , "])
def test_an_empty_selection_is_an_error(expression: str) -> None:
    with pytest.raises(SelectionError, match="empty"):
        select(GRAPH, expression)


@pytest.mark.parametrize("expression", ["+", "++"])
def test_a_plus_alone_is_an_error(expression: str) -> None:
    with pytest.raises(SelectionError, match="names no node"):
        select(GRAPH, expression)


def test_everything_of_an_empty_graph_is_nothing() -> None:
    assert select(Graph.of(), "*") == frozenset()


def test_a_finder_finds_what_a_selection_does() -> None:
    finder = NodeFinder(GRAPH)
    for name in ("marts.delays", "DELAYS", "delays", DELAYS, "flights.marts.delays"):
        assert finder.of_name(name) == finder.of_term(name) == select(GRAPH, name) == {DELAYS}
    for term in ("tag:core", "stg_*", "+delays", "delays+"):
        assert finder.of_name(term) == frozenset()
        assert finder.of_term(term) == select(GRAPH, term)
        assert not finder.is_plain(term)
    assert finder.is_plain("delays")
    assert finder.is_plain(DELAYS)  # a project is no attribute
    with pytest.raises(SelectionError):
        finder.of_term("delay")
    assert finder.close_to("delay") == ["delays"]


def test_a_finder_finds_all_nodes_of_one_name() -> None:
    graph = Graph.of([node("a", "m.x", "x"), node("b", "m.y", "x"), node("b", "m.z", "z")])
    finder = NodeFinder(graph)
    assert finder.of_name("x") == {"a:m.x", "b:m.y"}
    assert finder.of_name("z") == {"b:m.z"}
