from __future__ import annotations

from itertools import pairwise

import pytest

from dagster_transform.planning import Outcome, Unit, UnitKind
from dagster_transform.walk import Finished, Report, Started
from tests.unit.fake_session import (
    CANCEL_SECONDS,
    FAILS,
    NEVER,
    NothingWillHappen,
    Rehearsal,
    Script,
    VirtualInbox,
    build,
    check,
    promotion,
)


def chain(length: int, project: str = "a") -> list[Unit]:
    ids = [f"{project}:{i:05}" for i in range(length)]
    return [build(id, *ids[i - 1 : i]) for i, id in enumerate(ids)]


# -- what starts when -----------------------------------------------------------------------------


def test_an_empty_plan_tells_nothing() -> None:
    assert Rehearsal().run().told == []


def test_each_unit_is_told_when_it_starts_and_when_it_ends() -> None:
    walk = Rehearsal(build("a:x"), build("a:y", "a:x")).run()
    assert [(time, type(e), e.unit.id) for time, e in walk.told] == [
        (0, Started, "a:x"),
        (1, Finished, "a:x"),
        (1, Started, "a:y"),
        (2, Finished, "a:y"),
    ]
    assert walk.walk.finished == walk.ends


def test_a_unit_starts_the_moment_the_last_one_before_it_has_ended() -> None:
    walk = Rehearsal(
        build("a:slow"),
        build("a:quick"),
        build("a:after_both", "a:slow", "a:quick"),
        build("a:after_quick", "a:quick"),
        scripts={"a:slow": Script(5), "a:quick": Script(2)},
    ).run()
    assert walk.times["a:after_quick"] == (2, 3)
    assert walk.times["a:after_both"] == (5, 6)


def test_no_more_models_than_the_limit_are_built_at_once_over_all_projects() -> None:
    units = [build(f"{p}:{i}") for p in "ab" for i in range(4)]
    walk = Rehearsal(*units, max_concurrent_models=3).run()
    assert walk.most_at_once() == 3
    assert max(end for _, end in walk.times.values()) == 3  # 8 seconds of work, 3 at a time


def test_checks_do_not_count_as_models() -> None:
    units = [build("a:x"), build("a:y"), *(check(f"a:c{i}") for i in range(4))]
    walk = Rehearsal(*units, max_concurrent_models=1).run()
    assert walk.most_at_once(UnitKind.BUILD) == 1
    assert walk.most_at_once(UnitKind.CHECK) == 4
    assert {walk.times[f"a:c{i}"] for i in range(4)} == {(0, 1)}


def test_no_session_gets_more_units_than_its_capacity() -> None:
    units = [build("a:x"), check("a:c1"), check("a:c2"), *(build(f"b:{i}") for i in range(4))]
    walk = Rehearsal(*units, capacity={"a": 1, "b": 2}).run()
    a, b = ({id: t for id, t in walk.times.items() if id.startswith(p)} for p in "ab")
    assert a == {"a:x": (0, 1), "a:c1": (1, 2), "a:c2": (2, 3)}
    assert b == {"b:0": (0, 1), "b:1": (0, 1), "b:2": (1, 2), "b:3": (1, 2)}


def test_a_project_that_is_not_bounded_builds_as_its_session_can_and_does_not_count() -> None:
    units = [build(f"{project}:{i}") for project in "ab" for i in range(4)]
    walk = Rehearsal(
        *units, capacity={"a": 8, "b": 3}, max_concurrent_models=2, unbounded=frozenset("b")
    ).run()
    assert [walk.times[f"a:{i}"][0] for i in range(4)] == [0, 0, 1, 1]
    assert [walk.times[f"b:{i}"][0] for i in range(4)] == [0, 0, 0, 1]


def test_a_full_session_does_not_hold_back_another_one() -> None:
    units = [build("a:1"), build("a:2"), build("b:1")]
    walk = Rehearsal(*units, capacity={"a": 1}, max_concurrent_models=2).run()
    assert walk.times["b:1"] == (0, 1)


def test_what_ends_makes_room_at_once_and_not_in_waves() -> None:
    units = [build(f"a:{i}") for i in range(4)]
    scripts = {"a:0": Script(10)}
    walk = Rehearsal(*units, scripts=scripts, max_concurrent_models=2).run()
    assert [walk.times[f"a:{i}"] for i in range(4)] == [(0, 10), (0, 1), (1, 2), (2, 3)]


def test_ready_units_start_in_the_order_of_the_plan() -> None:
    units = [build(f"a:{name}") for name in "dbca"]
    walk = Rehearsal(*units, build("a:last"), max_concurrent_models=1).run()
    assert walk.order == ["a:d", "a:b", "a:c", "a:a", "a:last"]


def test_the_order_of_the_plan_holds_across_projects_and_kinds() -> None:
    units = [build("b:1"), build("a:1"), build("b:2"), check("a:c"), build("a:2")]
    assert Rehearsal(*units, max_concurrent_models=1).run().order == [
        "b:1",
        "a:c",
        "a:1",
        "b:2",
        "a:2",
    ]
    walk = Rehearsal(*units, capacity={"a": 1}, max_concurrent_models=2).run()
    assert walk.order == ["b:1", "a:1", "b:2", "a:c", "a:2"]


def test_what_becomes_ready_late_still_has_its_place_in_the_plan() -> None:
    units = [build("a:root"), build("a:child", "a:root"), build("a:x"), build("a:y")]
    walk = Rehearsal(*units, capacity=1).run()
    assert walk.order == ["a:root", "a:child", "a:x", "a:y"]


def test_projects_that_depend_on_each_other_are_ordered_unit_by_unit() -> None:
    walk = Rehearsal(
        build("dbt:raw"),
        build("sm:mart", "dbt:raw"),
        build("dbt:report", "sm:mart"),
        build("dbt:other"),
        scripts={"dbt:other": Script(9)},
    ).run()
    assert walk.times == {
        "dbt:raw": (0, 1),
        "dbt:other": (0, 9),
        "sm:mart": (1, 2),
        "dbt:report": (2, 3),
    }


def test_ten_thousand_nodes_in_a_chain() -> None:
    walk = Rehearsal(*chain(10_000)).run()
    assert set(walk.outcomes.values()) == {"built"}
    assert walk.inbox.now() == 10_000


def test_the_walk_goes_on_while_what_it_tells_is_being_stored() -> None:
    units = [build("a:0"), build("a:1", "a:0"), *(build(f"b:{i}") for i in range(6))]
    walk = Rehearsal(*units)
    for event in walk.walk.events():
        walk.note(event)
        walk.inbox.let_time_pass(1)  # Dagster's database is slow
    assert walk.times["a:1"] == (1, 2)
    assert walk.order[-1] == "a:1"


def test_a_unit_that_nobody_can_start_is_told_and_the_walk_ends() -> None:
    walk = Rehearsal(build("a:x"), build("a:y", "a:x"), capacity=0).run()
    assert walk.outcomes == {"a:x": "cancelled", "a:y": "cancelled"}
    assert walk.reasons["a:x"] == "its session could not start it"


def test_a_report_of_a_unit_that_does_not_run_changes_nothing() -> None:
    walk = Rehearsal(build("a:x"), build("a:y", "a:x"))
    walk.inbox.put(Report("a:y", Outcome.BUILT))
    walk.inbox.put(Report("a:stranger", Outcome.FAILED, "?"))
    assert walk.run().times == {"a:x": (0, 1), "a:y": (1, 2)}


def test_the_fake_does_not_hang_where_nothing_will_happen() -> None:
    with pytest.raises(NothingWillHappen):
        VirtualInbox().get(None)
    with pytest.raises(NothingWillHappen):
        Rehearsal(build("a:x"), scripts={"a:x": Script(NEVER)}).run()


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


# -- retries --------------------------------------------------------------------------------------


def test_a_transient_failure_is_tried_again_with_delays_that_double() -> None:
    walk = Rehearsal(
        build("a:x"),
        build("a:y", "a:x"),
        scripts={"a:x": Script(transient_failures=3)},
        retries=3,
        retry_delay=2,
    ).run()
    assert walk.retries == [("a:x", 2), ("a:x", 4), ("a:x", 8)]
    assert [r.start for r in walk.ran] == [0, 3, 8, 17, 18]
    assert [e.attempt for _, e in walk.told if isinstance(e, Started)] == [1, 2, 3, 4, 1]
    assert walk.outcomes == {"a:x": "built", "a:y": "built"}
    assert walk.reasons == {}


def test_retries_come_to_an_end() -> None:
    units = [build("a:x"), build("a:y", "a:x")]
    walk = Rehearsal(*units, scripts={"a:x": Script(transient_failures=9)}, retries=2).run()
    assert walk.order == ["a:x", "a:x", "a:x"]
    assert walk.outcomes == {"a:x": "failed", "a:y": "blocked"}
    assert walk.reasons["a:x"] == "connection lost (attempt 3)"


def test_no_retries_on_request_and_none_for_other_failures() -> None:
    shaky = {"a:x": Script(transient_failures=1)}
    assert Rehearsal(build("a:x"), scripts=shaky, retries=0).run().outcomes == {"a:x": "failed"}
    assert Rehearsal(build("a:x"), scripts={"a:x": FAILS}).run().order == ["a:x"]


def test_a_unit_that_waits_for_its_retry_takes_no_place() -> None:
    walk = Rehearsal(
        build("a:shaky"),
        build("a:x"),
        scripts={"a:shaky": Script(transient_failures=1)},
        capacity=1,
        retry_delay=10,
    ).run()
    assert walk.times == {"a:x": (1, 2), "a:shaky": (11, 12)}


def test_a_retry_that_is_due_waits_until_there_is_room() -> None:
    walk = Rehearsal(
        build("a:shaky"),
        build("a:long"),
        scripts={"a:shaky": Script(transient_failures=1), "a:long": Script(50)},
        capacity=1,
        retry_delay=10,
    ).run()
    assert walk.times == {"a:long": (1, 51), "a:shaky": (51, 52)}


def test_retries_do_not_wait_for_each_other() -> None:
    scripts = {
        "a:x": Script(1, transient_failures=2),
        "a:y": Script(2, transient_failures=1),
        "a:long": Script(100),
    }
    walk = Rehearsal(
        build("a:x"), build("a:y"), build("a:long"), scripts=scripts, retry_delay=4
    ).run()
    assert [(r.unit.id, r.start) for r in walk.ran[3:]] == [("a:x", 5), ("a:y", 6), ("a:x", 14)]


# -- cancelling -----------------------------------------------------------------------------------


def test_cancel_ends_what_runs_and_starts_nothing() -> None:
    walk = Rehearsal(
        build("a:done"),
        build("a:runs", "a:done"),
        build("a:child", "a:runs"),
        build("a:queued"),
        scripts={"a:runs": Script(NEVER)},
        capacity=1,
    )
    walk.run_until(1.5).cancel("stopped by a person")
    assert walk.order == ["a:done", "a:runs"]
    assert walk.outcomes == {
        "a:done": "built",
        "a:runs": "cancelled",
        "a:child": "cancelled",
        "a:queued": "cancelled",
    }
    assert walk.times["a:runs"] == (1, 1.5 + CANCEL_SECONDS)
    assert walk.reasons["a:queued"] == "stopped by a person"
    assert list(walk.walk.events()) == []
    assert walk.walk.cancel() == []


def test_cancel_is_called_again_until_the_report() -> None:
    walk = Rehearsal(build("a:x"), scripts={"a:x": Script(3, heeds_cancel=False)})
    walk.run_until(2).cancel()
    cancels = [time for time, _ in walk.sessions["a"].cancels]
    assert cancels[0] == 2
    assert len(cancels) == 10  # in one second
    assert max(b - a for a, b in pairwise(cancels)) < 0.11


def test_a_unit_that_was_built_although_it_was_cancelled_is_told_as_built() -> None:
    walk = Rehearsal(
        build("a:x"), build("a:y", "a:x"), scripts={"a:x": Script(3, heeds_cancel=False)}
    )
    walk.run_until(2).cancel()
    assert walk.outcomes == {"a:x": "built", "a:y": "cancelled"}
    assert walk.reasons == {"a:y": "the run was cancelled"}


def test_a_unit_that_does_not_come_back_is_told_as_cancelled_after_the_grace() -> None:
    walk = Rehearsal(
        build("a:stuck"),
        build("a:child", "a:stuck"),
        build("a:good"),
        scripts={
            "a:stuck": Script(60, heeds_cancel=False),
            "a:good": Script(NEVER),
        },
        cancel_grace=10,
    )
    walk.run_until(2).cancel()
    assert walk.outcomes == {"a:stuck": "cancelled", "a:child": "cancelled", "a:good": "cancelled"}
    assert walk.reasons["a:stuck"] == "the run was cancelled; it did not come back"
    assert walk.reasons["a:good"] == "cancelled"
    assert walk.inbox.now() == pytest.approx(12, abs=0.11)

    walk.inbox.let_time_pass(100)  # it does come back: too late
    assert list(walk.walk.events()) == []
    assert walk.walk.cancel() == []
    assert walk.walk.finished["a:stuck"].outcome is Outcome.CANCELLED


def test_cancel_comes_back_as_soon_as_nothing_runs() -> None:
    walk = Rehearsal(build("a:x"), scripts={"a:x": Script(NEVER)}, cancel_grace=1000)
    walk.run_until(2).cancel()
    assert walk.inbox.now() == 2 + CANCEL_SECONDS


def test_a_unit_that_waits_for_its_retry_is_told_as_failed_when_the_run_is_cancelled() -> None:
    walk = Rehearsal(
        build("a:x"),
        build("a:y", "a:x"),
        build("a:long"),
        scripts={"a:x": Script(transient_failures=1), "a:long": Script(NEVER)},
        retry_delay=60,
    )
    walk.run_until(5).cancel()
    assert walk.outcomes == {"a:x": "failed", "a:y": "blocked", "a:long": "cancelled"}
    assert walk.reasons["a:x"] == "connection lost (attempt 1)"
    assert walk.order == ["a:x", "a:long"]


def test_a_retry_in_flight_is_cancelled_like_any_unit() -> None:
    walk = Rehearsal(build("a:x"), scripts={"a:x": Script(5, transient_failures=1)}, retry_delay=1)
    walk.run_until(7).cancel()
    assert walk.outcomes == {"a:x": "cancelled"}


def test_a_failure_while_cancelling_blocks_nothing_that_it_does_not_hold_back() -> None:
    walk = Rehearsal(
        build("a:x"),
        build("a:y", "a:x"),
        build("a:z"),
        scripts={"a:x": Script(3, Outcome.FAILED, heeds_cancel=False)},
        capacity=1,
    )
    walk.run_until(2).cancel()
    assert walk.outcomes == {"a:x": "failed", "a:y": "blocked", "a:z": "cancelled"}


def test_cancel_tells_what_was_not_told_yet_and_nothing_twice() -> None:
    units = [build(f"a:{i}") for i in range(3)]
    for events in range(6):
        walk = Rehearsal(*units, capacity=2).run_for(events).cancel()
        starts = [e.unit.id for _, e in walk.told if isinstance(e, Started)]
        assert len(starts) == len(set(starts)) == len(walk.ran)


def test_cancel_before_the_walk_has_begun() -> None:
    walk = Rehearsal(build("a:x"), build("a:y", "a:x")).cancel()
    assert walk.outcomes == {"a:x": "cancelled", "a:y": "cancelled"}
    assert walk.ran == []


# -- what one process holds -----------------------------------------------------------------------

FILE = {"a": {"file:x"}, "b": {"file:x"}}


def test_two_sessions_take_turns_in_phases() -> None:
    units = [*(build(f"a:{i}") for i in range(4)), *(build(f"b:{i}") for i in range(4))]
    walk = Rehearsal(*units, exclusive=FILE, capacity={"a": 2, "b": 4}).run()
    assert [walk.times[f"a:{i}"] for i in range(4)] == [(0, 1), (0, 1), (1, 2), (1, 2)]
    assert {walk.times[f"b:{i}"] for i in range(4)} == {(2, 3)}
    assert walk.sessions["a"].let_gos == [2]
    assert walk.sessions["b"].let_gos == []


def test_a_session_that_does_one_at_a_time_keeps_what_it_holds_while_it_has_work() -> None:
    interleaved = [unit for pair in zip(chain(5), chain(5, "b"), strict=True) for unit in pair]
    walk = Rehearsal(*interleaved, exclusive=FILE, capacity=1).run()
    assert [id[0] for id in walk.order] == ["a"] * 5 + ["b"] * 5
    assert walk.sessions["a"].let_gos == [5]


def test_an_idle_session_lets_go_although_it_has_work_that_can_not_start_yet() -> None:
    walk = Rehearsal(build("a:1"), build("b:1", "a:1"), build("a:2", "b:1"), exclusive=FILE).run()
    assert walk.times == {"a:1": (0, 1), "b:1": (1, 2), "a:2": (2, 3)}
    assert walk.sessions["a"].let_gos == [1]
    assert walk.sessions["b"].let_gos == [2]


def test_a_session_at_work_is_not_asked_to_let_go() -> None:
    units = [build("a:quick"), build("a:long"), build("b:1", "a:quick")]
    walk = Rehearsal(*units, scripts={"a:long": Script(7)}, exclusive=FILE).run()
    assert walk.times["b:1"] == (7, 8)
    assert walk.sessions["a"].let_gos == [7]


def test_sessions_that_need_nothing_alone_or_something_else_run_side_by_side() -> None:
    exclusive = {"a": {"file:x"}, "b": {"file:y"}}
    walk = Rehearsal(build("a:1"), build("b:1"), build("c:1"), exclusive=exclusive).run()
    assert {walk.times[f"{p}:1"] for p in "abc"} == {(0, 1)}


def test_a_session_that_needs_two_files_waits_for_both() -> None:
    exclusive = {"a": {"file:x"}, "b": {"file:y"}, "c": {"file:x", "file:y"}}
    units = [build("a:1"), build("b:1"), build("c:1"), build("a:2", "c:1")]
    walk = Rehearsal(*units, scripts={"b:1": Script(3)}, exclusive=exclusive).run()
    assert walk.times["c:1"] == (3, 4)
    assert walk.times["a:2"] == (4, 5)
    assert [walk.sessions[p].let_gos for p in "abc"] == [[3], [3], [4]]


def test_a_check_needs_the_file_too() -> None:
    walk = Rehearsal(build("a:1"), check("b:c"), exclusive=FILE).run()
    assert walk.times == {"a:1": (0, 1), "b:c": (1, 2)}


# -- promotions -----------------------------------------------------------------------------------


def planned(**scripts: Script) -> Rehearsal:
    return Rehearsal(
        build("a:x", promotion="a:P"),
        build("a:y", "a:x", promotion="a:P"),
        promotion("a:P", "a:x", "a:y"),
        build("b:reader", "a:y", "a:P"),
        scripts={id.replace("_", ":"): script for id, script in scripts.items()},
    )


def test_what_a_plan_builds_is_backfilled_until_it_is_promoted() -> None:
    walk = planned().run()
    assert walk.outcomes == {
        "a:x": "backfilled",
        "a:y": "backfilled",
        "a:P": "promoted",
        "b:reader": "built",
    }
    assert walk.times["a:P"] == (2, 3)
    assert walk.times["b:reader"] == (3, 4)


def test_a_backfill_that_was_not_necessary_any_more_is_not_told_as_backfilled() -> None:
    walk = planned(a_x=Script(outcome=Outcome.UP_TO_DATE)).run()
    assert walk.outcomes["a:x"] == "up_to_date"
    assert walk.outcomes["a:P"] == "promoted"


def test_a_failed_backfill_promotes_nothing() -> None:
    walk = planned(a_y=FAILS).run()
    assert walk.outcomes == {
        "a:x": "backfilled",
        "a:y": "failed",
        "a:P": "blocked",
        "b:reader": "blocked",
    }
    assert walk.reasons["a:P"] == "upstream failed: a:y"
    assert "a:P" not in walk.order


def test_a_failed_blocking_check_of_a_backfill_promotes_nothing() -> None:
    walk = planned(a_y=Script(failed_checks=("a:y:unique",))).run()
    assert walk.outcomes["a:P"] == "blocked"
    assert walk.reasons["a:P"] == "blocking check failed: a:y:unique"


def test_a_failed_promotion_blocks_its_readers() -> None:
    walk = planned(a_P=FAILS).run()
    assert walk.outcomes["b:reader"] == "blocked"
    assert walk.reasons["b:reader"] == "upstream failed: a:P"
    assert walk.outcomes["a:x"] == "backfilled"


def test_a_promotion_is_alone_in_its_session_only() -> None:
    walk = Rehearsal(
        build("a:x", promotion="a:P"),
        check("a:long"),
        promotion("a:P", "a:x"),
        check("a:later", "a:x"),
        check("a:after", "a:later"),
        build("b:1"),
        scripts={"a:long": Script(5), "a:P": Script(3), "b:1": Script(20)},
    ).run()
    # It waits until its session is idle, and meanwhile the session works on.
    assert walk.times["a:later"] == (1, 2)
    assert walk.times["a:after"] == (2, 3)
    assert walk.times["a:P"] == (5, 8)
    assert walk.times["b:1"] == (0, 20)


def test_nothing_starts_in_a_session_that_promotes() -> None:
    walk = Rehearsal(
        promotion("a:P"),
        check("a:c1"),
        check("a:c2", "b:1"),
        build("b:1"),
        scripts={"a:P": Script(3)},
    ).run()
    assert walk.times == {"a:P": (0, 3), "b:1": (0, 1), "a:c1": (3, 4), "a:c2": (3, 4)}


def test_a_promotion_does_not_count_as_a_model() -> None:
    walk = Rehearsal(promotion("a:P"), build("b:1"), max_concurrent_models=1).run()
    assert walk.times == {"a:P": (0, 1), "b:1": (0, 1)}
