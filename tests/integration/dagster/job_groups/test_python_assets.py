"""Python assets between the nodes of job groups: in nobody's group, and in nobody's way."""

from __future__ import annotations

from pathlib import Path

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
