"""Nodes that were built elsewhere, or before it was recorded here: synced materialisations."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from dagster_transform.graph import CheckId, Graph, NodeId
from dagster_transform.planning import Outcome, Readiness, RunPlan
from dagster_transform.runs.events import NodesSynced, RunEvent
from dagster_transform.runs.ports import RunRecords

_LEFT_AS_BUILT = (Outcome.UP_TO_DATE, Outcome.WAITING)


def synced(graph: Graph, run_plan: RunPlan, records: RunRecords) -> Iterator[RunEvent]:
    """What the projects' states say was built later than is recorded here, of the nodes that a run
    leaves out: outside of Dagster, or by a run that was killed before it told it.

    What waits for something else may have been built before, too. What another run has now it tells
    of itself.

    Args:
        graph: The graph.
        run_plan: What the run does, and why not the rest.
        records: What is recorded here; asked once, and only where there is something to ask.
    """
    built = {
        node.id: why.built_at
        for id, why in run_plan.left_out.items()
        if why.outcome in _LEFT_AS_BUILT
        and why.promotion is None
        and why.built_at is not None
        and (node := graph.node(id)) is not None
    }
    known = records.last_built(list(built)) if built else {}
    if untold := _later(built, known):
        yield NodesSynced(untold)


def unjudged(
    graph: Graph,
    checks: Collection[CheckId],
    readiness: Mapping[NodeId, Readiness],
    records: RunRecords,
) -> dict[NodeId, Readiness]:
    """What there is to do for nodes that are up to date and of which selected checks have not
    judged what was built last: whoever built it was killed before, or is not of this Dagster.

    Args:
        graph: The graph.
        checks: The checks that the run selects.
        readiness: What the project runs say.
        records: What is recorded here; asked only where there is something to ask.

    Returns:
        The readiness of these nodes, `unjudged`.
    """
    judging: dict[NodeId, list[CheckId]] = {}
    for check in checks:
        if (target := graph.node(graph.checks[check].target)) is not None:
            judging.setdefault(target.id, []).append(check)
    built = {
        node: ready.built_at
        for node, ready in readiness.items()
        if node in judging and ready.outcome is Outcome.UP_TO_DATE and ready.built_at is not None
    }
    if not built:
        return {}
    known = records.last_built(list(built))
    # An environment that shows for the first time what another one has built judges none of it.
    built = {n: at for n, at in built.items() if n in known or readiness[n].promotion is None}
    found = set(_later(built, known))
    left = records.left_unjudged(sorted(built.keys() - found))
    results = records.last_results([check for node in left for check in judging[node]])
    for node in left:
        last = (results.get(check) for check in judging[node])
        if any(result is None or result.at.timestamp() < known[node] for result in last):
            found.add(node)
    return {node: replace(readiness[node], unjudged=True) for node in sorted(found)}


def _later(
    built: Mapping[NodeId, datetime], known: Mapping[NodeId, float]
) -> dict[NodeId, datetime]:
    """What was built later than is recorded."""
    return {n: at for n, at in built.items() if n not in known or known[n] < at.timestamp()}
