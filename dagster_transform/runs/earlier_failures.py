"""Nodes that are not built because a check of what they read has failed in an earlier run: pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from dagster_transform.claims import RunId
from dagster_transform.graph import Check, CheckId, Graph, NodeId, UnitId
from dagster_transform.planning import Outcome, Readiness


@dataclass(frozen=True, slots=True)
class LastResult:
    """The latest result that a check has.

    Attributes:
        failed: Whether it is a failure, and no warning.
        at: When it was stored, aware.
        run_id: Of which run it is.
        code_version: Of the node that it judged, where that is known.
    """

    failed: bool
    at: datetime
    run_id: RunId
    code_version: str | None


def checks_above(
    graph: Graph,
    nodes: Mapping[NodeId, Readiness],
    checks: Collection[CheckId],
    requiring: Collection[str],
) -> dict[NodeId, list[Check]]:
    """The checks whose latest results decide whether nodes are built, by node.

    Those that this run carries out on what it builds are not among them: the walk holds back what
    is downstream of one that fails.

    Args:
        graph: The graph.
        nodes: What is known of the selected nodes; those with an outcome are not built anyway.
        checks: The selected checks.
        requiring: Projects whose nodes are built over passing checks only.
    """
    build = {n for n, ready in nodes.items() if ready.outcome is None}
    found: dict[NodeId, list[Check]] = {}
    for node_id in build:
        node = graph.nodes[node_id]
        if node.project not in requiring:
            continue
        above = [
            check
            for read in node.deps
            for check in graph.checks_of(read)
            if check.blocking
            and not (
                check.holds_back
                and check.target in build
                and (check.id in checks or check.runs_in_build)
            )
        ]
        if above:
            found[node_id] = above
    return found


def blocked_by_failures(
    graph: Graph,
    above: Mapping[NodeId, Collection[Check]],
    results: Mapping[CheckId, LastResult],
    called: Callable[[UnitId], str],
) -> dict[NodeId, Readiness]:
    """The nodes that are not built, and why not.

    A failure of another version of the code that it judged is none of this one.

    Args:
        graph: The graph.
        above: As `checks_above` finds them.
        results: The latest results of these checks, where there are some.
        called: What people call a check.
    """
    found: dict[NodeId, Readiness] = {}
    for node_id, checks in above.items():
        reasons = [
            f"{called(check.id)} failed at {result.at:%Y-%m-%d %H:%M:%S %Z} in run {result.run_id}"
            for check in checks
            if (result := results.get(check.id)) is not None
            and result.failed
            and _same_code(graph, check, result)
        ]
        if reasons:
            reason = f"require_passing_checks: {'; '.join(sorted(reasons))}"
            found[node_id] = Readiness(Outcome.BLOCKED, reason)
    return found


def _same_code(graph: Graph, check: Check, result: LastResult) -> bool:
    judged = graph.node(check.target)
    now = None if judged is None else judged.code_version
    return None in (now, result.code_version) or now == result.code_version
