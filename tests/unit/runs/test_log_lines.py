"""What a run says in its log of its checks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dagster_transform.graph import Check, Graph, Node, Relation, When
from dagster_transform.planning import LeftOut, Outcome, RunPlan, Unit, UnitKind
from dagster_transform.runs.log_lines import LogLines
from dagster_transform.walk import CheckResult, Event, Finished, Report, Retrying, Started

RELATION = Relation("duckdb:/w", None, "d", "a")
NODE = Node("d:a", "d", "dbt", "a", "a", "table", RELATION)


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)

    warning = error = info


class Lines:
    """The log of a run of so many checks, and perhaps of their node's build."""

    def __init__(self, count: int, *, build: bool = False) -> None:
        checks = [Check(f"d:a:c{n:02}", "d", f"c{n:02}", "d:a") for n in range(count)]
        units = {c.id: Unit(c.id, UnitKind.CHECK, "d") for c in checks}
        if build:
            units = {"d:a": Unit("d:a", UnitKind.BUILD, "d"), **units}
        self.plan = RunPlan(units, {})
        self.log = Log()
        graph = Graph.of([NODE], checks=checks)
        self.lines = LogLines(self.log, graph, self.plan, str, lambda: 0.0)

    def tell(self, *events: Event) -> list[str]:
        self.log.lines.clear()
        for event in events:
            self.lines.event(event)
        return list(self.log.lines)

    def started(self, number: int, attempt: int = 1) -> Started:
        return Started(self.plan.units[f"d:a:c{number:02}"], attempt)

    def ended(self, number: int, *, passed: bool = True) -> Finished:
        unit = self.plan.units[f"d:a:c{number:02}"]
        result = CheckResult(unit.id, passed=passed, failed_rows=int(not passed), blocking=False)
        report = Report(unit.id, Outcome.CHECKED, checks=(result,), seconds=1.0)
        return Finished(unit, Outcome.CHECKED, report=report)


@pytest.mark.parametrize("build", [False, True])
def test_few_checks_have_their_lines(build: bool) -> None:
    lines = Lines(10, build=build)
    assert lines.tell(lines.started(3), lines.ended(3)) == [
        "d:a:c03: check started",
        "d:a:c03: checked in 1.00 s, c03 passed",
    ]


@pytest.mark.parametrize("build", [False, True])
def test_of_many_checks_only_what_went_wrong_has_a_line(build: bool) -> None:
    lines = Lines(30, build=build)
    assert lines.tell(lines.started(3), lines.ended(3)) == []
    assert lines.tell(lines.started(4), lines.ended(4, passed=False)) == [
        "d:a:c04: checked in 1.00 s, c04 FAILED (1 row)"
    ]
    broken = Report("d:a:c05", Outcome.FAILED, "no such column")
    unit = lines.plan.units["d:a:c05"]
    assert lines.tell(
        lines.started(5),
        Retrying(unit, broken, 2.0),
        lines.started(5, attempt=2),
        Finished(unit, Outcome.FAILED, broken.reason, broken),
    ) == [
        "d:a:c05: failed, will be tried again in 2 s: no such column",
        "d:a:c05: check started, attempt 2",
        "d:a:c05: failed: no such column",
    ]
    waiting = Finished(lines.plan.units["d:a:c06"], Outcome.CLAIMED, "run 1 has it")
    assert lines.tell(waiting) == ["d:a:c06: claimed: run 1 has it"]


def test_the_last_of_many_checks_are_named_once() -> None:
    lines = Lines(12)
    assert lines.tell(lines.ended(0)) == []
    names = ", ".join(f"d:a:c{n:02}" for n in range(2, 12))
    assert lines.tell(lines.ended(1), lines.ended(2)) == [f"The last 10: {names}"]


def test_the_last_checks_of_a_build_are_not_named() -> None:
    lines = Lines(12, build=True)
    assert lines.tell(*map(lines.ended, range(12))) == []


def test_the_plan_counts_the_checks_that_builds_run_too() -> None:
    lines = Lines(2, build=True)
    lines.lines.begin()
    assert lines.log.lines == ["Run plan: 1 node to build, 2 checks."]
    inside = Check("d:a:n", "d", "n", "d:a", in_build=True)
    apart = Check("d:a:m", "d", "m", "d:a", in_build=True, when=When.APART)  # not in this run
    graph = Graph.of([NODE], checks=[inside, apart])
    log = Log()
    LogLines(log, graph, RunPlan({"d:a": Unit("d:a", UnitKind.BUILD, "d")}, {}), str, float).begin()
    assert log.lines == ["Run plan: 1 node to build, 1 check."]


def test_what_a_run_leaves_out_is_named_with_its_reason() -> None:
    lines = Lines(0)
    relations = [replace(RELATION, name=f"n{n:02}") for n in range(14)]
    nodes = [Node(f"d:{r.name}", "d", "dbt", r.name, r.name, "table", r) for r in relations]
    left_out = {n.id: LeftOut(Outcome.WAITING, "its interval is not over") for n in nodes[:12]}
    left_out[nodes[12].id] = LeftOut(Outcome.NOT_PROMOTED, "plan it")
    left_out[nodes[13].id] = LeftOut(Outcome.FAILED, "told already, and in the failure")
    warned: list[str] = []
    lines.log.warning = warned.append  # type: ignore[method-assign]
    LogLines(lines.log, Graph.of(nodes), RunPlan({}, left_out), str, lambda: 0.0).begin()
    names = ", ".join(f"d:n{n:02}" for n in range(10))
    assert lines.log.lines == [
        "Run plan: 0 nodes to build, 13 left out.",
        f"{names} and 2 more: waiting: its interval is not over",
    ]
    assert warned == ["d:n12: not_promoted: plan it"]
