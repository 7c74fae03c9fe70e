"""Nodes that were built elsewhere, or before it was recorded here: synced materialisations."""

from __future__ import annotations

from collections.abc import Iterator

from dagster_transform.graph import Graph
from dagster_transform.planning import Outcome, RunPlan
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
    unknown = {n: at for n, at in built.items() if n not in known or known[n] < at.timestamp()}
    if unknown:
        yield NodesSynced(unknown)
