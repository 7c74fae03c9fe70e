"""Batches of a long build as lines of the run's log, and the warning of claims in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dagster_transform import TransformResource, build_sqlmesh_assets
from dagster_transform.runs import progress
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import Transform

DAYS = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1), start '2024-02-01'
    ---
    SELECT ds FROM src.days WHERE ds BETWEEN @start_ds AND @end_ds
"""
FIRST, LATER = "2024-03-12T10:30:00+00:00", "2024-03-15T10:30:00+00:00"
IN_MEMORY = "Claims are kept in memory"


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    database = Database.in_file(tmp_path / "w.duckdb")
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.days AS SELECT DATE '2024-02-01' + i::INT AS ds FROM range(60) t(i)",
    )
    project = Project(tmp_path / "p", database, {"mart.days": DAYS})
    transform = Transform(tmp_path, [project], plan="auto")
    transform.prepare()
    yield transform
    transform.close()


def told(story: Story) -> list[str]:
    return [line for line in story.log if line.startswith("w/mart/days: batch ")]


def test_a_plan_and_a_run_say_how_far_they_have_come(
    transform: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_PART", 1e9)  # nothing is left out
    plan = transform.run(execution_time=FIRST)
    assert plan.success
    assert len(told(plan)) == 40
    assert told(plan)[3] == "w/mart/days: batch 4 of 40, 2024-02-04, 10 %"
    assert plan.observed["days"] == ["backfilled"]
    later = transform.run(execution_time=LATER)
    assert told(later) == [
        "w/mart/days: batch 1 of 3, 2024-03-12, 33 %",
        "w/mart/days: batch 2 of 3, 2024-03-13, 66 %",
        "w/mart/days: batch 3 of 3, 2024-03-14, 100 %",
    ]
    (end,) = [line for line in later.log if line.startswith("w/mart/days: built in ")]
    assert end.endswith("3 of 3 batches")
    assert IN_MEMORY not in later.text


def test_a_short_build_says_how_many_batches_there_were_at_its_end(transform: Transform) -> None:
    story = transform.run(execution_time=FIRST)
    assert story.success
    assert len(told(story)) < 3
    (end,) = [line for line in story.log if line.startswith("w/mart/days: backfilled in ")]
    assert end.endswith("40 of 40 batches")


def test_claims_in_memory_are_told_once_a_run(transform: Transform) -> None:
    first = build_sqlmesh_assets("p", transform.folder)
    with dg.DagsterInstance.ephemeral() as instance:
        for moment in (FIRST, LATER):  # also in the second run of a process
            options = TransformResource(execution_time=moment)
            done = dg.materialize([first], resources={"transform": options}, instance=instance)
            assert done.success
            lines = [r.user_message for r in instance.all_logs(done.run_id)]
            (warning,) = [line for line in lines if line.startswith(IN_MEMORY)]
            assert "Set DAGSTER_HOME, or claims_url in transform.yaml" in warning
