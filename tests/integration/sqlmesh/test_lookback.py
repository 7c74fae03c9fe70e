"""Models with a lookback whose upstream is coarser: what they look back to is built again with an
interval of their own, and not for itself in every run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_transform.planning import Outcome
from tests.support.sqlmesh_intervals import intervals_by_model
from tests.support.sqlmesh_projects import Database, Project, utc

BY_TIME = "kind INCREMENTAL_BY_TIME_RANGE (time_column ds{more})"
READ = "SELECT id, ds FROM {parent} WHERE ds BETWEEN @start_ds AND @end_ds"
WEEKLY = BY_TIME.format(more="") + ",\ncron '@weekly'"
BACK = BY_TIME.format(more=", lookback 3")
MODELS = {
    "mart.week": f"{WEEKLY}\n---\n{READ.format(parent='src.raw')}",
    "mart.other": "kind FULL\n---\nSELECT 1::INT AS n",
    "mart.days": f"{BACK}\n---\n{READ.format(parent='mart.week')}",
}
WEDNESDAY = utc("2024-03-13 10:30")
THURSDAY = utc("2024-03-14 10:30")
NEXT_WEEK = utc("2024-03-19 10:30")


@pytest.fixture
def project(tmp_path: Path, new_database: Callable[[Path], Database]) -> Project:
    database = new_database(tmp_path)
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i:02}')" for i in range(31))
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
    )
    return Project(tmp_path / "p", database, MODELS)


@pytest.mark.parametrize(
    ("selected", "ignore_cron"),
    [(["mart.days"], True), (["mart.days"], False), (["mart.week", "mart.days"], False)],
)
def test_what_is_left_is_lookback(project: Project, selected: list[str], ignore_cron: bool) -> None:
    project.run(WEDNESDAY, plan_mode="auto")
    recorded, rows = intervals_by_model(project), project.database.content("mart.days")
    assert len(rows) == 9  # up to Saturday, where SQLMesh's weeks end
    for moment in (WEDNESDAY, THURSDAY):
        run = project.run(moment, selected, ignore_cron=ignore_cron)
        assert run.outcome("mart.days") is Outcome.WAITING
        week = f"{project.database.catalog}/mart/week"
        assert run.reason("mart.days") == f"its upstream {week} has not got that far yet"
    # In a plan of something else, too.
    project.model("mart.other", "kind FULL\n---\nSELECT 2::INT AS n")
    again = project.run(THURSDAY, plan_mode="auto")
    assert again.outcome("mart.other") is Outcome.BACKFILLED
    assert again.outcome("mart.days") is Outcome.WAITING
    kept = {name: intervals for name, intervals in recorded.items() if name != "mart.other"}
    assert intervals_by_model(project).items() >= kept.items()
    # With intervals of its own it looks back.
    week = project.run(NEXT_WEEK, ["mart.week", "mart.days"], ignore_cron=False)
    assert week.outcomes == {"mart.week": "built", "mart.days": "built"}
    assert week.report("mart.days").details["intervals"] == "2024-03-07 to 2024-03-16"
