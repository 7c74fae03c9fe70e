"""Which nodes are told as built although no run of this Dagster has told it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest

from dagster_transform.claims import RunId
from dagster_transform.graph import CheckId, Graph, NodeId, PromotionId
from dagster_transform.planning import LeftOut, Outcome, RunPlan
from dagster_transform.runs.earlier_failures import LastResult
from dagster_transform.runs.events import NodesSynced
from dagster_transform.runs.syncing import synced
from tests.support.job_group_graphs import node
from tests.support.sqlmesh_projects import utc

BUILT = utc("2024-03-05 10:30")


class Records:
    """When something was last told; notes what it is asked."""

    def __init__(self, told: Mapping[NodeId, float]) -> None:
        self.told = told
        self.asked: list[NodeId] = []

    def has_ended(self, _: RunId, /) -> bool:
        return False

    def last_built(self, nodes: Collection[NodeId], /) -> Mapping[NodeId, float]:
        self.asked += nodes
        return {n: at for n, at in self.told.items() if n in nodes}

    def last_results(self, _: Collection[CheckId], /) -> Mapping[CheckId, LastResult]:
        return {}


def found(why: LeftOut, told: timedelta | None = None) -> tuple[list[NodeId], int]:
    """The nodes that are told, and how many were asked for."""
    graph = Graph.of([node("a")])
    (a,) = graph.nodes
    records = Records({} if told is None else {a: (BUILT + told).timestamp()})
    events = list(synced(graph, RunPlan(left_out={a: why}), records))
    nodes = [n for event in events if isinstance(event, NodesSynced) for n in event.built_at]
    assert all(isinstance(e, NodesSynced) and e.built_at[a] == BUILT for e in events)
    return nodes, len(records.asked)


@pytest.mark.parametrize(
    ("outcome", "is_told"),
    [
        (Outcome.UP_TO_DATE, True),
        (Outcome.WAITING, True),  # for what it lacks; what it has may have been built before
        (Outcome.CLAIMED, False),  # by a run that tells it
        (Outcome.NOT_PROMOTED, False),
    ],
)
def test_what_is_left_as_it_was_built(outcome: Outcome, is_told: bool) -> None:
    nodes, asked = found(LeftOut(outcome, "because", built_at=BUILT))
    assert (len(nodes), asked) == (int(is_told), int(is_told))


@pytest.mark.parametrize(("told", "count"), [(-1, 1), (0, 0), (1, 0)])
def test_only_what_was_built_later_than_it_was_told(told: int, count: int) -> None:
    why = LeftOut(Outcome.UP_TO_DATE, "because", built_at=BUILT)
    assert len(found(why, timedelta(seconds=told))[0]) == count


def test_what_a_promotion_of_the_run_tells_is_left_to_it() -> None:
    promotion = PromotionId("p:promotion of prod")
    assert found(LeftOut(Outcome.UP_TO_DATE, "because", promotion, BUILT)) == ([], 0)
    assert found(LeftOut(Outcome.UP_TO_DATE, "because")) == ([], 0)
