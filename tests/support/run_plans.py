"""Small graphs and plans of a run."""

from __future__ import annotations

from typing import Any

from dagster_transform.graph import Check, Graph, Node, Relation, Source
from dagster_transform.planning import (
    Outcome,
    Readiness,
    RunPlan,
    plan_run,
)


def node(id: str, *deps: str) -> Node:
    project, _, name = id.partition(":")
    relation = Relation("duckdb:/data/flights.duckdb", None, project, name)
    return Node(id, project, "sqlmesh", name, name, "FULL", relation, deps=deps)


def source(id: str) -> Source:
    project, _, name = id.partition(":")
    return Source(id, project, name, name, Relation("duckdb:/elsewhere", None, project, name))


def check(target: str, name: str = "ok", *also: str, **fields: Any) -> Check:
    fields = {"project": target.partition(":")[0], **fields}
    return Check(f"{target}:{name}", name=name, target=target, also=also, **fields)


def graph(*things: Node | Source | Check) -> Graph:
    return Graph.of(
        [t for t in things if isinstance(t, Node)],
        [t for t in things if isinstance(t, Source)],
        [t for t in things if isinstance(t, Check)],
    )


def plan(
    graph: Graph,
    nodes: str = "",
    checks: str = "",
    *,
    readiness: dict[str, Readiness] | None = None,
) -> RunPlan:
    """A run plan; nodes and checks as words, `*` for all."""
    chosen = list(graph.nodes) if nodes == "*" else nodes.split()
    judged = list(graph.checks) if checks == "*" else checks.split()
    return plan_run(graph, chosen, judged, readiness or {})


def after(plan: RunPlan) -> dict[str, set[str]]:
    return {unit.id: set(unit.after) for unit in plan.units.values()}


WAITS = Readiness(Outcome.WAITING, "its interval is not over")
DONE = Readiness(Outcome.UP_TO_DATE, "no interval is missing")
PLANNED = Readiness(promotion="a:P")
DONE_PLANNED = Readiness(Outcome.UP_TO_DATE, "nothing to build", promotion="a:P")
CHAIN = graph(node("a:1"), node("a:2", "a:1"), node("a:3", "a:2"), node("a:4", "a:3"))
