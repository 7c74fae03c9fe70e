"""What Dagster's own scheduler launches for job groups, hour by hour, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from tests.support.grouped import FILE, grouped, write_groups
from tests.support.scheduler import Scheduler, launched, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform

HOUR = timedelta(hours=1)
UNIQUE = "events:unique_values_non_blocking"
ONE_GROUP = """
    job_groups:
      all_of_it: {cron: "@hourly", nodes: [w/mart/events, w/mart/days, w/mart/again]}
"""


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    transform = grouped(tmp_path)
    transform.prepare()
    yield transform
    transform.close()


def by_tick(scheduler: Scheduler) -> list[tuple[str, str, set[str]]]:
    return sorted(
        (
            run.tags["dagster_transform/tick"][11:16],
            run.tags["dagster_transform/job_group"],
            launched(run),
        )
        for run in scheduler.runs()
    )


def test_each_tick_launches_what_is_due_of_its_group(transform: Transform) -> None:
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-02 22:30"))
        scheduler.look_each(utc("2026-11-02 23:00"), utc("2026-11-03 01:00"), HOUR)
        events, days, again = {"w/mart/events"}, {"w/mart/days"}, {"w/mart/again"}
        assert by_tick(scheduler) == [
            ("00:00", "daily", days), ("00:00", "hourly", events), ("00:00", "hourly_2", again),
            ("01:00", "hourly", events), ("01:00", "hourly_2", again),
            ("23:00", "hourly", events), ("23:00", "hourly_2", again),
        ]  # fmt: skip
        (daily,) = [run for run in scheduler.runs() if run.job_name == "daily"]
    assert daily.tags["team"] == "blue"
    assert daily.tags["dagster_transform/owners"] == "team:data"
    assert daily.tags["dagster/retry_strategy"] == "FROM_ASSET_FAILURE"
    options = daily.run_config["resources"]["transform"]["config"]
    assert options == {"max_concurrent_models": 3}


def test_a_merged_group_builds_each_node_at_its_own_ticks(transform: Transform) -> None:
    write_groups(transform, ONE_GROUP)
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-02 22:30"))
        scheduler.look_each(utc("2026-11-02 23:00"), utc("2026-11-03 01:00"), HOUR)
        hourly = {"w/mart/events", "w/mart/again"}
        assert by_tick(scheduler) == [
            ("00:00", "all_of_it", {*hourly, "w/mart/days"}),
            ("01:00", "all_of_it", hourly),
            ("23:00", "all_of_it", hourly),
        ]


def test_a_tick_at_which_nothing_is_due_says_when_something_is(transform: Transform) -> None:
    write_groups(
        transform,
        """
        job_groups:
          often: {cron: "*/30 * * * *", nodes: [w/mart/events, w/mart/days, w/mart/again]}
        """,
    )
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-03 06:10"))
        scheduler.look(utc("2026-11-03 06:30"))
        (tick,) = scheduler.ticks("often_schedule")
        assert scheduler.runs() == []
    assert tick.status is TickStatus.SKIPPED
    assert tick.skip_reason == (
        "No node of job group often is due; the next are at 2026-11-03 07:00 UTC."
    )


def test_ticks_that_were_missed_are_not_lost(transform: Transform) -> None:
    """The daemon was down for nine hours: Dagster makes up for none of these ticks but the last
    one. What was due meanwhile is launched with it, once."""
    write_groups(transform, ONE_GROUP)
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-02 21:30"))
        scheduler.look(utc("2026-11-02 22:00"))
        scheduler.forget()
        scheduler.look(utc("2026-11-03 07:00"))
        hourly = {"w/mart/events", "w/mart/again"}
        assert by_tick(scheduler) == [
            ("07:00", "all_of_it", {*hourly, "w/mart/days"}),
            ("22:00", "all_of_it", hourly),
        ]


def test_a_preview_takes_nothing_from_the_next_tick(transform: Transform) -> None:
    write_groups(transform, ONE_GROUP)
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-02 21:30"))
        scheduler.look(utc("2026-11-02 22:00"))
        schedule = transform.repository().get_schedule_def("all_of_it_schedule")
        context = dg.build_schedule_context(
            transform.instance, scheduled_execution_time=utc("2026-11-03 00:00")
        )
        (request,) = schedule.evaluate_tick(context).run_requests or ()
        selected = {key.to_user_string() for key in request.asset_selection or ()}
        assert selected == {"w/mart/events", "w/mart/days", "w/mart/again"}
        scheduler.forget()
        scheduler.look(utc("2026-11-03 07:00"))
        assert "w/mart/days" in launched(scheduler.runs()[-1])


@pytest.mark.parametrize("changed", [True, False])
def test_a_changed_cron_does_not_fire_for_an_hour_that_is_over(
    transform: Transform, changed: bool
) -> None:
    """Dagster issue 13597. The daemon restarts with the new file at 10:40."""
    write_groups(
        transform,
        FILE.replace('hourly:\n        cron: "@hourly"', 'hourly:\n        cron: "0 * * * *"'),
    )
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-03 08:30"), "hourly_schedule")
        scheduler.look_each(utc("2026-11-03 09:00"), utc("2026-11-03 10:00"), HOUR)
        before = len(scheduler.runs())
    if changed:
        write_groups(transform, FILE.replace('cron: "@hourly"', 'cron: "*/15 * * * *"', 1))
    with scheduler_of(transform) as scheduler:
        scheduler.look(utc("2026-11-03 10:40"))
        ticks = scheduler.ticks("hourly_schedule")
        assert len(scheduler.runs()) == before == 2
        if changed:
            assert {tick.status for tick in ticks[2:]} == {TickStatus.SKIPPED}
            assert "The cron was 0 * * * * until now and is */15 * * * *" in str(
                ticks[2].skip_reason
            )
        else:
            assert len(ticks) == 2


def test_a_run_of_a_tick_builds_and_checks_what_it_selects(transform: Transform) -> None:
    """No check is planned, and those of what is built are carried out; what is up to date keeps its
    results."""
    transform.configure(plan="auto")
    with scheduler_of(transform) as scheduler:
        assert transform.run(execution_time="2026-11-02T22:10:00+00:00").success
        scheduler.start(utc("2026-11-02 22:30"), "hourly_schedule")
        scheduler.look(utc("2026-11-02 23:00"))
        run = scheduler.runs()[-1]
        assert run.asset_check_selection == frozenset()
        story = scheduler.execute(run)  # now: it is due by the real clock
        assert (story.success, story.materialized) == (True, ["events"])
        assert story.checks == {"events:not_null": True, UNIQUE: True}
        scheduler.look(utc("2026-11-03 00:00"))
        story = scheduler.execute(scheduler.runs()[-1])  # at once after it: nothing is due
        assert (story.success, story.materialized, story.checks) == (True, [], {})
