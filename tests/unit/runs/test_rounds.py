"""The rounds of a run, one after the other: what an earlier one holds back in a later one."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import pytest

from dagster_transform.graph import UnitId
from dagster_transform.planning import LeftOut, Outcome, Readiness, Unit, UnitKind
from dagster_transform.runs.events import NodeObserved, RunEvent
from dagster_transform.runs.rounds import Round, Selection, below, carry_out_rounds, rounds_of
from dagster_transform.runs.summary import Row, RunSummary
from dagster_transform.walk import CheckResult, Finished, Report
from tests.support.run_plans import check, graph, node

GRAPH = graph(
    node("a:1"),
    node("b:2", "a:1"),
    node("a:3", "b:2"),
    node("b:4", "a:3"),
    node("a:5"),
    node("a:6", "b:2", "a:5"),
    check("b:2"),
    check("b:2", "of_both", "a:5", project="b"),
    check("a:1", "late", "b:4", project="b"),
)
ALL = Selection([*GRAPH.nodes], [*GRAPH.checks])
ROUNDS = rounds_of(GRAPH, ALL, [{"a:1", "b:2", "a:5"}, {"a:3", "b:4", "a:6"}])


class Recorder:
    """Carries out rounds as it was told, and keeps what it was given."""

    def __init__(self, *summaries: RunSummary) -> None:
        self.summaries = list(summaries)
        self.held: list[Mapping[UnitId, Readiness]] = []
        self.stored: list[RunEvent] = []

    def carry_out(
        self, one: Round, held: Mapping[UnitId, Readiness]
    ) -> Generator[RunEvent, None, RunSummary]:
        self.held.append(held)
        yield NodeObserved(min(one.selection.nodes), Outcome.WAITING, "it was begun")
        return self.summaries.pop(0)

    def store(self, event: RunEvent) -> None:
        self.stored.append(event)

    def run(self, *, fail_fast: bool = False) -> RunSummary:
        run = carry_out_rounds(GRAPH, ROUNDS, self.carry_out, self, fail_fast=fail_fast)
        while True:
            try:
                next(run)
            except StopIteration as end:
                summary: RunSummary = end.value
                return summary


def good(below: Mapping[UnitId, Readiness] | None = None) -> RunSummary:
    return RunSummary(failed=bool(below), rows=(), good=1, below=below or {})


def test_a_check_is_in_the_round_of_the_last_node_that_it_reads() -> None:
    assert [set(one.selection.checks) for one in ROUNDS] == [
        {"b:2:ok", "b:2:of_both"},
        {"a:1:late"},
    ]
    assert [one.later for one in ROUNDS] == [{"a", "b"}, set()]
    assert [one.before for one in ROUNDS] == [set(), {"a:1", "b:2", "a:5"}]


def test_what_goes_well_holds_nothing_back() -> None:
    recorder = Recorder(good(), good())
    assert recorder.run() == RunSummary(failed=False, rows=(), good=2)
    assert recorder.held == [{}, {}]


def test_a_node_holds_back_what_is_below_it_and_checks_that_read_it() -> None:
    why = Readiness(Outcome.BLOCKED, "upstream failed: 1")
    lower = Readiness(Outcome.BLOCKED, "its upstream 2 is blocked: upstream failed: 1")
    recorder = Recorder(good({"b:2": lower, "a:1": why}), good())
    assert recorder.run().failed
    assert recorder.held[1] == dict.fromkeys(("a:3", "b:4", "a:6", "a:1:late"), why)


def test_a_check_holds_back_what_is_below_all_that_it_reads() -> None:
    why = Readiness(Outcome.BLOCKED, "blocking check failed: of_both")
    recorder = Recorder(good({"b:2:of_both": why}), good())
    recorder.run()
    assert recorder.held[1] == {"a:6": why}


def test_fail_fast_starts_nothing_more() -> None:
    failed = RunSummary(failed=True, rows=(Row(("5",), "failed", "no"),), good=0)
    recorder = Recorder(failed, good())
    recorder.run(fail_fast=True)
    why = Readiness(Outcome.CANCELLED, "fail_fast: 5 failed")
    assert recorder.held[1] == dict.fromkeys(("a:3", "b:4", "a:6", "a:1:late"), why)


def test_an_interrupt_is_told_of_all_rounds() -> None:
    recorder = Recorder(good(), good())
    run = carry_out_rounds(GRAPH, ROUNDS, recorder.carry_out, recorder, fail_fast=False)
    next(run)
    with pytest.raises(KeyboardInterrupt):
        run.throw(KeyboardInterrupt())
    reason = "the run was cancelled"
    assert recorder.stored == [
        NodeObserved(id, Outcome.CANCELLED, reason) for id in ("a:3", "a:6", "b:4")
    ]


def test_what_becomes_of_nodes_below() -> None:
    promotion = Finished(Unit("a:P", UnitKind.PROMOTE, "a"), Outcome.FAILED, "no view")
    result = CheckResult("b:2:ok", passed=False)
    judged = Report("b:2:ok", Outcome.CHECKED, checks=(result,))
    finished = {
        "a:P": promotion,
        "a:1": Finished(Unit("a:1", UnitKind.BUILD, "a", promotion="a:P"), Outcome.BACKFILLED),
        "b:2": Finished(Unit("b:2", UnitKind.BUILD, "b"), Outcome.BUILT),
        "b:2:ok": Finished(Unit("b:2:ok", UnitKind.CHECK, "b"), Outcome.CHECKED, "", judged),
    }
    left_out = {
        "a:3": LeftOut(Outcome.CLAIMED, "run x has it"),
        "b:4": LeftOut(Outcome.UP_TO_DATE, "no interval is missing"),
        "a:5": LeftOut(Outcome.CANCELLED, "fail_fast: 1 failed"),
        "a:1:late": LeftOut(Outcome.FAILED, "its project is broken"),
    }
    failed = "upstream failed: a:P"
    assert below(GRAPH, str, finished, left_out) == {
        "a:P": Readiness(Outcome.BLOCKED, failed),
        "a:1": Readiness(Outcome.BLOCKED, failed),
        "b:2:ok": Readiness(Outcome.BLOCKED, "blocking check failed: b:2:ok"),
        "a:3": Readiness(Outcome.WAITING, "its upstream a:3 is claimed: run x has it"),
        "a:5": Readiness(Outcome.CANCELLED, "fail_fast: 1 failed"),
    }
    lax = Finished(Unit("b:2:ok", UnitKind.CHECK, "b", blocking=False), Outcome.CHECKED, "", judged)
    assert below(GRAPH, str, {"b:2:ok": lax}, {}) == {}
