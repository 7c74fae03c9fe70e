"""Lineage of columns through several projects."""

from __future__ import annotations

import pytest

from dagster_transform.graph import Column, Graph, Node, Relation, SelectionError, Source
from dagster_transform.graph.columns import ColumnLineage, ColumnOf

DB = "duckdb:/w"


def node(
    project: str, name: str, deps: list[str], columns: dict[str, list[tuple[int, str]]]
) -> Node:
    return Node(
        id=f"{project}:{name}",
        project=project,
        framework="sqlmesh",
        reference=name,
        name=name,
        kind="FULL",
        relation=Relation(DB, "w", "s", name),
        deps=tuple(deps),
        columns=tuple(Column(c, sources=tuple(read)) for c, read in columns.items()),
    )


RAW = Source(
    "a:raw", "a", "raw", "raw", Relation(DB, "w", "s", "raw"), columns=(Column("x"), Column("y"))
)
STAGED = node("a", "staged", ["a:raw"], {"X": [(0, "x")], "both": [(0, "x"), (0, "Y")]})
MART = node("b", "mart", ["a:staged"], {"total": [(0, "BOTH")], "constant": []})
TOP = node("b", "top", ["b:mart", "a:raw"], {"t": []})
GRAPH = Graph.of([STAGED, MART, TOP], [RAW])


def told(
    lineage: ColumnLineage, what: str, *, downstream: bool = False
) -> list[tuple[str, str, int]]:
    _, columns = lineage.find(what)
    return [
        (
            f"{s.read.id}.{lineage.name(s.read)}",
            f"{s.computed.id}.{lineage.name(s.computed)}",
            s.distance,
        )
        for s in lineage.steps(columns, downstream=downstream)
    ]


def test_up_to_where_it_begins_whatever_the_case_of_names() -> None:
    assert told(ColumnLineage(GRAPH), "mart.Total") == [
        ("a:staged.both", "b:mart.total", 1),
        ("a:raw.x", "a:staged.both", 2),
        ("a:raw.y", "a:staged.both", 2),
    ]
    assert told(ColumnLineage(GRAPH), "mart.constant") == []


def test_down_to_whatever_is_computed_of_it() -> None:
    assert told(ColumnLineage(GRAPH), "raw.x", downstream=True) == [
        ("a:raw.x", "a:staged.X", 1),
        ("a:raw.x", "a:staged.both", 1),
        ("a:staged.both", "b:mart.total", 2),
    ]


def test_all_columns_of_a_node() -> None:
    id, columns = ColumnLineage(GRAPH).find("staged")
    assert (id, [c.column for c in columns]) == ("a:staged", ["x", "both"])


def test_what_runs_have_found_out_counts_where_the_graph_knows_nothing() -> None:
    further = {TOP.id: {"t": [(MART.id, "total")]}, MART.id: {"total": [(RAW.id, "x")]}}
    lineage = ColumnLineage(GRAPH, further)
    assert lineage.is_known(TOP.id)
    assert not ColumnLineage(GRAPH).is_known(TOP.id)
    assert told(lineage, "top.t")[:2] == [
        ("b:mart.total", "b:top.t", 1),
        ("a:staged.both", "b:mart.total", 2),
    ]


def test_columns_that_are_computed_from_each_other_end() -> None:
    """No graph has a circle of nodes; a model that reads itself has one of columns."""
    lineage = ColumnLineage(GRAPH, {TOP.id: {"t": [(TOP.id, "t"), (RAW.id, "x")]}})
    assert len(told(lineage, "top.t")) == 2


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nothing.x", "neither a node nor a column"),
        ("mart.totals", "known are: total, constant"),
        ("s.mart.totals", "known are: total, constant"),
        ("s.mrat", "Did you mean 's.mart'"),
        ("", "neither"),
    ],
)
def test_what_is_not_there(what: str, words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        ColumnLineage(GRAPH).find(what)


@pytest.mark.parametrize("what", ["staged", "s.staged", "w.s.staged", "W.S.STAGED"])
def test_a_table_s_name_names_the_node_that_builds_it(what: str) -> None:
    assert ColumnLineage(GRAPH).find(what)[0] == STAGED.id
    assert ColumnLineage(GRAPH).find(f"{what}.both")[1] == (ColumnOf(STAGED.id, "both"),)


def test_a_source_may_be_called_by_its_table() -> None:
    assert ColumnLineage(GRAPH).find("s.raw.x")[1] == (ColumnOf(RAW.id, "x"),)


def test_a_name_of_two_nodes_names_both() -> None:
    twice = node("b", "staged", [], {})
    twice = Node(
        **{
            **{f: getattr(twice, f) for f in Node.__slots__},
            "relation": Relation(DB, "w", "t", "x"),
        }
    )
    with pytest.raises(SelectionError, match="a:staged, b:staged"):
        ColumnLineage(Graph.of([STAGED, twice], [RAW])).find("staged.x")
    assert ColumnOf.of("a:staged", "X") == ColumnOf("a:staged", "x")
