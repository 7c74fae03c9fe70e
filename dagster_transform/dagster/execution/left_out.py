"""What a run of a job group has left out is remembered, for the transform's sensor to follow up."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timezone

import dagster as dg

from dagster_transform.claims import ClaimsError
from dagster_transform.dagster._compat_schedules import location_of
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.owed_rows import as_row
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.graph import Graph, InputId, NodeId
from dagster_transform.graph.counts import counted
from dagster_transform.planning import Outcome
from dagster_transform.planning.follow_up import Owed
from dagster_transform.planning.owed_by_runs import GroupRun, left_out_work
from dagster_transform.runs.events import (
    NodeBuilt,
    NodeObserved,
    NodePassed,
    NodesUpToDate,
    RunEvent,
)
from dagster_transform.runs.summary import RunSummary
from dagster_transform.runs.tags import ATTEMPT, JOB_GROUP, TICK
from dagster_transform.runs.watched import watched


class LeftOutWork:
    """Notes what becomes of the nodes of one op of a job group's run.

    Args:
        context: Dagster's context of the op.
        transform: What there is.
    """

    def __init__(self, context: dg.AssetExecutionContext, transform: Transform) -> None:
        self._context = context
        self._transform = transform
        self._began = datetime.now(timezone.utc)
        self._left: dict[NodeId, tuple[Outcome, str]] = {}
        self._well: set[NodeId] = set()

    def watch(
        self, run: Generator[RunEvent, None, RunSummary]
    ) -> Generator[RunEvent, None, RunSummary]:
        """The run of the op, its events unchanged."""
        return watched(run, self._see)

    def remember(self) -> None:
        """Remember what is owed still. Raises nothing: without it the next tick builds that."""
        run = self._context.run
        tick = Owed.read_tick(run.tags.get(TICK, ""))
        location = location_of(run)
        if tick is None or location is None or not self._left:
            return
        group_run = GroupRun(
            run.tags[JOB_GROUP], tick[0], int(run.tags.get(ATTEMPT, "0")), self._began
        )
        graph = self._transform.graph
        nearest = graph.nearest_upstream(lambda above: _has_cron(graph, above))
        owed = left_out_work(
            group_run,
            self._left,
            lambda node: filter(graph.is_node, nearest[node]),
            self._well,
            datetime.now(timezone.utc),
        )
        if not owed:
            return
        try:
            store = open_claims(self._context.instance, self._transform.config)
            store.postpone(as_row(each, location) for each in owed)
        except ClaimsError as error:
            self._context.log.warning(
                f"Not followed up before the group's next tick: {counted(len(owed), 'node')} "
                f"that this run has left out: {error}"
            )

    def _see(self, event: RunEvent) -> None:
        match event:
            case NodeObserved(node=node):
                if event.outcome is Outcome.UP_TO_DATE:
                    self._well.add(node)
                else:
                    self._left[node] = (event.outcome, event.reason)
                    self._well.discard(node)
            case NodeBuilt(node=node):
                self._left.pop(node, None)
                if not event.held_back:
                    self._well.add(node)
            case NodePassed(node=node):
                self._well.add(node)
            case NodesUpToDate(nodes=nodes):
                self._well.update(nodes)
            case _:
                pass


def _has_cron(graph: Graph, above: InputId) -> bool:
    node = graph.node(above)
    return node is not None and node.cron is not None
