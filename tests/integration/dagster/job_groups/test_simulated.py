"""What is simulated is what Dagster's own scheduler launches."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dagster._core.scheduler.instigation import TickStatus

from dagster_transform.cli.graphs import prepared
from dagster_transform.cli.prepare import prepare_project
from dagster_transform.config import load_config
from dagster_transform.config.job_group_file import read_job_group_file
from dagster_transform.planning.job_groups.file import load_job_groups
from dagster_transform.planning.job_groups.settings import job_group_settings
from dagster_transform.planning.job_groups.simulation import simulate
from tests.support.folders import REPOSITORY
from tests.support.grouped import grouped
from tests.support.scheduler import Scheduler, launched, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform

Ticks = list[tuple[str, str, frozenset[str]]]
MODULE = """
from dagster_transform import build_transform_definitions

defs = build_transform_definitions({folder!r})
"""
TWO_DAYS = timedelta(days=2)
ONE_NIGHT = timedelta(hours=14)


def simulated(folder: Path, start: datetime, end: datetime) -> Ticks:
    config = load_config(folder)
    graph = prepared(config).graph
    file = read_job_group_file(config.job_group_file)
    plan = load_job_groups(file, graph, job_group_settings(config, graph), now=start).plan
    found = simulate(plan, graph, {}, start, end)
    return sorted(
        (str(launch.tick), launch.group, frozenset(graph.nodes[id].name for id in launch.nodes))
        for launch in found.launches
    )


def by_dagster(scheduler: Scheduler, start: datetime, end: datetime, every: timedelta) -> Ticks:
    """What the scheduler launches, looking again and again; a tick that launches nothing is one of
    no node."""
    scheduler.start(start - timedelta(seconds=1))
    scheduler.look_each(start, end - timedelta(seconds=1), every)
    found = [
        (
            str(datetime.fromisoformat(run.tags["dagster_transform/tick"])),
            run.tags["dagster_transform/job_group"],
            frozenset(launched(run)),
        )
        for run in scheduler.runs()
    ]
    for name in scheduler.schedules():
        for tick in scheduler.ticks(name):
            assert tick.status in (TickStatus.SUCCESS, TickStatus.SKIPPED)
            if tick.status is TickStatus.SKIPPED:
                moment = datetime.fromtimestamp(tick.timestamp, tz=start.tzinfo)
                found.append((str(moment), name.removesuffix("_schedule"), frozenset()))
    return sorted(found)


@pytest.mark.slow
def test_two_days_of_the_example(tmp_path: Path) -> None:
    example = tmp_path / "example"
    ignored = shutil.ignore_patterns(".dagster_transform", "data", "target", "*.duckdb*", ".cache")
    shutil.copytree(REPOSITORY / "example_project", example, ignore=ignored)
    config = load_config(example)
    for project in config.projects:
        prepare_project(config, project)
    transform = Transform(tmp_path / "t", [], module=MODULE.format(folder=str(example)))
    start = utc("2026-11-27 18:00")  # a Friday: its weekly nodes are due on Sunday
    end = start + TWO_DAYS
    expected = simulated(example, start, end)
    try:
        with scheduler_of(transform) as scheduler:
            assert by_dagster(scheduler, start, end, timedelta(hours=1)) == expected
    finally:
        transform.close()
    assert {nodes for _, _, nodes in expected if nodes}
    assert len({group for _, group, _ in expected}) == len(config_groups(example))


def config_groups(folder: Path) -> list[str]:
    return list(read_job_group_file(load_config(folder).job_group_file).entries)


CLOCKS = {
    f"mart.{name}": f"kind FULL, cron '{cron}', cron_tz 'Europe/Zurich'\n---\nSELECT 1 AS n"
    for name, cron in {
        "hour": "@hourly",
        "two": "0 */2 * * *",
        "night": "30 2 * * *",
        "day": "@daily",
    }.items()
}
FILE = """
    job_groups:
      hours:
        {cron: "@hourly", time_zone: Europe/Zurich, nodes: [w/mart/hour, w/mart/two, w/mart/day]}
      nights: {cron: "30 2 * * *", time_zone: Europe/Zurich, nodes: [w/mart/night]}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("evening", "night"),
    [("2026-10-24 20:00", "2026-10-25 01:30"), ("2026-03-28 20:00", "2026-03-29 01:00")],
)
def test_the_nights_in_which_clocks_change(tmp_path: Path, evening: str, night: str) -> None:
    """No time of the day comes twice, none is left out, and what is due twice in autumn is launched
    with the tick after it."""
    transform = grouped(tmp_path, file=FILE, models=CLOCKS)
    transform.prepare()
    start, end = utc(evening), utc(evening) + ONE_NIGHT
    expected = simulated(tmp_path, start, end)
    try:
        with scheduler_of(transform) as scheduler:
            found = by_dagster(scheduler, start, end, timedelta(minutes=30))
    finally:
        transform.close()
    assert found == expected
    assert [tick for tick, group, _ in found if group == "nights"] == [str(utc(night))]
    assert sum("w/mart/hour" in nodes for *_, nodes in found) == 14
    assert sum("w/mart/day" in nodes for *_, nodes in found) == 1
