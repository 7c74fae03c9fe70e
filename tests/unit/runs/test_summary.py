"""The table of what went wrong in a run."""

from __future__ import annotations

from dagster_transform.planning import LeftOut, Outcome, Unit, UnitKind
from dagster_transform.runs.summary import Row, RunSummary, summarise
from dagster_transform.walk import CheckResult, Finished, Report

X, Y = (Unit(id, UnitKind.BUILD, "a", promotion="a:last") for id in ("a:x", "a:y"))
LAST = Unit("a:last", UnitKind.PROMOTE, "a")


def summary(
    *ends: Finished,
    left_out: dict[str, LeftOut] | None = None,
    problems: dict[str, LeftOut] | None = None,
    waited: bool = True,
) -> RunSummary:
    finished = {end.unit.id: end for end in ends}
    return summarise(str.upper, finished, left_out or {}, problems or {}, waited=waited)


def test_a_run_in_which_all_went_well_has_not_failed() -> None:
    found = summary(Finished(X, Outcome.BUILT), Finished(Y, Outcome.UP_TO_DATE))
    assert found == RunSummary(failed=False, rows=(), good=2)


def test_what_failed_and_what_it_blocked_are_rows_with_their_reasons_on_one_line() -> None:
    found = summary(
        Finished(X, Outcome.FAILED, "division\n  by zero"),
        Finished(Y, Outcome.BLOCKED, "upstream failed: x"),
    )
    assert found.failed
    assert found.rows == (
        Row("A:X", "failed", "division by zero"), Row("A:Y", "blocked", "upstream failed: x"),
    )  # fmt: skip
    assert found.as_text() == (
        "2 did not go well, 0 did:\n"
        "A:X  failed        division by zero\n"
        "A:Y  blocked       upstream failed: x"
    )


def test_a_bar_in_a_reason_does_not_break_the_table() -> None:
    found = summary(Finished(X, Outcome.FAILED, "a | b"))
    assert found.as_markdown().splitlines()[2] == "| A:X | failed | a \\| b |"


def test_a_failed_check_is_named_with_its_rows() -> None:
    report = Report(X.id, Outcome.BUILT, checks=(CheckResult("a:x:c", False, failed_rows=3),))
    found = summary(Finished(X, Outcome.BUILT, "", report))
    assert found.failed
    assert found.rows == (Row("A:X", "check failed", "A:X:C: 3 rows"),)


def test_what_others_hold_is_a_failure_of_a_run_that_has_waited_for_it_only() -> None:
    end = Finished(X, Outcome.CLAIMED, "held by run r")
    assert summary(end, waited=True).failed
    assert not summary(end, waited=False).failed


def test_what_was_left_out_counts_where_something_has_failed() -> None:
    waiting = {"a:x": LeftOut(Outcome.WAITING, "no data")}
    assert not summary(left_out=waiting).failed
    failed = {"a:x": LeftOut(Outcome.FAILED, "broken"), "b:x": LeftOut(Outcome.FAILED, "broken")}
    assert [row.name for row in summary(left_out=failed).rows] == ["A:X", "B:X"]
    assert summary(problems={"a: end of the run": LeftOut(Outcome.FAILED, "hook")}).failed


def test_what_was_built_and_not_promoted_is_told_apart() -> None:
    found = summary(Finished(X, Outcome.BACKFILLED), Finished(LAST, Outcome.FAILED, "no views"))
    assert found.hidden == (Row("A:X", "backfilled", "readers don't see it yet: no a:last"),)
    assert "1 of which wait for a promotion" in found.as_text()
