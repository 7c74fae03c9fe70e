"""Nodes that are not built because a check of what they read has failed in an earlier run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from dagster_transform.claims import RunId
from dagster_transform.graph import Graph, When
from dagster_transform.planning import CheckTimes, Outcome, Readiness, timed
from dagster_transform.runs.earlier_failures import (
    LastResult,
    blocked_by_failures,
    checks_above,
)
from tests.support.run_plans import check, graph, node, source

AT = datetime(2024, 3, 5, 10, 30, tzinfo=timezone.utc)
FAILED = LastResult(failed=True, at=AT, run_id=RunId("r1"), code_version="7")
GRAPH = graph(
    replace(node("a:1", "a:s"), code_version="7"), node("a:2", "a:1"), node("b:3", "a:1"),
    source("a:s"), check("a:1", "must"), check("a:1", "may", blocking=False),
    check("a:s", "must"),
)  # fmt: skip
DONE = Readiness(Outcome.UP_TO_DATE, "there")


def above(*nodes: str, checks: tuple[str, ...] = (), of: Graph = GRAPH, **more: Readiness):  # type: ignore[no-untyped-def]
    readiness = {n: Readiness() for n in nodes} | {k.replace("_", ":"): v for k, v in more.items()}
    found = checks_above(of, readiness, checks, {"a"})
    return {n: [c.id for c in found] for n, found in found.items()}


def test_blocking_checks_of_what_a_node_reads_decide() -> None:
    assert above("a:2") == {"a:2": ["a:1:must"]}
    assert above("a:1") == {"a:1": ["a:s:must"]}
    assert above("b:3") == {}  # another project, which does not ask for it
    assert above(a_2=DONE) == {}


def test_those_that_the_run_carries_out_on_what_it_builds_do_not() -> None:
    assert above("a:1", "a:2", checks=("a:1:must",)) == {"a:1": ["a:s:must"]}
    assert above("a:1", "a:2")["a:2"] == ["a:1:must"]  # not selected
    assert above("a:2", checks=("a:1:must",), a_1=DONE) == {"a:2": ["a:1:must"]}
    apart = timed(GRAPH, {"a": CheckTimes(When.APART)})
    assert above("a:1", "a:2", checks=("a:1:must",), of=apart)["a:2"] == ["a:1:must"]


def blocked(result: LastResult | None) -> dict[str, str]:
    asked = {"a:2": [GRAPH.checks["a:1:must"]]}
    results = {} if result is None else {"a:1:must": result}
    found = blocked_by_failures(GRAPH, asked, results, str.upper)
    assert all(ready.outcome is Outcome.BLOCKED for ready in found.values())
    return {n: ready.reason for n, ready in found.items()}


def test_the_reason_has_check_time_and_run() -> None:
    assert blocked(FAILED) == {
        "a:2": "require_passing_checks: A:1:MUST failed at 2024-03-05 10:30:00 UTC in run r1"
    }


def test_what_passed_never_ran_or_judged_other_code_holds_nothing_back() -> None:
    assert blocked(None) == {}
    assert blocked(replace(FAILED, failed=False)) == {}
    assert blocked(replace(FAILED, code_version="6")) == {}
    assert blocked(replace(FAILED, code_version=None)) != {}
