"""What a person should know of a run plan beside its outcomes: pure, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dagster_transform.graph import Graph, Node, NodeId
from dagster_transform.planning.values import Outcome, RunPlan

_UNITS = ("five_minute", "quarter_hour", "half_hour", "hour", "day", "month", "year")
"""SQLMesh's interval units, the finest first."""


def finer_than_upstream(graph: Graph, nodes: Collection[NodeId]) -> list[str]:
    """Warnings for nodes that are built by finer intervals than something that they read.

    An hourly node that reads a daily one can have the day's hours only when the day is over: until
    then they wait, where the daily one is built by time range, and are built over its state of
    yesterday otherwise.

    Args:
        graph: The graph.
        nodes: Ids of the nodes that are looked at.
    """
    chosen = [graph.nodes[node_id] for node_id in sorted(nodes)]
    return [
        f"{node.name} is built by {_unit(node)} and reads {parent.name}, which is built by "
        f"{_unit(parent)}: it can't be complete before that is."
        for node in chosen
        if _is_incremental(node)
        for parent in _through_views(graph, node)
        if _rank(parent) > _rank(node)
    ]


def restatable(graph: Graph, run_plan: RunPlan) -> list[str]:
    """Names of the incremental nodes that a run leaves out because nothing of them is missing."""
    return sorted(
        node.name
        for id, why in run_plan.left_out.items()
        if why.outcome is Outcome.UP_TO_DATE
        and (node := graph.node(id)) is not None
        and node.framework == "sqlmesh"
        and _is_incremental(node)
    )


def _is_incremental(node: Node) -> bool:
    return node.kind.startswith(("INCREMENTAL", "SCD"))


def _through_views(graph: Graph, node: Node) -> Iterator[Node]:
    """What a node reads; a view has no data of its own."""
    stack, seen = list(reversed(node.deps)), set()
    while stack:
        dep = stack.pop()
        parent = graph.node(dep)
        if parent is None or dep in seen:
            continue
        seen.add(dep)
        if parent.kind == "VIEW":
            stack.extend(reversed(parent.deps))
        else:
            yield parent


def _rank(node: Node) -> int:
    return _UNITS.index(node.interval_unit) if node.interval_unit in _UNITS else -1


def _unit(node: Node) -> str:
    return str(node.interval_unit).replace("_", " ")
