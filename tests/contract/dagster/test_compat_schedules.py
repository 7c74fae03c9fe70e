"""Notes of schedules, kept while Dagster's scheduler evaluates them and at no other time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from dagster_transform.dagster._compat import last_metadata
from dagster_transform.dagster._compat_schedules import ScheduleNotes
from tests.support.scheduler import scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform

CODE = """
import dagster as dg
from dagster_transform.dagster._compat_schedules import ScheduleNotes


@dg.op
def nothing(): ...


@dg.job
def idle():
    nothing()


@dg.schedule(cron_schedule="@hourly", job=idle)
def noting(context):
    notes = ScheduleNotes(context.instance, "noting", context.scheduled_execution_time)
    before = notes.read()
    notes.write((before or "") + "x")
    return dg.SkipReason(str(before))


defs = dg.Definitions(jobs=[idle], schedules=[noting])
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


def test_who_only_looks_reads_nothing_and_writes_nothing(transform: Transform) -> None:
    with scheduler_of(transform) as scheduler:
        scheduler.start(utc("2026-11-03 05:30"))
        scheduler.look(utc("2026-11-03 06:00"))
        for hour in (6, 9):
            moment = utc(f"2026-11-03 {hour:02}:00")
            notes = ScheduleNotes(transform.instance, "noting", moment)
            assert notes.read() is None
            notes.write("mine")
        scheduler.look(utc("2026-11-03 07:00"))
        assert scheduler.ticks("noting")[-1].skip_reason == "x"
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
