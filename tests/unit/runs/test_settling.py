"""A node is told when it is settled, and what depends on it after it."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_transform.graph import Check, Graph, Node, Position, Relation
from dagster_transform.planning import LeftOut, Limits, Outcome, RunPlan, Unit, UnitKind
from dagster_transform.runs.events import (
    CheckEvaluated,
    NodeBuilt,
    NodeObserved,
    NodePassed,
    NodesUpToDate,
)
from dagster_transform.runs.settling import Settling
from dagster_transform.walk import CheckResult, Facts, Finished, Learned, Report


def node(name: str, *deps: str) -> Node:
    relation = Relation("duckdb:/w", None, "d", name)
    above = tuple(f"d:{dep}" for dep in deps)
    return Node(f"d:{name}", "d", "dbt", name, name, "table", relation, deps=above)


# `off` is no part of the run, and `below` reads `top` through it.
GRAPH = Graph.of(
    [node("top"), node("off", "top"), node("below", "off"), node("apart"), node("old", "top")],
    checks=[
        Check("d:top:c", "d", "c", "d:top"),
        Check("d:top:wide", "d", "wide", "d:top", also=("d:apart",)),
        Check(
            "d:top:through",
            "d",
            "through",
            "d:top",
            position=Position((), ("d:top",), ("d:below",)),
        ),
    ],
)
RUN = ("d:top", "d:below", "d:apart")
PROMOTION = "d:promotion of prod"


class Rule:
    """The rule in a run, and what it has said last."""

    def __init__(
        self,
        *checks: str,
        promotion: str | None = None,
        promotes: tuple[str, ...] = RUN,
        left_out: dict[str, LeftOut] | None = None,
        holders: dict[str, str] | None = None,
        graph: Graph = GRAPH,
    ) -> None:
        own = dict.fromkeys(promotes, promotion)
        builds = [n for n in graph.nodes if n in RUN]
        units = [Unit(n, UnitKind.BUILD, "d", promotion=own.get(n)) for n in builds]
        units += [Unit(c, UnitKind.CHECK, "d") for c in checks]
        if promotion is not None:
            units.append(Unit(promotion, UnitKind.PROMOTE, "d"))
        self.run_plan = RunPlan({unit.id: unit for unit in units}, left_out or {}, Limits())
        selected = {*builds, *(left_out or {})}
        self.rule = Settling(graph, self.run_plan, selected, str, holders or {})
        self.events: list[Any] = []

    def built(
        self,
        name: str,
        *,
        facts_follow: bool = False,
        checks: tuple[CheckResult, ...] = (),
        outcome: Outcome = Outcome.BUILT,
    ) -> list[str]:
        report = Report(f"d:{name}", outcome, checks=checks, facts_follow=facts_follow)
        unit = self.run_plan.units[report.unit]
        if outcome is Outcome.BUILT and unit.promotion is not None:
            outcome = Outcome.BACKFILLED
        return self.after(Finished(unit, outcome, "", report))

    def learned(self, name: str, **facts: Any) -> list[str]:
        unit = self.run_plan.units[f"d:{name}"]
        return self.after(Learned(unit, Facts(unit.id, **facts)))

    def checked(self, check: str, *, passed: bool = True) -> list[str]:
        result = CheckResult(check, passed, failed_rows=0 if passed else 2)
        report = Report(check, Outcome.CHECKED, checks=(result,))
        return self.after(Finished(self.run_plan.units[check], Outcome.CHECKED, "", report))

    def ended(self, unit: str, outcome: Outcome, reason: str = "") -> list[str]:
        return self.after(Finished(self.run_plan.units[unit], outcome, reason))

    def after(self, event: Any) -> list[str]:
        self.events = list(self.rule.after(event))
        return [e.node.removeprefix("d:") for e in self.events if isinstance(e, NodeBuilt)]


def test_what_depends_on_a_node_is_told_after_it() -> None:
    run = Rule()
    assert run.built("top", facts_follow=True) == []
    assert run.built("below") == [], "Dagster would refuse top after it"
    assert run.built("apart") == ["apart"]
    assert run.learned("top", table_rows=3) == ["top", "below"]


def test_facts_of_what_depends_on_a_node_may_come_first() -> None:
    run = Rule()
    run.built("top", facts_follow=True)
    run.built("below", facts_follow=True)
    assert run.learned("below", table_rows=1) == []
    assert run.learned("top", table_rows=3) == ["top", "below"]
    assert [event.report.table_rows for event in run.events] == [3, 1]


def test_facts_belong_to_the_report_of_their_node() -> None:
    run = Rule()
    run.built("top", facts_follow=True)
    lineage = {"id": (("d:apart", "x"),)}
    run.learned("top", table_rows=3, columns={"id": "int"}, column_lineage=lineage)
    [event] = run.events
    assert event.report.columns == {"id": "int"}
    assert event.report.column_lineage == lineage


def test_a_run_that_is_interrupted_tells_what_was_built_without_its_facts() -> None:
    run = Rule()
    run.built("top", facts_follow=True)
    run.built("below")
    events = list(run.rule.end())
    assert [event.node for event in events] == ["d:top", "d:below"]
    assert events[0].held_back == "the run ended before it was settled"


def test_a_blocking_check_is_waited_for_and_told_with_its_node() -> None:
    run = Rule("d:top:c")
    assert run.built("top") == []
    assert run.checked("d:top:c") == ["top"]
    built, checked = run.events
    assert built.held_back == ""
    assert (checked.result.check, checked.seen) == ("d:top:c", True)


def test_nothing_goes_on_from_a_node_whose_blocking_check_failed() -> None:
    run = Rule("d:top:c")
    run.built("top")
    run.checked("d:top:c", passed=False)
    # What the walk calls the end of a check that found something: it ran.
    result = CheckResult("d:top:c", passed=False)
    report = Report("d:top:c", Outcome.CHECKED, checks=(result,))
    again = Rule("d:top:c")
    again.built("top")
    again.after(Finished(again.run_plan.units["d:top:c"], Outcome.CHECKED, "", report))
    built = again.events[0]
    assert isinstance(built, NodeBuilt)
    assert built.held_back == "blocking check failed: d:top:c"


def test_a_failed_check_in_the_build_holds_its_node_back() -> None:
    run = Rule()
    failed = CheckResult("d:top:c", passed=False, failed_rows=2)
    assert run.built("top", checks=(failed,)) == ["top"]
    assert run.events[0].held_back == "blocking check failed: d:top:c"
    assert run.events[1] == CheckEvaluated(failed)


def test_a_check_that_was_blocked_itself_holds_nothing_back() -> None:
    run = Rule("d:top:wide")
    run.built("top")
    assert run.ended("d:top:wide", Outcome.BLOCKED, "upstream failed: apart") == ["top"]
    assert run.events[0].held_back == ""


def test_a_check_without_its_node_is_told_at_once() -> None:
    run = Rule("d:top:c")
    assert run.checked("d:top:c") == []
    assert [event.result.check for event in run.events] == ["d:top:c"]


def test_what_a_plan_builds_is_observed_and_built_when_it_is_promoted() -> None:
    run = Rule(promotion=PROMOTION)
    assert run.built("top") == []
    [seen] = run.events
    assert (seen.outcome, seen.reason) == (
        Outcome.BACKFILLED, f"waits for the promotion of the plan: {PROMOTION}",
    )  # fmt: skip
    run.built("below")
    assert run.ended(PROMOTION, Outcome.PROMOTED) == ["top", "below"]


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_what_was_not_promoted_is_not_built_and_its_checks_are_told(late: bool) -> None:
    run = Rule(promotion=PROMOTION)
    passed = CheckResult("d:top:c", passed=True)
    if not late:
        run.built("top", checks=(passed,))
    run.ended(PROMOTION, Outcome.FAILED, "no views")
    events = list(run.events)
    if late:  # another node has failed, and with it the promotion of both
        run.built("top", checks=(passed,))
        events = list(run.events)
    assert [e for e in events if isinstance(e, NodeBuilt)] == []
    assert CheckEvaluated(passed, seen=False) in events


def test_nodes_that_are_up_to_date_are_one_event_and_pass_before_what_reads_them() -> None:
    left_out = {"d:off": LeftOut(Outcome.UP_TO_DATE, "nothing is missing")}
    run = Rule(left_out=left_out)
    assert list(run.rule.begin()) == [NodesUpToDate(("d:off",))]
    run.built("top")
    run.built("below")
    assert [type(event) for event in run.events] == [NodePassed, NodeBuilt]
    assert list(run.rule.end()) == []


def test_nodes_that_are_up_to_date_pass_in_the_end_at_the_latest() -> None:
    run = Rule()
    run.built("top", outcome=Outcome.UP_TO_DATE)
    assert run.events == []
    assert list(run.rule.end()) == [NodePassed("d:top")]


def test_why_the_framework_left_a_node_as_it_was_is_told() -> None:
    run = Rule()
    unit = run.run_plan.units["d:top"]
    report = Report("d:top", Outcome.UP_TO_DATE, "dbt says: reused")
    run.after(Finished(unit, Outcome.UP_TO_DATE, report.reason, report))
    assert run.events == [
        NodeObserved("d:top", Outcome.UP_TO_DATE, "dbt says: reused", report, None)
    ]
    assert list(run.rule.end()) == [NodePassed("d:top")]


def test_a_check_that_holds_back_something_else_is_not_waited_for() -> None:
    run = Rule("d:top:through")
    assert run.built("top") == ["top"]
    assert run.checked("d:top:through", passed=False) == []
    assert [event.result.check for event in run.events] == ["d:top:through"]


def test_what_was_claimed_names_its_holder_and_what_waits_does_not() -> None:
    left_out = {
        "d:off": LeftOut(Outcome.CLAIMED, "table x, which run r has claimed"),
        "d:old": LeftOut(Outcome.WAITING, "its upstream off is claimed"),
    }
    run = Rule(left_out=left_out, holders={"d:off": "r", "d:old": "r"})
    first, second = run.rule.begin()
    assert isinstance(first, NodeObserved)
    assert first.holder == "r"
    assert second.holder is None


def test_a_node_that_a_promotion_shows_is_built_with_it() -> None:
    shown = LeftOut(Outcome.UP_TO_DATE, "its table was built before", promotion=PROMOTION)
    run = Rule(promotion=PROMOTION, left_out={"d:old": shown})
    assert list(run.rule.begin()) == [NodesUpToDate(("d:old",))]
    assert run.built("top") == []
    assert run.ended(PROMOTION, Outcome.PROMOTED) == ["top", "old"]
    assert run.events[-1].report.details == {"built": "its table was built before"}


SHOWN = {"d:old": LeftOut(Outcome.UP_TO_DATE, "its table was built before", promotion=PROMOTION)}


def test_what_is_built_above_a_node_that_a_promotion_shows_is_told_before_it() -> None:
    """A dbt model, say, which the next plan's promotion does not wait for."""
    run = Rule("d:top:c", promotion=PROMOTION, promotes=(), left_out=SHOWN)
    list(run.rule.begin())
    assert run.ended(PROMOTION, Outcome.PROMOTED) == [], "Dagster would refuse top after it"
    assert run.built("top") == []
    assert run.checked("d:top:c") == ["top", "old"]
    assert list(run.rule.end()) == []


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.BLOCKED, Outcome.UP_TO_DATE])
def test_a_node_that_a_promotion_shows_is_told_whatever_becomes_of_what_it_reads(
    outcome: Outcome,
) -> None:
    run = Rule(promotion=PROMOTION, promotes=(), left_out=SHOWN)
    list(run.rule.begin())
    assert run.ended(PROMOTION, Outcome.PROMOTED) == []
    assert run.ended("d:top", outcome, "because") == ["old"]
    assert not run.events[-1].held_back
    order = [event.node for event in run.events if isinstance(event, (NodePassed, NodeBuilt))]
    assert order == ["d:top"] * (outcome is Outcome.UP_TO_DATE) + ["d:old"]


def test_what_reads_a_node_that_a_promotion_shows_is_told_after_it() -> None:
    graph = Graph.of([node("top"), node("old", "top"), node("below", "old")])
    run = Rule(promotion=PROMOTION, promotes=(), left_out=SHOWN, graph=graph)
    list(run.rule.begin())
    assert run.ended(PROMOTION, Outcome.PROMOTED) == []
    assert run.built("top", facts_follow=True) == []
    assert run.built("below") == []
    assert run.learned("top", table_rows=3) == ["top", "old", "below"]
