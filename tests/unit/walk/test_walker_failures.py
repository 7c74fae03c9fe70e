"""What a walk does when units fail, with and without fail_fast."""

from __future__ import annotations

import pytest

from dagster_transform.planning import Outcome
from dagster_transform.walk import Finished
from tests.support.fake_project_run import (
    CANCEL_SECONDS,
    FAILS,
    NEVER,
    Rehearsal,
    Script,
    build,
    chain,
    check,
)

# -- failures -------------------------------------------------------------------------------------


def test_a_failure_blocks_its_descendants_only_and_each_names_it() -> None:
    walk = Rehearsal(
        build("a:bad"),
        build("a:good"),
        build("a:child", "a:bad", "a:good"),
        build("b:grandchild", "a:child"),
        build("b:cousin", "a:good"),
        scripts={"a:bad": FAILS},
    ).run()
    assert walk.outcomes == {
        "a:bad": "failed",
        "a:good": "built",
        "a:child": "blocked",
        "b:grandchild": "blocked",
        "b:cousin": "built",
    }
    assert walk.reasons == {
        "a:bad": "division by zero",
        "a:child": "upstream failed: a:bad",
        "b:grandchild": "upstream failed: a:bad",
    }
    assert walk.ends["a:child"].report is None
    assert walk.ends["a:bad"].report is not None


def test_a_blocked_unit_is_told_at_once_although_others_of_its_upstreams_still_run() -> None:
    walk = Rehearsal(
        build("a:bad"),
        build("a:slow"),
        build("a:child", "a:bad", "a:slow"),
        scripts={"a:bad": FAILS, "a:slow": Script(9)},
    ).run()
    assert [(t, e.unit.id) for t, e in walk.told if isinstance(e, Finished)] == [
        (1, "a:bad"),
        (1, "a:child"),
        (9, "a:slow"),
    ]


def test_a_unit_below_two_failures_is_told_once() -> None:
    walk = Rehearsal(
        build("a:bad"),
        build("a:worse"),
        build("a:child", "a:bad", "a:worse"),
        scripts={"a:bad": FAILS, "a:worse": FAILS},
    ).run()
    assert walk.reasons["a:child"] == "upstream failed: a:bad"


def test_a_blocking_check_that_fails_in_a_build_blocks_descendants_not_siblings() -> None:
    walk = Rehearsal(
        build("a:x"),
        build("a:child", "a:x"),
        build("a:grandchild", "a:child"),
        build("a:sibling"),
        scripts={"a:x": Script(failed_checks=("a:x:not_null", "a:x:unique"))},
    ).run()
    assert walk.outcomes == {
        "a:x": "built",
        "a:child": "blocked",
        "a:grandchild": "blocked",
        "a:sibling": "built",
    }
    why = "blocking check failed: a:x:not_null, a:x:unique"
    assert walk.reasons == {"a:child": why, "a:grandchild": why}


def test_a_blocking_check_of_its_own_that_fails_blocks_descendants_not_siblings() -> None:
    walk = Rehearsal(
        build("a:x"),
        check("a:x:unique", "a:x"),
        build("a:child", "a:x", "a:x:unique"),
        build("a:sibling"),
        scripts={"a:x:unique": Script(failed_checks=("a:x:unique",))},
    ).run()
    assert walk.outcomes == {
        "a:x": "built",
        "a:x:unique": "checked",
        "a:child": "blocked",
        "a:sibling": "built",
    }
    assert walk.reasons == {"a:child": "blocking check failed: a:x:unique"}


def test_a_check_that_could_not_be_carried_out_blocks_what_waits_for_it() -> None:
    walk = Rehearsal(
        build("a:x"),
        check("a:x:unique", "a:x"),
        build("a:child", "a:x", "a:x:unique"),
        scripts={"a:x:unique": FAILS},
    ).run()
    assert walk.outcomes["a:child"] == "blocked"
    assert walk.reasons["a:child"] == "upstream failed: a:x:unique"


def test_a_check_that_does_not_block_holds_back_nothing() -> None:
    walk = Rehearsal(
        build("a:x"),
        check("a:x:warn", "a:x", blocking=False),
        build("a:child", "a:x"),
        scripts={
            "a:x": Script(warned_checks=("a:x:in_build",)),
            "a:x:warn": Script(warned_checks=("a:x:warn",)),
        },
        fail_fast=True,
    ).run()
    assert walk.outcomes == {"a:x": "built", "a:x:warn": "checked", "a:child": "built"}


def test_the_other_checks_of_a_node_run_although_a_blocking_one_has_failed_in_its_build() -> None:
    walk = Rehearsal(
        build("a:x"),
        check("a:x:warn", "a:x", blocking=False),
        check("a:x:block", "a:x"),
        build("a:child", "a:x", "a:x:block"),
        scripts={"a:x": Script(failed_checks=("a:x:in_build",))},
    ).run()
    assert walk.outcomes["a:x:warn"] == walk.outcomes["a:x:block"] == "checked"
    assert walk.reasons["a:child"] == "blocking check failed: a:x:in_build"


def test_no_check_runs_on_a_node_that_was_not_built() -> None:
    walk = Rehearsal(
        build("a:x"),
        check("a:x:unique", "a:x"),
        scripts={"a:x": FAILS},
    ).run()
    assert walk.outcomes["a:x:unique"] == "blocked"
    assert walk.order == ["a:x"]


def test_a_plan_of_checks_only_is_one_flat_pool() -> None:
    units = [check(f"{p}:c{i}") for p in "ab" for i in range(3)]
    walk = Rehearsal(*units, capacity={"a": 3, "b": 1}, max_concurrent_models=1).run()
    assert [walk.times[f"a:c{i}"] for i in range(3)] == [(0, 1)] * 3
    assert [walk.times[f"b:c{i}"] for i in range(3)] == [(0, 1), (1, 2), (2, 3)]


def test_what_another_run_has_built_meanwhile_counts_as_good() -> None:
    walk = Rehearsal(
        build("a:x"), build("a:y", "a:x"), scripts={"a:x": Script(outcome=Outcome.UP_TO_DATE)}
    ).run()
    assert walk.outcomes == {"a:x": "up_to_date", "a:y": "built"}


@pytest.mark.parametrize("outcome", [Outcome.WAITING, Outcome.NOT_PROMOTED, Outcome.CLAIMED])
def test_what_is_below_a_unit_that_was_not_done_now_waits(outcome: Outcome) -> None:
    walk = Rehearsal(
        build("a:x"),
        build("a:y", "a:x"),
        build("a:z", "a:y"),
        scripts={"a:x": Script(outcome=outcome, reason="a new plan changed it")},
    ).run()
    assert walk.outcomes == {"a:x": outcome.value, "a:y": "waiting", "a:z": "waiting"}
    why = f"its upstream a:x is {outcome.value}: a new plan changed it"
    assert walk.reasons == {"a:x": "a new plan changed it", "a:y": why, "a:z": why}


def test_what_is_below_a_unit_that_was_cancelled_by_somebody_else_is_cancelled() -> None:
    walk = Rehearsal(
        build("a:x"),
        build("a:y", "a:x"),
        build("a:z", "a:y"),
        scripts={"a:x": Script(outcome=Outcome.CANCELLED, reason="ended by the database")},
    ).run()
    assert walk.outcomes == {"a:x": "cancelled", "a:y": "cancelled", "a:z": "cancelled"}
    assert walk.reasons["a:z"] == "its upstream a:x is cancelled: ended by the database"


def test_reasons_do_not_grow_along_a_chain() -> None:
    for outcome in (Outcome.FAILED, Outcome.WAITING, Outcome.CANCELLED):
        scripts = {"a:00000": Script(outcome=outcome, reason="why")}
        walk = Rehearsal(*chain(500), scripts=scripts).run()
        assert len(set(walk.reasons.values())) == 2  # the first one's, and everybody else's
    walk = Rehearsal(*chain(500), scripts={"a:00000": Script(NEVER)}).run_until(1).cancel()
    assert max(map(len, walk.reasons.values())) < 100


# -- fail_fast ------------------------------------------------------------------------------------


def test_fail_fast_starts_nothing_more_and_cancels_what_runs() -> None:
    walk = Rehearsal(
        build("a:bad"),
        build("a:child", "a:bad"),
        build("a:long"),
        build("a:after_long", "a:long"),
        build("a:queued"),
        build("b:stubborn"),
        scripts={
            "a:bad": FAILS,
            "a:long": Script(NEVER),
            "b:stubborn": Script(4, heeds_cancel=False),
        },
        capacity={"a": 2},
        fail_fast=True,
    ).run()
    assert walk.order == ["a:bad", "a:long", "b:stubborn"]
    assert walk.outcomes == {
        "a:bad": "failed",
        "a:child": "blocked",
        "a:long": "cancelled",
        "a:after_long": "cancelled",
        "a:queued": "cancelled",
        "b:stubborn": "built",  # its relation was made, whatever was asked
    }
    assert walk.times["a:long"] == (0, 1 + CANCEL_SECONDS)
    assert walk.times["b:stubborn"] == (0, 4)
    assert walk.reasons["a:queued"] == "fail_fast: a:bad failed"


def test_fail_fast_minds_a_blocking_check_that_fails() -> None:
    for scripts in (
        {"a:x": Script(failed_checks=("a:x:in_build",))},
        {"a:x:own": Script(failed_checks=("a:x:own",))},
    ):
        units = [build("a:x"), check("a:x:own", "a:x"), build("a:long"), build("a:z", "a:long")]
        scripts["a:long"] = Script(NEVER)
        walk = Rehearsal(*units, scripts=scripts, fail_fast=True).run()
        assert walk.outcomes["a:long"] == walk.outcomes["a:z"] == "cancelled"


def test_without_fail_fast_the_others_go_on() -> None:
    units = [build("a:bad"), build("a:x"), build("a:y", "a:x")]
    walk = Rehearsal(*units, scripts={"a:bad": FAILS}, capacity=1).run()
    assert walk.outcomes == {"a:bad": "failed", "a:x": "built", "a:y": "built"}


def test_fail_fast_lets_a_transient_failure_have_its_retries_first() -> None:
    units = [build("a:shaky"), build("a:x")]
    scripts = {"a:shaky": Script(transient_failures=1), "a:x": Script(9)}
    walk = Rehearsal(*units, scripts=scripts, fail_fast=True).run()
    assert walk.outcomes == {"a:shaky": "built", "a:x": "built"}


def test_fail_fast_tells_a_unit_that_waits_for_its_retry_as_failed() -> None:
    walk = Rehearsal(
        build("a:shaky"),
        build("a:child", "a:shaky"),
        build("a:bad"),
        scripts={
            "a:shaky": Script(1, transient_failures=1),
            "a:bad": Script(2, outcome=Outcome.FAILED),
        },
        fail_fast=True,
        retry_delay=60,
    ).run()
    assert walk.outcomes == {"a:shaky": "failed", "a:child": "blocked", "a:bad": "failed"}
    assert walk.reasons["a:shaky"] == "connection lost (attempt 1)"
    assert walk.reasons["a:child"] == "upstream failed: a:shaky"
    assert walk.inbox.now() == 2


def test_what_fails_transiently_while_the_walk_stops_is_not_tried_again() -> None:
    walk = Rehearsal(
        build("a:bad"),
        build("a:shaky"),
        scripts={"a:bad": FAILS, "a:shaky": Script(5, transient_failures=1, heeds_cancel=False)},
        fail_fast=True,
    ).run()
    assert walk.outcomes == {"a:bad": "failed", "a:shaky": "failed"}
    assert walk.retries == []


def test_a_check_that_comes_after_a_check_is_blocked_by_its_failure() -> None:
    """A unit test comes before its model: where that is held back, there is nothing to judge."""
    walk = Rehearsal(
        build("a:1"),
        check("a:1:ok", "a:1"),
        check("a:1:more", "a:1"),
        check("a:2:unit", "a:1", "a:1:ok"),
        build("a:2", "a:1", "a:1:ok", "a:2:unit"),
        scripts={"a:1:ok": Script(failed_checks=("a:1:ok",))},
    ).run()
    assert walk.outcomes["a:2:unit"] == walk.outcomes["a:2"] == "blocked"
    assert walk.outcomes["a:1:more"] == "checked"
    assert walk.reasons["a:2"] == "blocking check failed: a:1:ok"
