"""What people call nodes, sources and checks."""

from __future__ import annotations

from dagster_transform.graph import (
    Check,
    Graph,
    Node,
    Relation,
    Source,
    check_id,
    default_key,
    name_of_reference,
    named_by_keys,
    names_by_reference,
    names_of,
    node_id,
    source_id,
)


def node(reference: str, *deps: str, key: tuple[str, ...] = ()) -> Node:
    id = node_id("p", reference)
    return Node(
        id, "p", "sqlmesh", reference, "as.written", "FULL",
        Relation("duckdb:/w", "w", "s", reference), key=key, deps=deps,
    )  # fmt: skip


SOURCE = source_id("p", '"w"."raw"."t"')
A, B = '"w"."mart"."a"', "model.shop.b"
GRAPH = Graph.of(
    [node(A, SOURCE), node(B, node_id("p", A), key=("hr", "b"))],
    [Source(SOURCE, "p", '"w"."raw"."t"', "raw.t", Relation("duckdb:/w", "w", "raw", "t"))],
    [
        Check(check_id(node_id("p", A), "ok"), "p", "ok", node_id("p", A)),
        Check(check_id(SOURCE, "fresh"), "p", "fresh", SOURCE),
    ],
)
NAMED = named_by_keys(
    GRAPH,
    {thing.id: default_key(thing) for thing in (*GRAPH.nodes.values(), *GRAPH.sources.values())},
)


def test_names_are_the_asset_keys() -> None:
    called = names_of(NAMED)
    assert called(node_id("p", A)) == "w/mart/a"
    assert called(node_id("p", B)) == "hr/b"
    assert called(check_id(node_id("p", A), "ok")) == "w/mart/a:ok"
    assert called(check_id(SOURCE, "fresh")) == "w/raw/t:fresh"
    assert called("p:promotion of prod") == "p:promotion of prod"


def test_a_translators_keys_take_their_place() -> None:
    keys = {id: ("lake", id[-1]) for id in (*GRAPH.nodes, *GRAPH.sources)}
    named = named_by_keys(GRAPH, keys)
    assert {n.name for n in named.nodes.values()} == {'lake/"', "lake/b"}
    # All else is what it was.
    keys = {
        thing.id: default_key(thing) for thing in (*named.nodes.values(), *named.sources.values())
    }
    assert named_by_keys(named, keys) == NAMED
    assert named.order == GRAPH.order
    assert named.checks_of(node_id("p", A)) == GRAPH.checks_of(node_id("p", A))


def test_what_a_graph_does_not_have_is_called_by_the_same_rule() -> None:
    called = names_by_reference(NAMED, "p")
    assert called(A) == "w/mart/a"
    assert called('"w"."mart"."gone"') == "w/mart/gone"
    assert called("alone") == "alone", "a standalone audit has no key"
    assert name_of_reference('"my ""own"""."b"') == 'my "own"/b'
