"""What of a run people may be told of."""

from __future__ import annotations

from dagster_transform.errors import TransformError
from dagster_transform.planning import Outcome
from dagster_transform.runs.alerts.incidents import RunNews, Wrong
from dagster_transform.runs.events import (
    CheckEvaluated,
    NodeBuilt,
    NodeObserved,
    NodePassed,
    NodesUpToDate,
)
from dagster_transform.runs.summary import Row
from dagster_transform.walk import CheckResult, Report
from tests.support.alerting import news


def built(id: str, held_back: str = "") -> NodeBuilt:
    return NodeBuilt(id, Report(id, Outcome.BUILT), held_back)


def observed(id: str, outcome: Outcome, reason: str = "") -> NodeObserved:
    return NodeObserved(id, outcome, reason)


def result(id: str, *, passed: bool, **fields: object) -> CheckEvaluated:
    return CheckEvaluated(CheckResult(id, passed, **fields))


def told(found: RunNews) -> list[tuple[str, str, str]]:
    return [(i.name, i.wrong.value, i.reason) for i in found.incidents]


FAILED, BLOCKED = Outcome.FAILED, Outcome.BLOCKED


def test_a_failure_is_told_by_its_first_line_and_what_it_blocked_is_counted() -> None:
    found = news(
        observed("a:x", FAILED, "Catalog Error:  no table\nLINE 1\n   ^"),
        observed("a:y", BLOCKED, "upstream failed: x"),
        built("b:z"),
        rows=[
            Row(("x",), "failed", "Catalog Error: no table LINE 1 ^"),
            Row(("y", "y2"), "blocked", "upstream failed: x"),
            Row(("w",), "claimed", "claimed by run 1"),
        ],
    )
    assert told(found) == [("x", "failed", "Catalog Error: no table")]
    (incident,) = found.incidents
    assert (incident.projects, incident.tags) == (("a",), ("finance",))
    assert incident.owners == ("ada@e.com", "team:data")
    assert (found.blocked, found.well, found.completed) == (2, {"b:z"}, True)
    assert [row.names for row in found.claimed] == [("w",)]


def test_a_reason_is_short_and_without_secrets() -> None:
    found = news(
        observed("a:x", FAILED, "can't reach postgres://u:hunter2@host/db " + "x" * 900),
    )
    (incident,) = found.incidents
    assert "hunter2" not in incident.reason
    assert len(incident.reason) < 310


def test_what_was_not_started_after_a_failure_is_no_cause_but_a_lost_claim_is() -> None:
    cancelled = observed("a:y", Outcome.CANCELLED, "its claim was lost")
    assert told(news(cancelled)) == [("y", "failed", "its claim was lost")]
    found = news(observed("a:x", FAILED, "no"), cancelled)
    assert told(found) == [("x", "failed", "no")]


def test_what_others_hold_is_a_failure_of_runs_that_wait_only() -> None:
    held = observed("a:x", Outcome.CLAIMED, "claimed by run 1")
    assert told(news(held)) == [("x", "waiting", "claimed by run 1")]
    assert told(news(held, waited=True)) == [("x", "failed", "claimed by run 1")]
    waits = observed("a:x", Outcome.WAITING, "select +x")
    assert told(news(waits, waited=True)) == [("x", "waiting", "select +x")]


def test_failed_checks_have_their_severity_and_come_after_failures() -> None:
    found = news(
        result("a:y:ok", passed=False, blocking=False, failed_rows=3),
        result("a:x:ok", passed=False, blocking=False, error=True, details={"message": "too old"}),
        observed("b:z", FAILED, "no"),
    )
    assert told(found) == [
        ("z", "failed", "no"),
        ("x:ok", "error", "too old"),
        ("y:ok", "warn", "3 rows"),
    ]
    assert found.incidents[1].owners == ("ada@e.com", "team:data"), "those of what it judges"


def test_of_several_results_of_one_check_a_failure_is_one_whatever_comes_after() -> None:
    found = news(
        result("a:x:ok", passed=True),
        result("a:x:ok", passed=False, failed_rows=1),
        result("a:x:ok", passed=True),
    )
    assert told(found) == [("x:ok", "error", "1 row")]
    assert found.well == frozenset()


def test_a_check_of_the_environment_alone_is_called_by_its_id() -> None:
    found = news(result("a:x:old", passed=False, failed_rows=1))
    assert told(found) == [("a:x:old", "error", "1 row")]


def test_what_has_no_event_is_told_from_the_summary() -> None:
    rows = [
        Row(("x:ok", "x"), "failed", "could not find out"),
        Row(("a",), "failed", "on-run-end: no such table"),
    ]
    found = news(observed("a:x", FAILED, "no"), rows=rows)
    assert told(found) == [
        ("x", "failed", "no"),
        ("x:ok", "failed", "could not find out"),
        ("a", "failed", "on-run-end: no such table"),
    ]
    hook = found.incidents[-1]
    assert hook.projects == ("a", "b")
    assert hook.owners == ("ada@e.com", "team:data", "bob@e.com"), "all whose nodes the run had"
    assert not found.is_over(hook.subject)
    assert news().is_over(hook.subject), "the next run that does the same has none of it"
    assert not news(error=ValueError("no")).is_over(hook.subject)


def test_a_run_that_was_not_carried_out_is_told_by_its_cause() -> None:
    error = TransformError("The store is away.\nReally.", remedy="Start it.")
    found = news(observed("a:x", FAILED, "no"), error=error)
    assert told(found) == [("the run", "failed", "The store is away."), ("x", "failed", "no")]
    assert not found.completed
    assert told(news(error=ValueError("no"))) == [("the run", "failed", "ValueError: no")]


def test_what_is_well_again() -> None:
    failed, waiting = "a:x#failed", "a:x#waiting"
    for event in (built("a:x"), NodePassed("a:x"), NodesUpToDate(("a:x",))):
        assert news(event).is_over(failed)
        assert news(event).is_over(waiting)
        assert not news(event).is_over("a:y#failed")
    assert news(observed("a:x", Outcome.UP_TO_DATE, "another run")).is_over(failed)
    assert not news(built("a:x", "blocking check failed: ok")).is_over(failed)
    assert not news(observed("a:x", Outcome.WAITING, "why")).is_over(failed)
    assert news(result("a:x:ok", passed=True)).is_over("a:x:ok#warn")
    assert news().name_of("a:x:ok#warn") == "x:ok"
    assert news().name_of("run:nightly:1:the run#failed") == "the run"
    assert not news().is_over("run:other:the run#failed")
    assert [wrong.value for wrong in Wrong] == [
        "failed",
        "error",
        "warn",
        "waiting",
        "given up",
        "drift",
    ]
