"""What a person should know of a run plan beside its outcomes."""

from __future__ import annotations

from dagster_transform.graph import Graph, Node, Relation
from dagster_transform.planning import (
    LeftOut,
    Outcome,
    RunPlan,
    finer_than_upstream,
    restatable,
)

TIME = "INCREMENTAL_BY_TIME_RANGE"


def node(name: str, unit: str | None, kind: str = TIME, *deps: str) -> Node:
    return Node(
        id=f"p:{name}",
        project="p",
        framework="sqlmesh",
        reference=name,
        name=name,
        kind=kind,
        relation=Relation("duckdb:/x", "x", "s", name),
        deps=tuple(f"p:{dep}" for dep in deps),
        interval_unit=unit,
    )


GRAPH = Graph.of(
    [
        node("day", "day"),
        node("dimension", "day", "FULL"),
        node("view", "day", "VIEW", "day"),
        node("hour", "hour", TIME, "day", "dimension"),
        node("through", "hour", "SCD_TYPE_2_BY_TIME", "view"),
        node("half", "half_hour", TIME, "hour"),
        node("month", "month", TIME, "day"),
        node("full", "hour", "FULL", "day"),
    ],
    [],
    [],
)


def about(*names: str) -> list[str]:
    found = finer_than_upstream(GRAPH, {f"p:{name}" for name in names})
    return [" ".join(text.split()[:8]).rstrip(",") for text in found]


def test_finer_children_of_coarser_upstreams_are_named() -> None:
    assert about("hour") == [
        "hour is built by hour and reads day",
        "hour is built by hour and reads dimension",
    ]
    assert about("half") == ["half is built by half hour and reads"]


def test_a_view_is_looked_through() -> None:
    assert about("through") == ["through is built by hour and reads day"]


def test_coarser_and_full_children_and_others_nodes_are_not() -> None:
    assert about("month", "full", "day", "view", "dimension") == []
    assert about() == []


def test_what_can_be_restated_is_incremental_and_up_to_date() -> None:
    current = LeftOut(Outcome.UP_TO_DATE, "no interval is missing")
    waiting = LeftOut(Outcome.WAITING, "x")
    left_out = {"p:day": current, "p:hour": waiting, "p:full": current, "p:day:check": current}
    assert restatable(GRAPH, RunPlan({}, left_out)) == ["day"]
