"""Hourly and daily groups at midnight, on the days on which clocks change: the daily model reads
all hours of its day, as soon as they are there."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from tests.support.grouped import grouped
from tests.support.scheduler import launched, scheduler_of
from tests.support.sqlmesh_projects import utc

INCREMENTAL = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column at), cron '{cron}', cron_tz 'Europe/Zurich',
    interval_unit 'hour', start '{start}'
    ---
    SELECT at::TIMESTAMP AS at FROM {source} WHERE at BETWEEN @start_ts AND @end_ts
"""
FILE = """
    job_groups:
      hourly: {cron: "@hourly", time_zone: Europe/Zurich, nodes: [w/web/events, w/web/other]}
      daily: {cron: "@daily", time_zone: Europe/Zurich, nodes: [w/mart/days]}
"""


@pytest.mark.parametrize(
    ("before", "midnight", "hours"),
    [("2026-10-24 22:00", "2026-10-25 23:00", 25), ("2026-03-28 23:00", "2026-03-29 22:00", 23)],
)
def test_the_daily_model_reads_all_hours_of_its_day_as_soon_as_they_are_there(
    tmp_path: Path, before: str, midnight: str, hours: int
) -> None:
    begin, end = utc(before), utc(midnight)
    first = f"{begin - timedelta(days=2):%Y-%m-%d}"
    models = {
        name: INCREMENTAL.format(cron=cron, start=first, source=source)
        for name, cron, source in (
            ("web.events", "@hourly", "w.main.hours"),
            ("web.other", "@hourly", "w.main.hours"),
            ("mart.days", "@daily", "w.web.events"),
        )
    }
    transform = grouped(tmp_path, file=FILE, models=models)
    database = transform.projects[0].database
    database.execute(
        f"CREATE TABLE main.hours AS SELECT unnest(generate_series(TIMESTAMP '{first}', "
        f"TIMESTAMP '{end:%Y-%m-%d %H:%M}' + INTERVAL 1 DAY, INTERVAL 1 HOUR)) AS at"
    )
    transform.projects[0].plan_natively(begin + timedelta(minutes=10))
    transform.prepare()

    def days() -> list[datetime]:
        return [at for (at,) in database.rows('SELECT "at" FROM w.mart.days ORDER BY 1')]

    def of_the_day() -> int:
        naive = begin.replace(tzinfo=None), end.replace(tzinfo=None)
        return sum(naive[0] <= at < naive[1] for at in days())

    try:
        with scheduler_of(transform, sensors=True) as scheduler:
            scheduler.start(end - timedelta(minutes=30))
            assert of_the_day() == 0
            scheduler.look(end)
            (hourly,) = scheduler.runs()
            assert launched(hourly) == {"w/web/events", "w/web/other"}
            said = str(scheduler.ticks("daily_schedule")[-1].skip_reason)
            assert f"waits for w/web/events of job group hourly, due at {midnight} UTC" in said
            scheduler.begin(hourly)  # it goes on for hours: its other node is slow
            scheduler.sense(end + timedelta(seconds=30))
            assert len(scheduler.runs()) == 1
            assert transform.run(["web.events"], execution_time=end.isoformat()).success
            scheduler.sense(end + timedelta(seconds=60))
            found = [run for run in scheduler.runs() if run.job_name == "daily"]
            assert [launched(run) for run in found] == [{"w/mart/days"}]
            status = transform.instance.get_run_by_id(hourly.run_id)
            assert status is not None
            assert status.status is dg.DagsterRunStatus.STARTED
            assert scheduler.execute(found[0], execution_time=end.isoformat()).success
        assert of_the_day() == hours
        assert len(days()) == len(set(days()))
    finally:
        transform.close()
