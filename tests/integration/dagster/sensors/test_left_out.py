"""What a run of a job group leaves out, and when the transform's sensor launches it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from dagster_transform.config import load_config
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.runs.tags import ATTEMPT, JOB_GROUP
from tests.support.grouped import MODELS, grouped
from tests.support.scheduler import Scheduler, launched, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform

MIDNIGHT = utc("2026-11-03 00:00")
EVENTS, DAYS, AGAIN = "w/mart/events", "w/mart/days", "w/mart/again"
BROKEN = {
    **MODELS,
    "mart.events": "kind FULL, cron '@hourly'\n---\nSELECT n::int AS n FROM w.main.raw",
}


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    transform = grouped(tmp_path, models=BROKEN)
    transform.projects[0].database.execute("CREATE TABLE main.raw AS SELECT 1 AS n")
    transform.projects[0].plan_natively(utc("2026-11-02 20:10"))
    transform.prepare()
    yield transform
    transform.close()


@pytest.fixture
def scheduler(transform: Transform) -> Iterator[Scheduler]:
    """After a midnight at which `events` failed, and what reads it has waited in vain."""
    with scheduler_of(transform, sensors=True) as scheduler:
        scheduler.start(MIDNIGHT - timedelta(minutes=30))
        scheduler.look(MIDNIGHT)
        transform.projects[0].database.execute("DROP TABLE main.raw")
        assert not scheduler.execute(scheduler.runs()[0]).success
        for seconds in (30, 60):
            scheduler.sense(MIDNIGHT + timedelta(seconds=seconds))
            last = scheduler.execute(scheduler.runs()[-1])
            assert list(last.observed.values()) == [["waiting"]], last.observed
        transform.projects[0].database.execute("CREATE TABLE main.raw AS SELECT 2 AS n")
        yield scheduler


def groups(scheduler: Scheduler) -> list[tuple[str, set[str], str]]:
    return [
        (run.tags[JOB_GROUP], launched(run), run.tags.get(ATTEMPT, "0"))
        for run in scheduler.runs()
        if JOB_GROUP in run.tags
    ]


def owed(transform: Transform) -> list[str]:
    rows = open_claims(transform.instance, load_config(transform.folder)).remembered()
    return [row.node for row in rows]


def test_what_waited_in_vain_follows_once_what_it_reads_is_well_again(
    scheduler: Scheduler, transform: Transform
) -> None:
    first = [("hourly", {EVENTS}, "0"), ("daily", {DAYS}, "0"), ("hourly_2", {AGAIN}, "0")]
    for seconds in (90, 120):
        scheduler.sense(MIDNIGHT + timedelta(seconds=seconds))
    assert groups(scheduler) == first
    assert f"waits until {EVENTS} is built" in str(scheduler.sensor_ticks()[-1].skip_reason)
    assert transform.run(["mart.events"]).success
    for seconds in range(150, 300, 30):
        scheduler.sense(MIDNIGHT + timedelta(seconds=seconds))
        for run in scheduler.runs():
            if run.status is dg.DagsterRunStatus.QUEUED:
                assert scheduler.execute(run).materialized != []
    assert groups(scheduler) == [*first, ("daily", {DAYS}, "1"), ("hourly_2", {AGAIN}, "1")]
    assert owed(transform) == []
    assert transform.projects[0].database.content("mart.again") == [(2,)]


def test_a_later_tick_answers_for_what_was_left_out(
    scheduler: Scheduler, transform: Transform
) -> None:
    scheduler.look(MIDNIGHT + timedelta(hours=1))
    for minutes in range(61, 66):
        for run in scheduler.runs():
            if run.status is dg.DagsterRunStatus.QUEUED:
                assert scheduler.execute(run).success
        scheduler.sense(MIDNIGHT + timedelta(minutes=minutes))
    later = [("hourly", {EVENTS}, "0"), ("daily", {DAYS}, "1")]
    later += [("hourly_2", {AGAIN}, "0"), ("hourly_2", {AGAIN}, "1")]
    assert sorted(groups(scheduler)[3:], key=repr) == sorted(later, key=repr)
    assert owed(transform) == []
    assert transform.projects[0].database.content("mart.again") == [(2,)]
