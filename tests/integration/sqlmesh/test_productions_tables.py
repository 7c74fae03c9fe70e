"""Development environments whose readers see production's table of a model.

Where SQLMesh calls a change indirect and non-breaking, the view leads to the table that production
has. SQLMesh builds such a model in the development environment all the same, into another table
that nobody reads, in every run anew (its issue 5793).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_transform.planning import Outcome
from tests.support.sqlmesh_projects import Database, Project, utc

FIRST = utc("2024-03-05 10:30")
NEXT_DAY = utc("2024-03-06 10:30")
LATER = utc("2024-03-06 11:30")

DAYS = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
    ---
    SELECT id, ds{more} FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
"""
MODELS = {
    "stage.days": DAYS.format(more=""),
    "mart.days": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT ds, COUNT(*)::INT AS n FROM stage.days WHERE ds BETWEEN @start_ds AND @end_ds
        GROUP BY 1
        """,
    "mart.total": "kind FULL\n---\nSELECT SUM(n)::INT AS n FROM mart.days",
}


@pytest.fixture
def project(tmp_path: Path, new_database: Callable[[Path], Database]) -> Project:
    """Planned in production; in `dev` with a change of `stage.days` that breaks nothing below."""
    database = new_database(tmp_path)
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
    )
    project = Project(tmp_path / "p", database, MODELS, environment="dev")
    project.plan_natively(FIRST)
    project.model("stage.days", DAYS.format(more=", 1 AS more"))
    project.plan_natively(FIRST, "dev", include_unmodified=True)
    return project


def test_what_only_production_builds_is_not_built_elsewhere(project: Project) -> None:
    first = project.run(FIRST)
    assert first.outcome("mart.days") is Outcome.UP_TO_DATE
    assert "reads production's table" in first.reason("mart.days")
    for moment in (NEXT_DAY, LATER):
        tables, intervals = project.database.tables(), project.database.intervals()
        run = project.run(moment, ["mart.days", "mart.total"], ignore_cron=False)
        assert run.outcomes == {"mart.days": "waiting", "mart.total": "waiting"}
        assert run.reason("mart.days") == (
            "it lacks 2024-03-05: this environment reads production's table, "
            "which production's runs build"
        )
        assert project.database.tables() == tables
        assert project.database.intervals() == intervals
    own = project.run(NEXT_DAY, ignore_cron=False)
    assert own.outcome("stage.days") is Outcome.BUILT
    # It is production that builds it, for both.
    project.run_natively(NEXT_DAY)
    done = project.run(LATER, ignore_cron=False)
    assert done.outcomes["mart.days"] == done.outcomes["mart.total"] == "up_to_date"
    assert project.database.content("mart__dev.total") == [(15,)]


def test_a_plan_does_not_build_it_either(project: Project) -> None:
    project.model("stage.days", DAYS.format(more=", 1 AS more, 2 AS other"))
    intervals = {k: v for k, v in project.database.intervals().items() if k[2]}
    run = project.run(NEXT_DAY, plan_mode="auto")
    assert run.outcome("stage.days") is Outcome.BACKFILLED
    assert run.outcome("p:promotion of dev") is Outcome.PROMOTED
    assert run.outcome("mart.days") is not Outcome.BACKFILLED
    assert {k: v for k, v in project.database.intervals().items() if k[2]} == intervals
    assert project.database.content("mart__dev.total") == [(12,)]
