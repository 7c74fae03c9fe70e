"""From dbt's words to ours: what is built is told as built, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_transform.dbt.protocol import Measured, Result
from dagster_transform.dbt.runs.reports import entry_of, facts_of, report_of
from dagster_transform.dbt.runs.started_nodes import Answer
from dagster_transform.graph import Graph, Node, Relation, Source
from dagster_transform.planning import Limits, Outcome, Unit, UnitKind
from dagster_transform.walk import Report
from dagster_transform.walk.retries import Attempts, retry_delay

BUILD = Unit("p:a", UnitKind.BUILD, "p")
CHECK = Unit("p:a:t", UnitKind.CHECK, "p")
SOFT = Unit("p:a:t", UnitKind.CHECK, "p", blocking=False)


def said(status: str, message: str = "", **more: Any) -> Result:
    return Result(1, status, message, seconds=2.0, **more)


def report(unit: Unit, result: Result | None, **answer: Any) -> Report:
    return report_of(unit, Answer(result, **answer), "inv")


def test_a_node_that_went_well_is_built() -> None:
    found = report(
        BUILD, said("success", "SELECT 3", rows=3, relation='"w"."s"."a"', query_id="q"), made=True
    )
    details = {"table": '"w"."s"."a"', "status": "success", "message": "SELECT 3", "query_id": "q"}
    assert found == Report(
        "p:a",
        Outcome.BUILT,
        seconds=2.0,
        rows=3,
        details={**details, "invocation_id": "inv"},
    )


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        ("no-op", "", "dbt says: no-op"),
        ("reused", "", "dbt says: reused"),  # dbt-core 1.12
        ("reused", "no new data", "dbt says: reused: no new data"),
        # dbt State on older cores.
        ("success", "NO-OP", "dbt says: success: NO-OP"),
        ("success", "\x1b[32mNO-OP\x1b[0m (fresh)", "dbt says: success: NO-OP (fresh)"),
        ("success", "CLONE", "dbt says: success: CLONE"),
        ("success", 'skip "w"."s"."a"', 'dbt says: success: skip "w"."s"."a"'),
    ],
)
@pytest.mark.parametrize("made", [False, True])
def test_what_dbt_has_left_as_it_was_is_not_built(
    status: str, message: str, reason: str, made: bool
) -> None:
    found = report(BUILD, said(status, message, rows=3), made=made)
    assert (found.outcome, found.reason, found.rows) == (Outcome.UP_TO_DATE, reason, None)


@pytest.mark.parametrize(
    "message", ["CREATE TABLE", "OK", "CLONED 3", "SELECT 3 NO-OP", "skipping", ""]
)
def test_what_else_an_adapter_says_of_a_success_is_built(message: str) -> None:
    assert report(BUILD, said("success", message)).outcome is Outcome.BUILT


def test_it_is_built_even_if_the_cancel_came_too_late() -> None:
    assert report(BUILD, said("success"), cancelled=True).outcome is Outcome.BUILT
    assert report(BUILD, said("success"), cancelled=True).reason == ""


@pytest.mark.parametrize(
    ("result", "answer", "outcome", "reason"),
    [
        (said("error", "division by zero"), {}, "failed", "division by zero"),
        (said("error"), {}, "failed", "error"),
        (said("skipped"), {}, "failed", "skipped"),
        (said("error", "cut"), {"cancelled": True}, "cancelled", "cancelled"),
        (
            said("error", "cut"),
            {"cancelled": True, "made": True},
            "built",
            "its relation was made; what comes after it was cut off: cut",
        ),
        (said("error", "hook"), {"made": True}, "failed", "its relation was made, and then: hook"),
        (said("error", "cut"), {"timed_out": "too long"}, "failed", "too long"),
        (said("error", "cut"), {"timed_out": "too long", "made": True}, "failed", "too long"),
        (
            said("partial success", "zero", batches=(2, 3)),
            {},
            "failed",
            "2 of 3 batches were built: zero",
        ),
        (
            said("partial success", batches=(2, 3)),
            {"cancelled": True},
            "cancelled",
            "cancelled: 2 of 3 batches were built",
        ),
        (None, {"lost": "killed"}, "failed", "killed"),
        (None, {"lost": "killed", "cancelled": True}, "cancelled", "cancelled: killed"),
        (None, {"timed_out": "too long"}, "failed", "too long"),
        (
            None,
            {"lost": "killed", "timed_out": "too long", "cancelled": True},
            "failed",
            "too long: killed",
        ),
        (
            None,
            {"lost": "killed", "made": True},
            "built",
            "its relation was made; then killed (hooks may not run)",
        ),
    ],
)
def test_what_did_not_go_well(
    result: Result | None, answer: dict[str, Any], outcome: str, reason: str
) -> None:
    found = report(BUILD, result, **answer)
    assert (found.outcome.value, found.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("answer", "transient"),
    [({}, True), ({"cancelled": True}, False), ({"timed_out": "too long"}, False)],
)
def test_only_a_failure_may_pass(answer: dict[str, Any], transient: bool) -> None:
    assert report(BUILD, said("error", transient=True), **answer).transient is transient


def test_rows_are_of_what_was_built() -> None:
    assert report(BUILD, said("error", rows=3)).rows is None


@pytest.mark.parametrize(
    ("unit", "status", "failures", "passed", "blocking"),
    [
        (CHECK, "pass", 0, True, True),
        (CHECK, "warn", 4, False, False),
        (CHECK, "fail", 4, False, True),
        (SOFT, "fail", None, False, False),
        (SOFT, "warn", None, False, False),
        (SOFT, "pass", None, True, False),
        (SOFT, "runtime error", None, False, False),
    ],
)
def test_a_check_that_ran(
    unit: Unit, status: str, failures: int | None, passed: bool, blocking: bool
) -> None:
    found = report(unit, said(status, "Got 4", failures=failures, query="SELECT 1"))
    assert found.outcome is Outcome.CHECKED
    [check] = found.checks
    assert (check.check, check.passed, check.failed_rows) == ("p:a:t", passed, failures)
    assert check.blocking is blocking
    assert check.error is (status in ("fail", "runtime error"))
    assert check.details["query"] == "SELECT 1"
    assert check.details["message"] == "Got 4"
    assert found.seconds == 2.0


@pytest.mark.parametrize("status", ["error", "success", "skipped"])
def test_a_check_that_did_not_run_has_no_result(status: str) -> None:
    found = report(CHECK, said(status, "no such column"))
    assert found.checks == ()
    assert (found.outcome, found.reason) == (Outcome.FAILED, "no such column")


def test_what_could_not_be_found_out_may_pass_the_next_time() -> None:
    found = report(SOFT, said("runtime error", "lost", transient=True))
    assert (found.outcome, found.reason, found.transient) == (Outcome.CHECKED, "lost", True)
    assert retry_delay(found, Attempts(1), Limits()) is not None
    assert retry_delay(found, Attempts(3), Limits()) is None
    assert not report(SOFT, said("fail", "old", transient=True)).transient


@pytest.mark.parametrize("status", ["error", "runtime error"])
def test_a_check_that_is_cancelled(status: str) -> None:
    assert report(CHECK, said(status), cancelled=True).outcome is Outcome.CANCELLED
    found = report(CHECK, said(status), timed_out="too long")
    assert (found.outcome, found.reason) == (Outcome.FAILED, "too long")


def test_dbts_own_word_is_shown() -> None:
    """`error` of a source's freshness is a verdict, and no failure to come to one."""
    [check] = report(SOFT, said("fail", artifact={"status": "error"})).checks
    assert check.details["status"] == "error"


def test_colours_and_passwords_are_left_out() -> None:
    found = report(BUILD, said("error", "\x1b[31mno\x1b[0m postgresql://u:secret@h/d "))
    assert found.reason == "no postgresql://u:***@h/d"
    assert found.details["message"] == found.reason


# -- run_results.json ---------------------------------------------------------------------------


ENTRY = {"unique_id": "model.p.a", "status": "error", "message": "cut", "thread_id": "T1"}


def test_an_entry_is_dbts_own_with_our_truth() -> None:
    answer = Answer(said("error", "cut", artifact=ENTRY), cancelled=True)
    cancelled = entry_of(report_of(BUILD, answer, "inv"), answer, "model.p.a")
    assert cancelled == {**ENTRY, "message": "cancelled"}
    answer = Answer(said("error", "cut", artifact=ENTRY), cancelled=True, made=True)
    made = entry_of(report_of(BUILD, answer, "inv"), answer, "model.p.a")
    assert made["status"] == "success"
    assert ENTRY["status"] == "error", "the original is not touched"


def test_a_node_that_dbt_never_answered_has_an_entry_too() -> None:
    answer = Answer(None, lost="killed")
    entry = entry_of(report_of(BUILD, answer, "inv"), answer, "model.p.a")
    assert (entry["unique_id"], entry["status"]) == ("model.p.a", "error")
    assert entry["message"] == "killed"
    assert {"timing", "thread_id", "adapter_response", "execution_time"} <= entry.keys()


def relation(name: str) -> Relation:
    return Relation("duckdb:/w", "w", "s", name)


def graph() -> Graph:
    """`p:a` reads a node, a source, and what another project builds and dbt calls a source."""
    return Graph.of(
        [
            Node("p:a", "p", "dbt", "a", "a", "table", relation("a"), deps=("p:b", "p:s", "q:v")),
            Node("p:b", "p", "dbt", "b", "b", "table", relation("b")),
            Node("q:v", "q", "sqlmesh", "v", "v", "VIEW", relation("v")),
            Node("p:c", "p", "dbt", "c", "c", "table", relation("c")),
        ],
        [Source("p:s", "p", "s", "s", relation("s"))],
    )


def lineage(**found: list[list[str]]) -> tuple[dict[str, Any], str]:
    reads = {
        unique_id: {"alias": unique_id.upper()} for ends in found.values() for unique_id, _ in ends
    }
    facts = facts_of(
        graph().nodes["p:a"],
        graph(),
        Measured(1, 3, {"x": "int"}, found, reads, "too \x1b[31mslow"),
        lambda place: relation(str(place["alias"]).lower()),
    )
    assert (facts.unit, facts.table_rows, facts.columns) == ("p:a", 3, {"x": "int"})
    assert facts.problem.startswith("too slow")
    return dict(facts.column_lineage), facts.problem


def test_column_lineage_ends_at_what_the_graph_says_it_reads() -> None:
    found, _ = lineage(x=[["b", "n"], ["s", "m"]], y=[["v", "k"]])
    assert found == {"x": (("p:b", "n"), ("p:s", "m")), "y": (("q:v", "k"),)}


@pytest.mark.parametrize("strange", ["c", "gone"])
def test_a_column_that_reads_what_the_graph_does_not_know_is_left_out(strange: str) -> None:
    found, problem = lineage(x=[["b", "n"], [strange, "n"]], y=[["b", "k"]])
    assert found == {"y": (("p:b", "k"),)}
    assert f"does not know that it reads {strange}" in problem
