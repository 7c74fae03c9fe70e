"""Checks that are part of a build, and no units of a walk: SQLMesh's blocking audits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dagster_transform.graph import Check, Graph, UnitId
from dagster_transform.planning import GOOD_OUTCOMES, LeftOut, UnitKind
from dagster_transform.walk import Finished, held_back


def checks_in_build(graph: Graph, unit: UnitId) -> list[Check]:
    """The checks that the build of a node runs; of another unit there are none."""
    node = graph.node(unit)
    return [] if node is None else [c for c in graph.checks_of(node.id) if c.runs_in_build]


def not_run_in_builds(
    graph: Graph, called: Callable[[UnitId], str], finished: Mapping[UnitId, Finished]
) -> dict[UnitId, LeftOut]:
    """The checks of builds that did not come so far, and why; as a check that is a unit has it.

    Args:
        graph: The graph.
        called: What people call a unit.
        finished: How the units of the walk ended.
    """
    found: dict[UnitId, LeftOut] = {}
    for id, end in finished.items():
        if end.unit.kind is not UnitKind.BUILD or end.outcome in GOOD_OUTCOMES:
            continue
        ran = {result.check for result in end.report.checks} if end.report is not None else set()
        left = [check.id for check in checks_in_build(graph, id) if check.id not in ran]
        found.update(dict.fromkeys(left, LeftOut(*held_back(end, called))))
    return found
