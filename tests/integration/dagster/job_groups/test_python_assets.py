"""Python assets between the nodes of job groups: in nobody's group, and in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from tests.support.grouped import MODELS as THREE
from tests.support.grouped import grouped
from tests.support.scheduler import launched, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform, python_asset

MODELS = {
    **THREE,
    "mart.reader": """
        kind FULL, cron '@hourly'
        ---
        SELECT n FROM landing.seen
    """,
}
FILE = """
    job_groups:
      hourly: {cron: "@hourly", nodes: [w/mart/events, w/mart/reader]}
      daily: {cron: "@daily", nodes: [w/mart/days]}
      hourly_2: {cron: "@hourly", nodes: [w/mart/again]}
"""
SEEN = python_asset("seen", ["w", "mart", "events"], key="['w', 'landing', 'seen']")


def land(transform: Transform) -> None:
    """The table of the Python asset."""
    transform.projects[0].database.execute(
        "CREATE SCHEMA landing", "CREATE TABLE landing.seen AS SELECT 1 AS n"
    )
    transform.projects[0].write(
        {"external_models.yaml": "- name: w.landing.seen\n  columns: {n: int}\n"}
    )


def test_a_python_asset_between_two_nodes_of_a_group(tmp_path: Path) -> None:
    transform = grouped(tmp_path, file=FILE, models=MODELS)
    land(transform)
    transform.configure(plan="auto")
    transform.define(SEEN)
    transform.prepare()
    try:
        repository = transform.repository()
        layer = repository.get_job("hourly").asset_layer
        assert {key.to_user_string() for key in layer.executable_asset_keys} == {
            "w/mart/events", "w/mart/reader"
        }  # fmt: skip
        # All of it in one job is two ops of ours, with the Python asset in between.
        assert len(repository.get_job("__ASSET_JOB").nodes_in_topological_order) == 3
        assert transform.run(execution_time="2026-11-02T22:10:00+00:00").success
        with scheduler_of(transform) as scheduler:
            scheduler.start(utc("2026-11-02 22:30"), "hourly_schedule")
            scheduler.look(utc("2026-11-02 23:00"))
            run = scheduler.runs()[-1]
            assert launched(run) == {"w/mart/events", "w/mart/reader"}
            story = scheduler.execute(run)
        assert story.success
        assert sorted(story.materialized) == ["events", "reader"]
    finally:
        transform.close()


def test_a_node_waits_for_a_python_asset_where_that_is_asked_for(tmp_path: Path) -> None:
    transform = grouped(tmp_path, file=FILE, models=MODELS, job_groups={"upstream_assets": "wait"})
    land(transform)
    transform.define(SEEN)
    transform.projects[0].plan_natively(utc("2026-11-02 22:10"))
    transform.prepare()
    seen = dg.AssetMaterialization(["w", "landing", "seen"])
    tick = utc("2026-11-02 23:00")
    try:
        with scheduler_of(transform, sensors=True) as scheduler:
            with freeze_time(tick - timedelta(minutes=10)):  # of the tick before
                transform.instance.report_runless_asset_event(seen)
            scheduler.start(tick - timedelta(minutes=30), "hourly_schedule")
            scheduler.look(tick)
            assert [launched(run) for run in scheduler.runs()] == [{"w/mart/events"}]
            scheduler.sense(tick + timedelta(seconds=30))
            said = (
                "w/mart/reader: waits for w/landing/seen, not materialised since 2026-11-02 23:00"
            )
            assert said in str(scheduler.sensor_ticks()[-1].skip_reason)
            with freeze_time(tick + timedelta(seconds=40)):
                transform.instance.report_runless_asset_event(seen)
            scheduler.sense(tick + timedelta(seconds=60))
            assert [launched(run) for run in scheduler.runs()[1:]] == [{"w/mart/reader"}]
    finally:
        transform.close()


# -- upstream_assets: include ------------------------------------------------------------------

TICK = utc("2026-11-02 23:00")
READERS = {
    "mart.events": THREE["mart.events"],
    "mart.first": "kind FULL, cron '@hourly'\n---\nSELECT n FROM landing.seen",
    "mart.second": "kind FULL, cron '@hourly'\n---\nSELECT n FROM landing.seen",
}
TWO_GROUPS = """
    job_groups:
      one: {cron: "@hourly", nodes: [w/mart/events, w/mart/first]}
      two: {cron: "@hourly", nodes: [w/mart/second]}
"""
RAW = python_asset("raw")
LANDED = (
    python_asset("seen", ["raw"], key="['w', 'landing', 'seen']")
    + """
@dg.asset_check(asset=['w', 'landing', 'seen'], blocking=True)
def has_rows():
    return dg.AssetCheckResult(passed=not {fails})

assets.append(has_rows)
"""
)


@pytest.fixture(params=["each", "shared"])
def included(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Transform]:
    settings = {"upstream_assets": "include", "jobs": request.param}
    transform = grouped(tmp_path, file=TWO_GROUPS, models=READERS, job_groups=settings)
    land(transform)
    transform.projects[0].plan_natively(utc("2026-11-02 22:10"))
    transform.prepare()
    yield transform
    transform.close()


def test_what_nodes_read_goes_along_with_the_first_group_that_reads_it(included: Transform) -> None:
    included.define(RAW + LANDED.format(fails=False))
    with scheduler_of(included, sensors=True) as scheduler:
        scheduler.start(TICK - timedelta(minutes=30), "one_schedule")
        scheduler.look(TICK)
        scheduler.start(TICK - timedelta(minutes=30), "two_schedule")
        scheduler.look(TICK + timedelta(seconds=5))
        (run,) = scheduler.runs()
        assert launched(run) == {"raw", "w/landing/seen", "w/mart/events", "w/mart/first"}
        (tick,) = scheduler.ticks("two_schedule")
        said = f"waits for w/landing/seen, which run {run.run_id} is to materialise"
        assert said in str(tick.skip_reason)
        story = scheduler.execute(run, execution_time=TICK.isoformat())
        assert story.success
        built = story.materialized
        assert built.index("raw") < built.index("seen") < built.index("first")
        assert story.checks["seen:has_rows"]
        scheduler.sense(TICK + timedelta(seconds=30))
        assert launched(scheduler.runs()[-1]) == {"w/mart/second"}, "it is there for the tick"


def test_what_is_there_for_the_tick_is_not_materialised_again(included: Transform) -> None:
    included.define(RAW + LANDED.format(fails=False))
    with scheduler_of(included) as scheduler:
        scheduler.start(TICK - timedelta(minutes=30), "two_schedule")
        with freeze_time(TICK + timedelta(seconds=5)):
            included.instance.report_runless_asset_event(
                dg.AssetMaterialization(["w", "landing", "seen"])
            )
        scheduler.look(TICK + timedelta(seconds=10))
        assert [launched(run) for run in scheduler.runs()] == [{"w/mart/second"}]


def test_what_has_partitions_is_waited_for(included: Transform) -> None:
    days = "dg.DailyPartitionsDefinition('2026-11-01')"
    landed = LANDED.format(fails=False).replace("deps=[['raw']]", f"partitions_def={days}")
    included.define(landed)
    with scheduler_of(included, sensors=True) as scheduler:
        scheduler.start(TICK - timedelta(minutes=30))
        scheduler.look(TICK)
        assert [launched(run) for run in scheduler.runs()] == [{"w/mart/events"}]
        (tick,) = scheduler.ticks("two_schedule")
        assert "waits for w/landing/seen, not materialised since 2026-11-02 23:00" in str(
            tick.skip_reason
        )


def test_nothing_is_built_over_what_goes_along_and_fails(included: Transform) -> None:
    included.define(RAW + LANDED.format(fails=True))
    with scheduler_of(included, sensors=True) as scheduler:
        scheduler.start(TICK - timedelta(minutes=30), "two_schedule")
        scheduler.look(TICK)
        (run,) = scheduler.runs()
        story = scheduler.execute(run, execution_time=TICK.isoformat())
        assert not story.success
        assert not story.checks["seen:has_rows"]
        assert "second" not in story.materialized


def test_what_reads_no_asset_that_fails_is_launched_without_it(included: Transform) -> None:
    included.define(python_asset("raw", body="raise ValueError('no')") + LANDED.format(fails=False))
    with scheduler_of(included, sensors=True) as scheduler:
        scheduler.start(TICK - timedelta(minutes=30), "one_schedule")
        scheduler.look(TICK)
        (run,) = scheduler.runs()
        story = scheduler.execute(run, execution_time=TICK.isoformat())
        assert (story.success, story.materialized) == (False, [])
        scheduler.sense(TICK + timedelta(seconds=30))
        scheduler.sense(TICK + timedelta(seconds=60))
        *_, again = scheduler.runs()
        assert launched(again) == {"w/mart/events"}, "what failed and what reads it is not repeated"
        assert scheduler.execute(again, execution_time=TICK.isoformat()).success
        scheduler.sense(TICK + timedelta(seconds=90))
        assert scheduler.runs()[-1].run_id == again.run_id
