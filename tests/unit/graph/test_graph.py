from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest

from dagster_transform.graph import (
    Check,
    Column,
    CycleError,
    DanglingDependencyError,
    DuplicateIdError,
    DuplicateRelationError,
    Graph,
    Node,
    Position,
    Relation,
    Source,
    UnknownIdError,
)

DUCKDB = "duckdb:/data/flights.duckdb"


def relation(name: str, connection: str = DUCKDB) -> Relation:
    return Relation(connection, "flights", "main", name)


def node(id: str, *deps: str, **fields: Any) -> Node:
    project, _, name = id.partition(":")
    fields = {"relation": relation(id), "name": name, **fields}
    return Node(
        id=id,
        project=project,
        framework="sqlmesh",
        reference=name,
        kind="FULL",
        deps=deps,
        **fields,
    )


def source(id: str, of: Relation | None = None) -> Source:
    project, _, name = id.partition(":")
    return Source(id, project, name, name, of or relation(id))


def check(target: str, name: str, project: str = "a", also: tuple[str, ...] = ()) -> Check:
    return Check(f"{target}:{name}", project, name, target, also)


@pytest.fixture
def diamond() -> Graph:
    return Graph.of(
        [node("a:d", "a:c", "a:b"), node("a:c", "a:a"), node("a:b", "a:a"), node("a:a", "a:raw")],
        [source("a:raw")],
        [check("a:d", "unique"), check("a:d", "not_null"), check("a:raw", "fresh")],
    )


def test_order_is_topological_with_sorted_ties(diamond: Graph) -> None:
    assert diamond.order == ("a:a", "a:b", "a:c", "a:d")


def test_order_prefers_the_smallest_id_that_is_ready() -> None:
    graph = Graph.of([node("a:1", "a:9"), node("a:9"), node("a:5")])
    assert graph.order == ("a:5", "a:9", "a:1")


def test_neighbours(diamond: Graph) -> None:
    assert diamond.upstream("a:d") == ("a:c", "a:b")
    assert diamond.upstream("a:raw") == ()
    assert diamond.downstream("a:a") == ("a:b", "a:c")
    assert diamond.downstream("a:raw") == ("a:a",)
    assert diamond.downstream("a:d") == ()


def test_closures(diamond: Graph) -> None:
    assert diamond.ancestors(["a:d"]) == {"a:a", "a:b", "a:c", "a:raw"}
    assert diamond.descendants(["a:raw"]) == {"a:a", "a:b", "a:c", "a:d"}
    assert diamond.ancestors([]) == frozenset()


def test_a_closure_has_one_of_its_ids_only_if_another_reaches_it(diamond: Graph) -> None:
    assert diamond.ancestors(["a:b", "a:a"]) == {"a:a", "a:raw"}
    assert diamond.descendants(["a:b", "a:c"]) == {"a:d"}


def test_checks_of(diamond: Graph) -> None:
    assert [found.name for found in diamond.checks_of("a:d")] == ["not_null", "unique"]
    assert [found.name for found in diamond.checks_of("a:raw")] == ["fresh"]
    assert diamond.checks_of("a:a") == ()


@pytest.mark.parametrize("method", ["upstream", "downstream", "checks_of"])
def test_unknown_id(diamond: Graph, method: str) -> None:
    with pytest.raises(UnknownIdError, match="a:nope"):
        getattr(diamond, method)("a:nope")


def test_by_relation_prefers_nodes_then_the_first_source() -> None:
    shared = relation("shared")
    graph = Graph.of(
        [node("a:n", relation=shared)],
        [source("a:s", shared), source("a:y", relation("y")), source("a:x", relation("y"))],
    )
    assert graph.by_relation == {shared: "a:n", relation("y"): "a:x"}


def test_mappings_are_read_only(diamond: Graph) -> None:
    for mapping in (diamond.nodes, diamond.sources, diamond.checks, diamond.by_relation):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]


def test_a_graph_can_be_compared_hashed_copied_and_pickled(diamond: Graph) -> None:
    same = Graph.of(
        reversed(list(diamond.nodes.values())), diamond.sources.values(), diamond.checks.values()
    )
    assert same == diamond
    assert hash(same) == hash(diamond)
    assert pickle.loads(pickle.dumps(diamond)) == copy.deepcopy(diamond) == diamond
    assert Graph.of(diamond.nodes.values(), diamond.sources.values()) != diamond


@pytest.mark.parametrize(
    ("nodes", "sources", "checks"),
    [
        ([node("a:x"), node("a:x", relation=relation("y"))], [], []),
        ([node("a:x")], [source("a:x")], []),
        ([node("a:x")], [], [check("a:x", "c"), check("a:x", "c")]),
    ],
)
def test_duplicate_id(nodes: list[Node], sources: list[Source], checks: list[Check]) -> None:
    with pytest.raises(DuplicateIdError, match="a:x"):
        Graph.of(nodes, sources, checks)


def test_dangling_dependency_names_both_ends() -> None:
    with pytest.raises(DanglingDependencyError, match="'a:x' depends on 'a:gone'"):
        Graph.of([node("a:x", "a:gone")])


@pytest.mark.parametrize("dangling", [check("a:gone", "c"), check("a:x", "c", also=("a:gone",))])
def test_dangling_check(dangling: Check) -> None:
    with pytest.raises(DanglingDependencyError, match="'a:gone'"):
        Graph.of([node("a:x")], checks=[dangling])


def test_two_nodes_with_one_relation() -> None:
    with pytest.raises(DuplicateRelationError, match=r"'a:x' and 'a:y' build .*main\.shared"):
        Graph.of(
            [node("a:x", relation=relation("shared")), node("a:y", relation=relation("shared"))]
        )


def test_relations_of_two_connections_are_two() -> None:
    here, there = relation("shared"), relation("shared", "postgres:db:5432/flights")
    graph = Graph.of([node("a:x", relation=here), node("a:y", relation=there)])
    assert graph.by_relation == {here: "a:x", there: "a:y"}


def test_cycle_is_printed_in_the_direction_of_the_data() -> None:
    nodes = [node("a:3", "a:2"), node("a:2", "a:1"), node("a:1", "a:3"), node("a:0", "a:3")]
    with pytest.raises(CycleError, match=r"circle: 1 -> 2 -> 3 -> 1$") as caught:
        Graph.of(nodes)
    assert caught.value.cycle == ("a:1", "a:2", "a:3", "a:1")


def test_a_node_that_reads_itself_is_a_cycle() -> None:
    with pytest.raises(CycleError, match=r"circle: x -> x$"):
        Graph.of([node("a:x", "a:x")])


def test_combine_links_a_source_to_the_node_of_another_project() -> None:
    staging = Graph.of([node("dbt:stg")], checks=[check("dbt:stg", "unique", "dbt")])
    marts = Graph.of(
        [node("mesh:delays", "mesh:ext", "mesh:other")],
        [source("mesh:ext", relation("dbt:stg")), source("mesh:other")],
        [
            check("mesh:ext", "fresh", "mesh"),
            check("mesh:delays", "c", "mesh", ("mesh:ext", "mesh:other")),
        ],
    )
    combined = Graph.combine([marts, staging])
    assert combined.upstream("mesh:delays") == ("dbt:stg", "mesh:other")
    assert set(combined.sources) == {"mesh:other"}
    assert combined.order == ("dbt:stg", "mesh:delays")
    moved = combined.checks["dbt:stg:fresh"]
    assert (moved.target, moved.name, moved.project) == ("dbt:stg", "fresh", "mesh")
    assert combined.checks["mesh:delays:c"].also == ("dbt:stg", "mesh:other")
    assert combined.by_relation[relation("dbt:stg")] == "dbt:stg"


def test_combine_links_what_a_check_waits_for() -> None:
    staging = Graph.of([node("dbt:stg")])
    position = Position(("mesh:ext",), ("mesh:ext", "mesh:other"), ("mesh:delays",))
    marts = Graph.of(
        [node("mesh:delays", "mesh:ext", "mesh:other")],
        [source("mesh:ext", relation("dbt:stg")), source("mesh:other")],
        [replace(check("mesh:delays", "c", "mesh"), position=position)],
    )
    [found] = Graph.combine([marts, staging]).checks.values()
    assert found.position == Position(("dbt:stg",), ("dbt:stg", "mesh:other"), ("mesh:delays",))


def test_combine_keeps_check_names_unique_on_their_target() -> None:
    staging = Graph.of([node("dbt:stg")], checks=[check("dbt:stg", "unique", "dbt")])
    marts = Graph.of(
        [], [source("mesh:ext", relation("dbt:stg"))], [check("mesh:ext", "unique", "mesh")]
    )
    combined = Graph.combine([marts, staging])
    assert {(found.id, found.name) for found in combined.checks_of("dbt:stg")} == {
        ("dbt:stg:unique", "unique"),
        ("dbt:stg:unique_mesh", "unique_mesh"),
    }


def test_combine_drops_repeats_that_linking_makes() -> None:
    staging = Graph.of([node("dbt:stg")])
    marts = Graph.of(
        [node("mesh:x", "mesh:one", "mesh:two")],
        [source("mesh:one", relation("dbt:stg")), source("mesh:two", relation("dbt:stg"))],
        [check("mesh:one", "c", "mesh", ("mesh:two",))],
    )
    combined = Graph.combine([staging, marts])
    assert combined.nodes["mesh:x"].deps == ("dbt:stg",)
    assert combined.checks["dbt:stg:c"].also == ()


def test_combine_keeps_what_columns_are_computed_from() -> None:
    staging = Graph.of([node("dbt:a"), node("dbt:b")])
    columns = (
        Column("x", sources=((0, "a"), (1, "a"))),
        Column("y", sources=((2, "b"), (3, "c"))),
        Column("z"),
    )
    reader = replace(node("mesh:x", "mesh:one", "mesh:two", "mesh:b", "mesh:left"), columns=columns)
    sources = [
        source("mesh:one", relation("dbt:a")),
        source("mesh:two", relation("dbt:a")),
        source("mesh:b", relation("dbt:b")),
        source("mesh:left"),
    ]
    alone = Graph.of([reader], sources)
    assert alone.nodes["mesh:x"].column_lineage() == {
        "x": (("mesh:one", "a"), ("mesh:two", "a")),
        "y": (("mesh:b", "b"), ("mesh:left", "c")),
    }
    combined = Graph.combine([staging, alone]).nodes["mesh:x"]
    assert combined.deps == ("dbt:a", "dbt:b", "mesh:left")
    assert combined.column_lineage() == {
        "x": (("dbt:a", "a"),),
        "y": (("dbt:b", "b"), ("mesh:left", "c")),
    }
    apart = Graph.of([reader], [*sources[:1], source("mesh:two"), *sources[2:]])
    linked = Graph.combine([staging, apart]).nodes["mesh:x"]
    assert linked.column_lineage()["x"] == (("dbt:a", "a"), ("mesh:two", "a"))


def test_combine_makes_one_of_the_sources_of_one_relation() -> None:
    """The one whose key users rely on stays, and the others' checks are shown on it."""
    raw = relation("raw")
    keyed = Source("dbt:raw", "dbt", "source.raw", "raw", raw, key=("raw", "items"))
    staging = Graph.of([node("dbt:stg", "dbt:raw")], [keyed], [check("dbt:raw", "sane")])
    sources = [source("a:raw", raw), source("mesh:raw", raw)]
    a = Graph.of([node("a:x", "a:raw")], sources[:1], [check("a:raw", "sane")])
    mesh = Graph.of([node("mesh:x", "mesh:raw")], sources[1:])
    combined = Graph.combine([a, mesh, staging])
    assert set(combined.sources) == {"dbt:raw"}
    assert combined.downstream("dbt:raw") == ("a:x", "dbt:stg", "mesh:x")
    assert {c.name for c in combined.checks_of("dbt:raw")} == {"sane", "sane_a"}
    assert set(Graph.combine([a, mesh]).sources) == {"a:raw"}


def test_combine_leaves_two_sources_of_one_relation_that_have_different_keys() -> None:
    raw = relation("raw")
    sources = [Source(f"dbt:{n}", "dbt", n, n, raw, key=("raw", n)) for n in "ab"]
    graph = Graph.of([node("dbt:stg", "dbt:a", "dbt:b")], sources)
    assert Graph.combine([graph]) == graph


def test_combine_tells_connections_apart() -> None:
    elsewhere = relation("dbt:stg", "postgres:db:5432/flights")
    marts = Graph.of([node("mesh:x", "mesh:ext")], [source("mesh:ext", elsewhere)])
    combined = Graph.combine([Graph.of([node("dbt:stg")]), marts])
    assert combined.upstream("mesh:x") == ("mesh:ext",)


def test_combine_leaves_a_source_that_its_own_project_builds() -> None:
    graph = Graph.of([node("a:x", "a:s")], [source("a:s", relation("a:x"))])
    assert Graph.combine([graph]) == graph


def test_combine_finds_cycles_between_projects() -> None:
    one = Graph.of([node("one:x", "one:s")], [source("one:s", relation("two:x"))])
    two = Graph.of([node("two:x", "two:s")], [source("two:s", relation("one:x"))])
    # Both nodes are called x, so that the ids have to tell them apart.
    with pytest.raises(CycleError, match=r"circle: one:x -> two:x -> one:x$"):
        Graph.combine([one, two])


def test_combine_refuses_duplicates() -> None:
    with pytest.raises(DuplicateIdError):
        Graph.combine([Graph.of([node("a:x")]), Graph.of([node("a:x")])])
    with pytest.raises(DuplicateRelationError):
        Graph.combine([Graph.of([node("a:x")]), Graph.of([node("b:x", relation=relation("a:x"))])])
