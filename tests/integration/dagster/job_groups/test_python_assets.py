"""Python assets between the nodes of job groups: in nobody's group, and in nobody's way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
from dagster._core.test_utils import freeze_time

from tests.support.grouped import MODELS as THREE
from tests.support.grouped import grouped
from tests.support.scheduler import launched, scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import python_asset

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


def test_a_python_asset_between_two_nodes_of_a_group(tmp_path: Path) -> None:
    transform = grouped(tmp_path, file=FILE, models=MODELS)
    transform.projects[0].database.execute(
        "CREATE SCHEMA landing", "CREATE TABLE landing.seen AS SELECT 1 AS n"
    )
    transform.projects[0].write(
        {"external_models.yaml": "- name: w.landing.seen\n  columns: {n: int}\n"}
    )
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
    transform.projects[0].database.execute(
        "CREATE SCHEMA landing", "CREATE TABLE landing.seen AS SELECT 1 AS n"
    )
    transform.projects[0].write(
        {"external_models.yaml": "- name: w.landing.seen\n  columns: {n: int}\n"}
    )
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
