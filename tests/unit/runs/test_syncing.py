"""Which nodes are told as built although no run of this Dagster has told it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from dagster_transform.claims import RunId
from dagster_transform.graph import CheckId, Graph, NodeId, PromotionId
from dagster_transform.planning import LeftOut, Outcome, Readiness, RunPlan
from dagster_transform.runs.earlier_failures import LastResult
from dagster_transform.runs.events import NodesSynced
from dagster_transform.runs.syncing import synced, unjudged
from tests.support.job_group_graphs import node
from tests.support.run_plans import check
from tests.support.sqlmesh_projects import utc

BUILT = utc("2024-03-05 10:30")


class Records:
    """When something was last told; notes what it is asked."""

    def __init__(self, told: Mapping[NodeId, float]) -> None:
        self.told = told
        self.left: list[NodeId] = []
        self.judged: dict[CheckId, LastResult] = {}
        self.asked: list[NodeId] = []

    def has_ended(self, _: RunId, /) -> bool:
        return False

    def last_built(self, nodes: Collection[NodeId], /) -> Mapping[NodeId, float]:
        self.asked += nodes
        return {n: at for n, at in self.told.items() if n in nodes}

    def left_unjudged(self, nodes: Collection[NodeId], /) -> Collection[NodeId]:
        return [n for n in self.left if n in nodes]

    def last_results(self, checks: Collection[CheckId], /) -> Mapping[CheckId, LastResult]:
        return {c: self.judged[c] for c in checks if c in self.judged}


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


def to_judge(
    ready: Readiness,
    told: timedelta | None = None,
    judged: timedelta | None = None,
    *,
    left: bool = False,
    selected: bool = True,
) -> int:
    """How many nodes are to be judged.

    Args:
        ready: What there is to do for the only one.
        told: When its latest build was stored, from the build; None: none was.
        judged: Likewise its check's result.
        left: Whether it is one of those that may have been left unjudged.
        selected: Whether its check is.
    """
    graph = Graph.of([node("a")], checks=[check("p:a")])
    (a,) = graph.nodes
    records = Records({} if told is None else {a: (BUILT + told).timestamp()})
    records.left = [a] * left
    if judged is not None:
        at = BUILT + judged
        records.judged = dict.fromkeys(graph.checks, LastResult(False, at, RunId("r"), None))
    found = unjudged(graph, list(graph.checks) if selected else [], {a: ready}, records)
    assert all(each == replace(ready, unjudged=True) for each in found.values())
    return len(found)


DONE = Readiness(Outcome.UP_TO_DATE, "because", built_at=BUILT)
AFTER, AT_ONCE, BEFORE = timedelta(seconds=1), timedelta(0), timedelta(seconds=-1)


def test_what_no_run_has_told_is_judged_by_the_first_that_knows_of_it() -> None:
    assert to_judge(DONE) == 1
    assert to_judge(DONE, BEFORE) == 1
    assert to_judge(DONE, AT_ONCE) == 0
    assert to_judge(DONE, selected=False) == 0


def test_what_was_told_is_judged_where_its_run_did_not_come_to_it() -> None:
    assert to_judge(DONE, AFTER) == 0, "whoever built it has come to its end"
    assert to_judge(DONE, AFTER, left=True) == 1
    assert to_judge(DONE, AFTER, AT_ONCE, left=True) == 1, "what was built before was judged"
    assert to_judge(DONE, AFTER, AFTER, left=True) == 0
    assert to_judge(DONE, AFTER, left=True, selected=False) == 0


@pytest.mark.parametrize(
    "ready",
    [
        Readiness(),  # it is built, and judged then
        Readiness(Outcome.UP_TO_DATE, "because"),  # it never was
        Readiness(Outcome.WAITING, "because", built_at=BUILT),  # it is half done
    ],
)
def test_nothing_else_is_judged_because_nobody_has_told_it(ready: Readiness) -> None:
    assert to_judge(ready) == 0
    assert to_judge(ready, AFTER, left=True) == 0


def test_what_a_promotion_shows_is_judged_where_it_was_built_later_than_its_environment_knows() -> (
    None
):
    shown = replace(DONE, promotion=PromotionId("p:promotion of prod"), shown=True)
    assert to_judge(shown, BEFORE) == 1, "a killed plan of this environment has built it"
    assert to_judge(shown, AFTER) == 0
    assert to_judge(shown, AFTER, left=True) == 1
    assert to_judge(shown) == 0, "another environment may have, and all of it would be judged"
