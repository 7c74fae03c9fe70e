"""Relations that are elsewhere in a run than in the graph: what would read something else."""

from __future__ import annotations

from dagster_transform.graph import Graph, Node, Relation, Source
from dagster_transform.runs.moved import blocked_over_moved
from dagster_transform.walk import Elsewhere

OLD, NEW = "duckdb:/old/w.duckdb", "duckdb:/new/w.duckdb"


def table(name: str, connection: str = OLD, schema: str = "s") -> Relation:
    return Relation(connection, "w", schema, name)


def node(project: str, name: str, relation: Relation, *deps: str) -> Node:
    return Node(
        f"{project}:{name}", project, "dbt", name, name, "table", relation, key=(name,), deps=deps,
    )  # fmt: skip


def graph(orders: Relation, read: Relation) -> Graph:
    """Project m's `daily` reads a table that project d builds as `orders`, or another one."""
    source = Source("m:orders", "m", "orders", "orders", read)
    reader = node("m", "daily", table("daily"), source.id)
    return Graph.combine(
        [
            Graph.of(nodes=[node("d", "orders", orders)]),
            Graph.of(nodes=[reader], sources=[source]),
        ]
    )


def reasons(of: Graph, moved: dict[str, Relation], *selected: str) -> dict[str, str]:
    elsewhere = {id: Elsewhere(relation, f"{relation} there") for id, relation in moved.items()}
    found = blocked_over_moved(of, selected or of.nodes, elsewhere)
    return {str(id): ready.reason for id, ready in found.items()}


def test_a_reader_of_the_graphs_relation() -> None:
    linked = graph(table("orders"), table("orders"))
    moved = {"d:orders": table("orders", schema="ci")}
    [(reader, reason)] = reasons(linked, moved).items()
    assert reader == "m:daily"
    assert reason.startswith("it reads w.s.orders, and this run builds orders as w.ci.orders there")
    assert "dagster-transform prepare --project d" in reason
    assert reasons(linked, moved, "m:daily") == {}  # the run builds no orders


def test_a_reader_of_the_runs_relation_that_the_graph_does_not_know() -> None:
    apart = graph(table("orders", schema="ci"), table("orders"))
    [(reader, reason)] = reasons(apart, {"d:orders": table("orders")}).items()
    assert reader == "m:daily"
    assert reason.startswith("it reads w.s.orders, which this run builds (orders)")
    assert "dagster-transform prepare --project d" in reason
    assert reasons(apart, {"d:orders": table("orders")}, "m:daily") == {}
    assert reasons(apart, {"m:daily": table("daily", schema="x")}) == {}


def test_a_source_that_has_moved_to_what_the_run_builds() -> None:
    apart = graph(table("orders"), table("orders", schema="ci"))
    [(reader, reason)] = reasons(apart, {"m:orders": table("orders")}).items()
    assert reader == "m:daily"
    assert "dagster-transform prepare --project m" in reason


def test_what_has_moved_along_finds_what_it_reads() -> None:
    linked = graph(table("orders"), table("orders"))
    along = {"d:orders": table("orders", NEW), "m:daily": table("daily", NEW)}
    assert reasons(linked, along) == {}
    assert reasons(linked, along | {"d:orders": table("orders", NEW, "ci")}).keys() == {"m:daily"}


def test_one_of_the_two_has_moved() -> None:
    linked = graph(table("orders"), table("orders"))
    [reason] = reasons(linked, {"m:daily": table("daily", NEW)}).values()
    assert reason.startswith(f"it reads w.s.orders in {NEW} in this run, and orders is built in")
    assert "dagster-transform prepare --project m" in reason
    [reason] = reasons(linked, {"d:orders": table("orders", NEW)}).values()
    assert "dagster-transform prepare --project d" in reason


def test_within_a_project_its_framework_knows() -> None:
    one = Graph.of(
        nodes=[node("d", "orders", table("orders")), node("d", "b", table("b"), "d:orders")]
    )
    moved = {"d:orders": table("orders", schema="ci"), "d:b": table("b", schema="ci")}
    assert reasons(one, moved) == {}
