"""What one tick launches now, and why the rest waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dagster_transform.planning.job_groups.values import JobGroupName
from dagster_transform.planning.situation import Hold, Situation, UnderWay
from dagster_transform.planning.tick_plan import TickPlan, plan_tick
from tests.support.ticking import HOUR, MIDNIGHT, ids, names, scheduled

A, B, C, D, E, F = ids("abcdef")
DAILY, HOURLY = JobGroupName("daily"), JobGroupName("hourly")
SINCE = MIDNIGHT - timedelta(minutes=5)


def daily(situation: Situation, *, followed_up: bool = True) -> TickPlan:
    return plan_tick(DAILY, (C, D, E, F), MIDNIGHT, situation, scheduled(), followed_up=followed_up)


def test_nothing_is_in_the_way() -> None:
    found = daily(Situation())
    assert (names(found.launched), found.postponed) == ("cdef", {})


def test_what_a_run_holds_waits_with_what_reads_it_and_the_rest_goes_ahead() -> None:
    found = daily(Situation(holds={E: Hold("run1", SINCE)}))
    assert names(found.launched) == "cd"
    assert found.postponed == {
        E: "held by run run1 since 2026-11-02 23:55 UTC",
        F: "waits for e of job group daily, due at 2026-11-03 00:00 UTC",
    }


def test_what_reads_through_a_node_that_nobody_schedules_waits_too() -> None:
    found = daily(Situation(holds={D: Hold("ann", SINCE, "bad input", paused=True)}))
    assert names(found.launched) == "c"
    assert found.postponed[D] == "paused by ann since 2026-11-02 23:55 UTC (bad input)"
    assert names(found.postponed) == "def"


def test_a_node_that_a_run_under_way_is_to_build_is_not_launched_again() -> None:
    found = daily(Situation(under_way={D: (UnderWay("run1", SINCE),)}))
    assert found.postponed[D] == "held by run run1 since 2026-11-02 23:55 UTC"


def test_an_upstream_of_another_group_that_is_due_is_waited_for() -> None:
    found = daily(Situation(launched_until={HOURLY: MIDNIGHT - HOUR}))
    assert names(found.launched) == "def"
    assert found.postponed == {C: "waits for a of job group hourly, due at 2026-11-03 00:00 UTC"}
    assert daily(Situation(launched_until={HOURLY: MIDNIGHT})).postponed == {}


def test_an_upstream_that_is_under_way_or_pending_is_waited_for() -> None:
    under_way = daily(Situation(under_way={A: (UnderWay("run1", SINCE, MIDNIGHT),)}))
    assert under_way.postponed == {
        C: "waits for a of job group hourly, due at 2026-11-03 00:00 UTC, which run run1 is to "
        "build"
    }
    pending = daily(Situation(pending={A: (MIDNIGHT - HOUR, MIDNIGHT)}))
    assert pending.postponed == {C: "waits for a of job group hourly, due at 2026-11-02 23:00 UTC"}
    by_hand = daily(Situation(under_way={A: (UnderWay("run1", SINCE),)}))
    assert by_hand.postponed == {C: "waits for a of job group hourly, which run run1 is to build"}


def test_what_an_upstream_owes_to_later_ticks_is_not_waited_for() -> None:
    later = MIDNIGHT + HOUR
    found = daily(
        Situation(under_way={A: (UnderWay("run1", later, later),)}, pending={A: (later,)})
    )
    assert found.postponed == {}


def test_a_node_waits_for_its_own_earlier_tick() -> None:
    found = daily(Situation(pending={D: (MIDNIGHT - 24 * HOUR,)}))
    assert found.postponed[D] == "waits for its own tick of 2026-11-02 00:00 UTC"


def test_where_nobody_follows_up_no_other_group_is_waited_for() -> None:
    known = Situation(
        holds={E: Hold("run1", SINCE)},
        pending={A: (MIDNIGHT,), D: (MIDNIGHT - 24 * HOUR,)},
        launched_until={HOURLY: MIDNIGHT - HOUR},
        under_way={C: (UnderWay("run2", SINCE),)},
    )
    found = daily(known, followed_up=False)
    assert (names(found.launched), names(found.postponed)) == ("cd", "ef")


def test_a_tick_that_launches_nothing_says_why() -> None:
    hold = Hold("run1", SINCE, "daily_job")
    found = daily(Situation(holds={C: hold, D: hold}))
    assert found.launched == ()
    assert found.skipped(scheduled()) == (
        "Nothing can go yet. c and 1 more: held by run run1 since 2026-11-02 23:55 UTC "
        "(daily_job); e: waits for d of job group daily, due at 2026-11-03 00:00 UTC; f: waits for "
        "e of job group daily, due at 2026-11-03 00:00 UTC."
    )


def test_no_more_runs_than_a_concurrency_tag_has_slots_are_launched_with_it() -> None:
    tags = {**dict.fromkeys((B, C, D), ("heavy",)), E: ("other",)}
    found = replace(scheduled(), tags=tags, limits={"heavy": 1, "other": 1})
    due, run = (C, D, E, F), UnderWay("r", MIDNIGHT)
    group = JobGroupName("daily")
    # Within one run slots are the run's matter.
    assert names(plan_tick(group, due, MIDNIGHT, Situation(), found).launched) == "cdef"
    known = Situation(under_way={B: (run,)})
    plan = plan_tick(group, due, MIDNIGHT, known, found)
    assert (plan.launched, set(plan.postponed)) == ((), {C, D, E, F})
    assert plan.postponed[C] == (
        "waits for the concurrency tag heavy, which has 1: runs under way that are still to build "
        "nodes of it: 1"
    )
    # Where nobody follows up, what could not go would wait for its next tick.
    plan = plan_tick(group, due, MIDNIGHT, known, found, followed_up=False)
    assert names(plan.launched) == "cdef"
