"""Notes of schedules, which of them Dagster evaluates now, and what it says of sensors and runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from dagster_transform.dagster._compat import last_metadata
from dagster_transform.dagster._compat_schedules import (
    evaluated_now,
    fail_run,
    instigators,
    location_of,
    run_key_of,
    runs_of_keys,
    runs_under_way,
    ticking,
)
from tests.support.scheduler import scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform

CODE = """
import dagster as dg
from datetime import timezone
from dagster_transform.dagster import _compat_schedules as private


@dg.op
def nothing(): ...


@dg.job
def idle():
    nothing()


@dg.schedule(cron_schedule="@hourly", job=idle)
def noting(context):
    every = private.instigators(context.instance)
    tick = context.scheduled_execution_time.astimezone(timezone.utc)
    (mine,) = private.ticking(context.instance, every, "noting", tick)
    before = private.read_notes(context.instance, [mine]).get(mine)
    private.write_note(context.instance, mine, (before or "") + "x")
    return dg.SkipReason(str(before))


@dg.sensor(job=idle, minimum_interval_seconds=5)
def looking(context):
    every = private.instigators(context.instance)
    place = private.location_of_sensor(context)
    now = private.evaluated_now(context.instance, every, "looking", place)
    (mine,) = [each for each in every if each.is_sensor]
    if context.cursor:
        return dg.SkipReason(f"{now} {place == mine.location} {mine.on}")
    return dg.SensorResult(run_requests=[dg.RunRequest("a key")], cursor="seen")


defs = dg.Definitions(jobs=[idle], schedules=[noting], sensors=[looking])
"""


@pytest.fixture
def transform(tmp_path: Path) -> Transform:
    return Transform(tmp_path, [], module=CODE)


def test_a_note_is_there_at_the_next_tick(transform: Transform) -> None:
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-03 05:30"))
        scheduler.look_each(utc("2026-11-03 06:00"), utc("2026-11-03 08:00"), timedelta(hours=1))
        said = [tick.skip_reason for tick in scheduler.ticks("noting")]
    assert said == ["None", "x", "xx"]
    transform.close()


def test_who_only_looks_is_known_as_such(transform: Transform) -> None:
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-03 05:30"))
        scheduler.look(utc("2026-11-03 06:00"))
        every = instigators(transform.instance)
        for hour in (6, 9):
            moment = utc(f"2026-11-03 {hour:02}:00")
            assert ticking(transform.instance, every, "noting", moment) == []
        (schedule,) = [each for each in every if not each.is_sensor]
        assert (schedule.name, schedule.on) == ("noting", True)
        assert schedule.started == utc("2026-11-03 05:30")
    transform.close()


def test_an_evaluation_of_a_sensor_knows_where_it_is_and_its_runs_have_their_keys(
    transform: Transform,
) -> None:
    with scheduler_of(transform, sensors=True) as scheduler:
        sensor = scheduler.sensors()["looking"]
        transform.instance.start_sensor(sensor)
        scheduler.sense(utc("2026-11-03 06:00"))
        scheduler.sense(utc("2026-11-03 06:01"))
        assert scheduler.sensor_ticks("looking")[-1].skip_reason == "True True True"
        scheduler.stop_sensors()
        every = instigators(transform.instance)
        assert [(each.name, each.on) for each in every if each.is_sensor] == [("looking", False)]
        assert not evaluated_now(transform.instance, every, "looking", every[0].location)
        (record,) = runs_under_way(transform.instance)
        assert run_key_of(record.dagster_run) == "a key"
        assert location_of(record.dagster_run) == every[0].location
        found = runs_of_keys(transform.instance, {"a key", "another"})
        assert [(key, found[key].dagster_run.run_id) for key in found] == [
            ("a key", record.dagster_run.run_id)
        ]
        assert runs_of_keys(transform.instance, set()) == {}
    transform.close()


def test_what_the_last_materialisations_say() -> None:
    keys = [dg.AssetKey(["a", str(number)]) for number in range(3)]
    with dg.DagsterInstance.ephemeral() as instance:
        for seconds in (5.0, 3.5):
            for key in keys[:2]:
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(key, metadata={"seconds": seconds})
                )
        found = last_metadata(instance, keys)
    assert {key: metadata["seconds"].value for key, metadata in found.items()} == {
        keys[0]: 3.5, keys[1]: 3.5
    }  # fmt: skip


def test_a_run_is_failed_from_outside_unless_it_has_ended() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(dg.job(name="j")(lambda: None))
        started = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "j")
        instance.report_dagster_event(started, run.run_id)
        assert fail_run(instance, run.run_id, "It is dead.")
        assert not fail_run(instance, run.run_id, "Once more.")
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status is dg.DagsterRunStatus.FAILURE
        assert any("It is dead." in each.message for each in instance.all_logs(run.run_id))
