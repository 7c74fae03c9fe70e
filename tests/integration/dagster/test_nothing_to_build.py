"""What Dagster is told of SQLMesh models of which nothing can be built yet: nothing was built, and
what reads them does not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sqlmesh_intervals import intervals_by_model
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform, python_asset

FIRST, NEXT_DAY = "2024-03-05T10:30:00+00:00", "2024-03-06T10:30:00+00:00"
SIGNAL = """
from pathlib import Path
from sqlmesh import signal

@signal()
def landed(batch) -> bool:
    return Path({path!r}).exists()
"""
MODELS = {
    "mart.held": (
        "kind FULL,\nsignals (landed()),\naudits (number_of_rows(threshold := 0))\n---\n"
        "SELECT 1::INT AS n"
    ),
    "mart.below": "kind VIEW\n---\nSELECT n FROM mart.held",
    "mart.apart": "kind FULL\n---\nSELECT 1::INT AS n",
}


def project_in(folder: Path, landed: Path) -> Project:
    folder.mkdir()
    signals = {"signals/__init__.py": SIGNAL.format(path=str(landed))}
    return Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS, files=signals)


@pytest.mark.parametrize("by", ["plan: auto", "the plan job"])
def test_what_a_signal_holds_in_its_first_plan(tmp_path: Path, by: str) -> None:
    landed = tmp_path / "landed"
    project = project_in(tmp_path / "ours", landed)
    native = project_in(tmp_path / "native", landed)
    reports = python_asset("report", ("w", "mart", "below")) + python_asset(
        "other", ("w", "mart", "apart")
    )
    transform = Transform(tmp_path / "ours", [project], code=reports, plan="auto")
    transform.prepare()
    if by == "plan: auto":
        story = transform.run(execution_time=FIRST)
        assert sorted(story.materialized) == ["apart", "other"]
    else:
        story = transform.job("p_plan", {"apply": True}, execution_time=FIRST)
        assert story.materialized == ["apart"]
    assert story.success
    assert story.observed == {
        "held": ["waiting"],
        "below": ["waiting"],
        "apart": ["backfilled"],
    }
    assert story.reason("held").startswith("a signal, its own or an upstream's, holds back")
    assert story.reason("below") == "its upstream w/mart/held has no data yet"
    assert story.checks == {}
    # As `sqlmesh plan` leaves it.
    native.plan_natively(utc("2024-03-05 10:30"))
    assert project.database.contents(MODELS) == native.database.contents(MODELS)
    assert intervals_by_model(project)["mart.apart"] == intervals_by_model(native)["mart.apart"]
    assert "mart.held" not in intervals_by_model(project)
    landed.touch()
    later = transform.run(execution_time=NEXT_DAY, ignore_cron=False)
    assert later.success
    assert sorted(later.materialized) == ["apart", "below", "held", "other", "report"]
    assert all(later.checks.values())
    native.run_natively(utc("2024-03-06 10:30"))
    assert project.database.contents(MODELS) == native.database.contents(MODELS)
    assert intervals_by_model(project) == intervals_by_model(native)
    transform.close()
