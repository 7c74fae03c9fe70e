"""The table of what went wrong in a run."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

from dagster_transform.planning import LeftOut, Outcome, Unit, UnitKind
from dagster_transform.runs.summary import Row, RunSummary, of_rounds, summarise
from dagster_transform.walk import CheckResult, Finished, Report

X, Y = (Unit(id, UnitKind.BUILD, "a", promotion="a:last") for id in ("a:x", "a:y"))
CHECKS = {f"a:x:c{number}" for number in range(20)}
LAST = Unit("a:last", UnitKind.PROMOTE, "a")


def summary(
    *ends: Finished,
    left_out: dict[str, LeftOut] | None = None,
    problems: dict[str, LeftOut] | None = None,
    waited: bool = True,
    must_find: bool = False,
) -> RunSummary:
    finished = {end.unit.id: end for end in ends}
    return summarise(
        str.upper,
        finished,
        left_out or {},
        problems or {},
        checks=CHECKS,
        waited=waited,
        must_find=must_find,
    )


def test_a_run_in_which_all_went_well_has_not_failed() -> None:
    found = summary(Finished(X, Outcome.BUILT), Finished(Y, Outcome.UP_TO_DATE))
    assert found == RunSummary(failed=False, rows=(), good=2)


def test_causes_come_first_with_their_reasons_on_one_line() -> None:
    found = summary(
        Finished(Y, Outcome.BLOCKED, "upstream failed: x"),
        Finished(X, Outcome.FAILED, "division\n  by zero"),
    )
    assert found.failed
    assert found.rows == (
        Row(("A:X",), "failed", "division by zero"),
        Row(("A:Y",), "blocked", "upstream failed: x"),
    )
    assert found.as_text() == dedent("""\
        1 failed, 1 blocked; 0 nodes went well.

        failed: A:X
            division by zero

        blocked: A:Y
            upstream failed: x""")
    assert found.as_markdown() == dedent("""\
        1 failed, 1 blocked; 0 nodes went well.

        - **failed** `A:X`: division by zero
        - **blocked** `A:Y`: upstream failed: x""")


def test_what_one_cause_has_blocked_is_counted() -> None:
    below = [Unit(f"a:n{i:03}", UnitKind.BUILD, "a") for i in range(214)]
    found = summary(
        Finished(X, Outcome.FAILED, "no"),
        *(Finished(unit, Outcome.BLOCKED, "upstream failed: x") for unit in below),
        Finished(Y, Outcome.BLOCKED, "upstream failed: z"),
    )
    assert found.heading == "1 failed, 215 blocked; 0 nodes went well"
    assert found.as_text().splitlines()[5:] == [
        "blocked: 214 (A:N000, A:N001, A:N002 and 211 more)",
        "    upstream failed: x",
        "",
        "blocked: A:Y",
        "    upstream failed: z",
    ]
    assert "- **blocked** 214 (`A:N000`, `A:N001`, `A:N002` and 211 more)" in found.as_markdown()


def test_a_project_that_fails_as_a_whole_is_one_row() -> None:
    left_out = {f"a:n{i}": LeftOut(Outcome.FAILED, "no database") for i in range(300)}
    (row,) = summary(left_out=left_out).rows
    assert len(row.names) == 300
    assert len(summary(left_out=left_out).as_text()) < 200


def test_endless_different_reasons_are_cut_and_counted() -> None:
    units = [Unit(f"a:n{i:03}", UnitKind.BUILD, "a") for i in range(250)]
    found = summary(*(Finished(u, Outcome.FAILED, f"error {u.id}") for u in units))
    for text in (found.as_text(), found.as_markdown()):
        assert text.startswith("250 failed; 0 nodes went well.\n")
        assert text.endswith("\n\n... and 150 more reasons, which the log has.")


def test_long_names_are_on_lines_of_their_own_and_not_told_twice() -> None:
    name = "a:orders:unique_" + "relationships_" * 8
    unit = Unit(name, UnitKind.CHECK, "a", blocking=True)
    report = Report(unit.id, Outcome.CHECKED, checks=(CheckResult(name, False, failed_rows=3),))
    ends = [Finished(unit, Outcome.CHECKED, "", report)]
    other = replace(unit, id="a:x:c")
    fails = replace(report, unit=other.id, checks=(CheckResult(other.id, False, failed_rows=3),))
    ends.append(Finished(other, Outcome.CHECKED, "", fails))
    assert summary(*ends).as_text().splitlines()[2:] == [
        f"check failed: {name.upper()}",
        "    3 rows",
        "",
        "check failed: A:X:C",  # as many rows, and another cause
        "    3 rows",
    ]


def judged(number: int, *, passed: bool = True, blocking: bool = True) -> Finished:
    unit = Unit(f"a:x:c{number}", UnitKind.CHECK, "a", blocking=blocking)
    result = CheckResult(unit.id, passed, failed_rows=int(not passed), blocking=blocking)
    report = Report(unit.id, Outcome.CHECKED, checks=(result,))
    return Finished(unit, Outcome.CHECKED, "", report)


def test_nodes_and_checks_are_counted_apart() -> None:
    blocked = Unit("a:x:c9", UnitKind.CHECK, "a")
    found = summary(
        Finished(X, Outcome.BUILT),
        Finished(Y, Outcome.BLOCKED, "upstream failed: z"),
        judged(0), judged(1), judged(2, passed=False), judged(3, passed=False, blocking=False),
        Finished(blocked, Outcome.BLOCKED, "upstream failed: z"),
        Finished(Unit("a:z", UnitKind.BUILD, "a"), Outcome.FAILED, "no"),
        left_out={
            "a:x:c10": LeftOut(Outcome.BLOCKED, "its node is failed"),
            "a:x:c11": LeftOut(Outcome.CLAIMED, "its node is claimed"),
            "a:mine": LeftOut(Outcome.CLAIMED, "held by run r"),
        },
    )  # fmt: skip
    assert found.heading == (
        "1 failed, 1 check failed, 1 blocked, 2 checks not run; "
        "1 node went well, 2 checks passed, 1 check warns; 1 left out, 1 check not run"
    )
    lines = found.as_text().splitlines()
    assert lines[lines.index("check failed: A:X:C2") + 1] == "    1 row"
    assert lines[lines.index("not run: A:X:C9") + 1] == "    upstream failed: z"
    assert of_rounds([found, found]).heading == (
        "2 failed, 2 checks failed, 2 blocked, 4 checks not run; "
        "2 nodes went well, 4 checks passed, 2 checks warn; 2 left out, 2 checks not run"
    )


def test_of_checks_alone_no_nodes_are_counted() -> None:
    found = summary(judged(0), judged(1, passed=False))
    assert found.heading == "1 check failed; 1 check passed"


def test_a_check_that_failed_on_one_batch_is_counted_once() -> None:
    results = [CheckResult("a:x:c0", passed, blocking=False) for passed in (True, False, True)]
    found = summary(Finished(X, Outcome.BUILT, "", Report(X.id, Outcome.BUILT, checks=results)))
    assert (found.passed, found.warned) == (0, 1)


def test_no_mark_of_markdown_in_a_reason_is_taken_for_one() -> None:
    found = summary(Finished(X, Outcome.FAILED, "a | *b* <c> _d_"))
    assert found.as_markdown().splitlines()[2] == (r"- **failed** `A:X`: a \| \*b\* \<c\> \_d\_")


def test_a_failed_check_is_named_with_its_rows() -> None:
    report = Report(X.id, Outcome.BUILT, checks=(CheckResult("a:x:c", False, failed_rows=3),))
    found = summary(Finished(X, Outcome.BUILT, "", report))
    assert found.failed
    assert found.rows == (Row(("A:X",), "check failed", "A:X:C: 3 rows"),)


def test_what_others_hold_is_a_failure_of_a_run_that_has_waited_for_it_only() -> None:
    end = Finished(X, Outcome.CLAIMED, "held by run r")
    assert summary(end, waited=True).failed
    assert not summary(end, waited=False).failed


def test_what_was_left_out_counts_where_something_has_failed() -> None:
    waiting = {"a:x": LeftOut(Outcome.WAITING, "no data")}
    assert not summary(left_out=waiting).failed
    failed = {"a:x": LeftOut(Outcome.FAILED, "broken"), "b:x": LeftOut(Outcome.FAILED, "broken")}
    assert [row.names for row in summary(left_out=failed).rows] == [("A:X", "B:X")]
    assert summary(problems={"a: end of the run": LeftOut(Outcome.FAILED, "hook")}).failed


def test_what_was_left_to_others_is_told_last_and_is_no_failure() -> None:
    left_out = {
        "a:mine": LeftOut(Outcome.CLAIMED, "ann has paused it"),
        "a:below": LeftOut(Outcome.WAITING, "a:mine is claimed"),
        "a:old": LeftOut(Outcome.UP_TO_DATE, "no interval is missing"),
    }
    assert not summary(left_out=left_out).failed
    found = summary(Finished(X, Outcome.FAILED, "no"), left_out=left_out)
    assert found.heading == "1 failed; 0 nodes went well; 2 left out"
    assert found.as_text().splitlines()[2:] == [
        "failed: A:X", "    no", "",
        "claimed: A:MINE", "    ann has paused it", "",
        "waiting: A:BELOW", "    a:mine is claimed",
    ]  # fmt: skip
    assert [row.names for row in of_rounds([found, found]).left_out] == [
        ("A:MINE", "A:MINE"), ("A:BELOW", "A:BELOW"),
    ]  # fmt: skip


def test_what_was_built_and_not_promoted_is_told_apart() -> None:
    found = summary(Finished(X, Outcome.BACKFILLED), Finished(LAST, Outcome.FAILED, "no views"))
    assert found.hidden == (Row(("A:X",), "backfilled", "readers don't see it yet: no a:last"),)
    assert "1 of which wait for a promotion" in found.as_text()


def test_rounds_come_to_one_table_causes_first() -> None:
    first = summary(Finished(X, Outcome.FAILED, "no"), Finished(Y, Outcome.BLOCKED, "A:X failed"))
    second = summary(Finished(LAST, Outcome.FAILED, "no"))
    assert of_rounds([first, second]).rows == (
        Row(("A:X", "A:LAST"), "failed", "no"),
        Row(("A:Y",), "blocked", "A:X failed"),
    )


def test_a_run_that_found_none_of_its_nodes_has_failed_if_it_must_find_them() -> None:
    absent = LeftOut(Outcome.NOT_PROMOTED, "plan it")
    gone = Finished(Y, Outcome.NOT_PROMOTED, "prepare")
    check = {"a:x:c1": LeftOut(Outcome.NOT_PROMOTED, "its node is not_promoted")}
    for ends, left_out in (((), {"a:x": absent, **check}), ((gone,), {"a:x": absent})):
        assert not summary(*ends, left_out=left_out).failed
        found = summary(*ends, left_out=left_out, must_find=True)
        assert found.failed
        assert Row(("A:X",), "not_promoted", "plan it") in found.rows
        assert found.left_out == ()
    for other in (Outcome.WAITING, Outcome.UP_TO_DATE, Outcome.CLAIMED):
        some = {"a:x": absent, "a:y": LeftOut(other, "why")}
        assert not summary(left_out=some, must_find=True).failed
    assert not summary(left_out=check, must_find=True).failed
