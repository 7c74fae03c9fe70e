"""What the transform's sensor launches, over Dagster's own scheduler and sensor daemon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from dagster_transform.claims import WHOLE, Owner, OwnerKind, RunId, Store, Want, new_claim_id
from dagster_transform.config import load_config
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.schedules import one_at_a_time
from dagster_transform.graph import read_graph_file
from dagster_transform.planning import ResourceKey
from dagster_transform.planning.follow_up import GRACE, LaunchKey
from dagster_transform.planning.resource_keys import table_of
from tests.support.grouped import FILE, MODELS, grouped
from tests.support.scheduler import Scheduler, launched, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform
from tests.support.waiting import until

MIDNIGHT = utc("2026-11-03 00:00")
EVENTS, DAYS, AGAIN = "w/mart/events", "w/mart/days", "w/mart/again"


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    transform = grouped(tmp_path)
    transform.projects[0].plan_natively(utc("2026-11-02 20:10"))
    transform.prepare()
    yield transform
    transform.close()


@pytest.fixture
def scheduler(transform: Transform) -> Iterator[Scheduler]:
    with scheduler_of(transform, sensors=True) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30))
        yield scheduler


def store_of(transform: Transform) -> Store:
    return open_claims(transform.instance, load_config(transform.folder))


def table(transform: Transform, name: str) -> ResourceKey:
    graph = read_graph_file(transform.graph_path(), "p").graph
    (node,) = [node for node in graph.nodes.values() if node.name == name]
    key = table_of(node)
    assert key is not None
    return key


def claim(transform: Transform, run_id: str, name: str, lease: float = 60.0) -> None:
    owner = Owner(OwnerKind.RUN, RunId(run_id), RunId(run_id), 0)
    answer = store_of(transform).acquire(
        owner,
        [Want(table(transform, name), WHOLE, WHOLE)],
        claim_id=new_claim_id(),
        all_or_nothing=True,
        lease=lease,
    )
    assert answer.granted is not None


def groups(scheduler: Scheduler) -> list[tuple[str, set[str]]]:
    return [(run.tags["dagster_transform/job_group"], launched(run)) for run in scheduler.runs()]


def test_readers_of_another_group_wait_and_are_launched_when_it_is_done(
    scheduler: Scheduler,
) -> None:
    scheduler.look(MIDNIGHT)
    assert groups(scheduler) == [("hourly", {EVENTS})]
    (tick,) = scheduler.ticks("daily_schedule")
    assert tick.status is TickStatus.SKIPPED
    assert "waits for w/mart/events of job group hourly, due at 2026-11-03 00:00 UTC" in str(
        tick.skip_reason
    )
    scheduler.sense(MIDNIGHT + timedelta(seconds=30))
    assert len(scheduler.runs()) == 1
    (looked,) = scheduler.sensor_ticks()
    assert looked.status is TickStatus.SKIPPED, looked.error
    assert "waits for" in str(looked.skip_reason)
    assert scheduler.execute(scheduler.runs()[0]).success
    scheduler.sense(MIDNIGHT + timedelta(seconds=60))
    assert groups(scheduler)[1:] == [("daily", {DAYS})]
    daily = scheduler.runs()[1]
    assert (daily.job_name, daily.tags["team"]) == ("daily", "blue")
    assert daily.tags["dagster_transform/tick"] == MIDNIGHT.isoformat()
    scheduler.sense(MIDNIGHT + timedelta(seconds=90))  # it is launched once
    assert len(scheduler.runs()) == 2
    assert scheduler.execute(daily).success
    scheduler.sense(MIDNIGHT + timedelta(seconds=120))
    assert groups(scheduler)[2:] == [("hourly_2", {AGAIN})]
    assert scheduler.execute(scheduler.runs()[2]).success
    scheduler.sense(MIDNIGHT + timedelta(seconds=150))
    scheduler.sense(MIDNIGHT + timedelta(seconds=180))
    assert len(scheduler.runs()) == 3
    assert scheduler.sensor_ticks()[-1].skip_reason == "Nothing is pending."


def evaluate_again(scheduler: Scheduler, now: datetime) -> None:
    """As after a crash of the daemon in the midst of the last tick of the hourly group."""
    tick = scheduler.ticks("hourly_schedule")[-1]
    scheduler.instance.update_tick(tick.with_status(TickStatus.STARTED))
    scheduler.forget()
    scheduler.look(now)
    assert scheduler.ticks("hourly_schedule")[-1].status is not TickStatus.STARTED


def test_one_tick_evaluated_twice_launches_once(scheduler: Scheduler, transform: Transform) -> None:
    scheduler.look(MIDNIGHT)
    for seconds in (20, 40):
        evaluate_again(scheduler, MIDNIGHT + timedelta(seconds=seconds))
        scheduler.sense(MIDNIGHT + timedelta(seconds=seconds + 10))
    assert groups(scheduler) == [("hourly", {EVENTS})]
    assert len(store_of(transform).remembered()) == 2  # of the other two groups


def test_a_tick_whose_run_was_not_made_launches_what_it_had_decided(
    scheduler: Scheduler, transform: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon has died between the two; meanwhile readers wait, and somebody has claimed it."""
    monkeypatch.setattr(one_at_a_time, "PATIENCE", 1.0)
    scheduler.look(MIDNIGHT)
    (run,) = scheduler.runs()
    scheduler.instance.delete_run(run.run_id)
    claim(transform, "somebody", "mart.events", lease=600.0)
    scheduler.sense(MIDNIGHT + timedelta(seconds=10))
    assert scheduler.runs() == []
    evaluate_again(scheduler, MIDNIGHT + timedelta(seconds=20))
    assert groups(scheduler) == [("hourly", {EVENTS})]
    assert not [row for row in store_of(transform).remembered() if "events" in row.node]


def test_a_run_that_was_asked_for_and_not_made_is_asked_for_again(
    scheduler: Scheduler, transform: Transform
) -> None:
    store, key = store_of(transform), table(transform, "mart.events")
    store.pause(key, capacity=WHOLE, reason="", by="ann")
    scheduler.look(MIDNIGHT)
    store.resume(key)
    (row,) = [row for row in store.remembered() if "events" in row.node]
    never = LaunchKey("x", 1, datetime.now(timezone.utc) - 2 * GRACE)
    assert store.launch([row], RunId(str(never)))
    for seconds in (30, 60):
        scheduler.sense(MIDNIGHT + timedelta(seconds=seconds))
    assert groups(scheduler) == [("hourly", {EVENTS})]
    assert "#2@" in scheduler.runs()[0].tags["dagster/run_key"]


@pytest.mark.parametrize("lost", [True, False])
def test_a_tick_waits_for_a_run_that_was_lost_or_is_not_made_yet(
    transform: Transform, lost: bool
) -> None:
    """The sensor has not looked since."""
    with scheduler_of(transform, sensors=True) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30), "hourly_schedule")
        scheduler.look(MIDNIGHT)
        (run,) = scheduler.runs()
        if lost:
            scheduler.begin(run)
            scheduler.lose(run)
        else:
            scheduler.instance.delete_run(run.run_id)
        scheduler.start(MIDNIGHT - timedelta(minutes=30), "daily_schedule")
        scheduler.look(MIDNIGHT + timedelta(seconds=10))
        assert [group for group, _ in groups(scheduler)] == ["hourly"] * lost
        (tick,) = scheduler.ticks("daily_schedule")
        assert "waits for w/mart/events of job group hourly" in str(tick.skip_reason)


def test_a_group_that_is_still_running_holds_back_its_readers_only(tmp_path: Path) -> None:
    apart = {"mart.apart": "kind FULL, cron '@daily'\n---\nSELECT 1 AS n"}
    file = FILE.replace("[w/mart/days]", "[w/mart/days, w/mart/apart]")
    transform = grouped(tmp_path, file=file, models={**MODELS, **apart})
    transform.projects[0].plan_natively(utc("2026-11-02 20:10"))
    transform.prepare()
    with scheduler_of(transform, sensors=True) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30), "hourly_schedule", "daily_schedule")
        scheduler.look(MIDNIGHT)
        assert sorted(groups(scheduler), key=repr) == [
            ("daily", {"w/mart/apart"}), ("hourly", {EVENTS})
        ]  # fmt: skip
        (hourly,) = [run for run in scheduler.runs() if run.job_name == "hourly"]
        scheduler.begin(hourly)
        scheduler.sense(MIDNIGHT + timedelta(seconds=30))
        assert len(scheduler.runs()) == 2
        # It is built, and its run goes on.
        transform.instance.report_runless_asset_event(dg.AssetMaterialization(EVENTS.split("/")))
        scheduler.sense(MIDNIGHT + timedelta(seconds=60))
        assert groups(scheduler)[2:] == [("daily", {DAYS})]
    transform.close()


def test_no_more_runs_than_a_concurrency_tag_has_slots_are_queued(tmp_path: Path) -> None:
    heavy = MODELS["mart.events"].replace("kind FULL,", "kind FULL, tags ('heavy io'),", 1)
    apart = "kind FULL, cron '@hourly', tags ('heavy io')\n---\nSELECT 1 AS n"
    transform = grouped(
        tmp_path,
        file=FILE.rstrip() + "\n      apart: {cron: '@hourly', nodes: [w/mart/apart]}\n",
        models={**MODELS, "mart.events": heavy, "mart.apart": apart},
        tags={"heavy io": 1},
    )
    transform.projects[0].plan_natively(utc("2026-11-02 20:10"))
    transform.prepare()
    with scheduler_of(transform, sensors=True) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30), "hourly_schedule", "apart_schedule")
        scheduler.look(MIDNIGHT)
        scheduler.sense(MIDNIGHT + timedelta(seconds=30))
        (first,) = scheduler.runs()
        other = {"hourly": "apart", "apart": "hourly"}[first.tags["dagster_transform/job_group"]]
        assert first.tags["dagster_transform/concurrency.heavy_io"] == "true"
        said = str(scheduler.ticks(f"{other}_schedule")[0].skip_reason)
        assert "waits for the concurrency tag heavy io, which has 1" in said
        assert scheduler.execute(first).success
        for seconds in (60, 90):
            scheduler.sense(MIDNIGHT + timedelta(seconds=seconds))
        assert [group for group, _ in groups(scheduler)[1:]] == [other]
    transform.close()


def test_a_claimed_node_is_pending_and_launched_once_it_is_free(
    scheduler: Scheduler, transform: Transform
) -> None:
    claim(transform, "somebody", "mart.events", lease=600.0)
    scheduler.look(MIDNIGHT)
    assert scheduler.runs() == []
    said = str(scheduler.ticks("hourly_schedule")[0].skip_reason)
    assert "w/mart/events: held by run somebody since " in said
    owed = store_of(transform).remembered()
    assert {(row.job_group.rpartition("/")[2], row.tick) for row in owed} == {
        (group, MIDNIGHT.isoformat()) for group in ("hourly", "daily", "hourly_2")
    }
    store_of(transform).release_run(RunId("somebody"))
    for seconds in (30, 60, 90):
        scheduler.sense(MIDNIGHT + timedelta(seconds=seconds))
    assert groups(scheduler) == [("hourly", {EVENTS})]


def test_a_paused_node_holds_back_what_reads_it(scheduler: Scheduler, transform: Transform) -> None:
    store, key = store_of(transform), table(transform, "mart.events")
    store.pause(key, capacity=WHOLE, reason="bad input", by="ann")
    scheduler.look(MIDNIGHT)
    scheduler.sense(MIDNIGHT + timedelta(seconds=30))
    assert scheduler.runs() == []
    assert "paused by ann since" in str(scheduler.ticks("hourly_schedule")[0].skip_reason)
    assert "(bad input)" in str(scheduler.ticks("hourly_schedule")[0].skip_reason)
    store.resume(key)
    scheduler.sense(MIDNIGHT + timedelta(seconds=60))
    assert groups(scheduler) == [("hourly", {EVENTS})]


def test_a_lost_run_is_followed_up(scheduler: Scheduler) -> None:
    scheduler.look(MIDNIGHT)
    (run,) = scheduler.runs()
    scheduler.begin(run)
    scheduler.lose(run)
    for seconds in (30, 60, 90, 120):
        scheduler.sense(MIDNIGHT + timedelta(seconds=seconds))
    assert groups(scheduler) == [("hourly", {EVENTS})] * 2
    again = scheduler.runs()[1]
    assert again.tags["dagster_transform/attempt"] == "1"
    assert scheduler.execute(again).success
    scheduler.sense(MIDNIGHT + timedelta(seconds=150))
    assert groups(scheduler)[2:] == [("daily", {DAYS})]


def test_a_run_that_has_said_why_it_failed_is_not_followed_up(
    scheduler: Scheduler, transform: Transform
) -> None:
    scheduler.look(MIDNIGHT)
    (run,) = scheduler.runs()
    transform.projects[0].database.execute("DROP SCHEMA IF EXISTS sqlmesh CASCADE")
    assert not scheduler.execute(run).success
    for seconds in (30, 60, 90):
        scheduler.sense(MIDNIGHT + timedelta(seconds=seconds))
    assert [group for group, _ in groups(scheduler)].count("hourly") == 1


def test_a_lost_run_is_followed_up_once_whatever_becomes_of_its_successor(
    scheduler: Scheduler,
) -> None:
    # What Dagster stores of a run that is tagged has the time that it is told: near the real one.
    now = datetime.now(timezone.utc)
    scheduler.look(MIDNIGHT)
    (lost,) = scheduler.runs()
    scheduler.begin(lost)
    scheduler.lose(lost)
    scheduler.sense(now + timedelta(seconds=30))
    again = scheduler.runs()[1]
    scheduler.begin(again)
    scheduler.instance.add_run_tags(again.run_id, {"dagster_transform/told": "true"})
    scheduler.lose(again)
    for seconds in (60, 90, 120):
        scheduler.sense(now + timedelta(seconds=seconds))
    assert [group for group, _ in groups(scheduler)].count("hourly") == 2


def test_claims_of_an_ended_run_are_kept_until_their_lease_has_ended(
    scheduler: Scheduler, transform: Transform
) -> None:
    scheduler.look(MIDNIGHT)
    (run,) = scheduler.runs()
    scheduler.begin(run)
    claim(transform, run.run_id, "mart.events", lease=12.0)
    scheduler.lose(run)
    scheduler.sense(MIDNIGHT + timedelta(seconds=30))
    scheduler.sense(MIDNIGHT + timedelta(seconds=60))
    store = store_of(transform)
    assert [holder.run_id for holder in store.holders()] == [run.run_id]
    assert len(scheduler.runs()) == 1  # its process may still be at it
    until(lambda: len(store.expired()) == 1, "the lease ends")
    scheduler.sense(MIDNIGHT + timedelta(seconds=90))
    assert store.expired() == []
    assert groups(scheduler) == [("hourly", {EVENTS})] * 2


def test_a_preview_changes_nothing(scheduler: Scheduler, transform: Transform) -> None:
    claim(transform, "somebody", "mart.events")
    schedule = transform.repository().get_schedule_def("hourly_schedule")
    with dg.build_schedule_context(
        transform.instance, scheduled_execution_time=MIDNIGHT
    ) as context:
        found = schedule.evaluate_tick(context)
    assert "held by run somebody" in str(found.skip_message)
    sensor = transform.repository().get_sensor_def("transform_sensor")
    with dg.build_sensor_context(transform.instance) as sensor_context:
        assert not sensor.evaluate_tick(sensor_context).run_requests
    assert store_of(transform).remembered() == []


def test_without_the_sensor_ticks_wait_for_no_other_group(transform: Transform) -> None:
    with scheduler_of(transform) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30))
        claim(transform, "somebody", "mart.events", lease=600.0)
        scheduler.look(MIDNIGHT)
        assert sorted(group for group, _ in groups(scheduler)) == ["daily", "hourly_2"]
        said = str(scheduler.ticks("hourly_schedule")[0].skip_reason)
        assert "The next tick tries again, for sensor transform_sensor is switched off." in said
        store_of(transform).release_run(RunId("somebody"))
        scheduler.look(MIDNIGHT + timedelta(hours=1))
        assert ("hourly", {EVENTS}) in groups(scheduler)
        owed = [row for row in store_of(transform).remembered() if "events" in row.node]
        assert owed == []
