"""A signal that raises an error fails its own model and what reads it; the others go on.

Natively it ends `sqlmesh run` with nothing built.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_transform.planning import Outcome
from dagster_transform.sqlmesh.settings import Restatement
from tests.support.sqlmesh_projects import Database, Project, utc

FIRST, NEXT_DAY = utc("2024-03-04 10:30"), utc("2024-03-05 10:30")
PROMOTION = "p:promotion of prod"
DAYS = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column day){signals}
    ---
    SELECT day::DATE AS day, 1 AS n
    FROM GENERATE_SERIES(@start_date::TIMESTAMP, @end_date::TIMESTAMP, INTERVAL '1 day') AS t(day)
"""
BELOW = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column day)
    ---
    SELECT day, n FROM mart.held WHERE day BETWEEN @start_ds AND @end_ds
"""
MODELS = {
    "mart.held": DAYS.format(signals=", signals (landed())"),
    "mart.below": BELOW,
    "mart.beside": DAYS.format(signals=""),
}
SIGNAL = """
from pathlib import Path

from sqlmesh import signal


@signal()
def landed(batch) -> bool:
    what = Path({path!r})
    if what.exists():
        exec(what.read_text())
    return True
"""
RAISES = {
    "an error": ("raise ValueError('the bucket is gone')", "ValueError: the bucket is gone"),
    "no message": ("assert not batch", "AssertionError without a message"),
    "an exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "no such module": ("import no_such_module_here", "No module named 'no_such_module_here'"),
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    files = {
        "signals/__init__.py": "",
        "signals/landed.py": SIGNAL.format(path=str(tmp_path / "raises")),
    }
    database = Database.in_file(tmp_path / "w.duckdb")
    return Project(tmp_path / "p", database, MODELS, files=files)


def raising(project: Project, code: str = "raise ValueError('the bucket is gone')") -> None:
    (project.folder.parent / "raises").write_text(code)


def days(project: Project, model: str) -> int:
    """How many days the state has recorded, all of whose rows are there."""
    found = project.database.intervals().items()
    (spans,) = [spans for (name, *_), spans in found if f'"{model}"' in name]
    recorded = sum(end - start for start, end in spans) // 86_400_000
    assert len(project.database.content(f"mart.{model}")) == recorded
    return recorded


@pytest.mark.parametrize(("code", "words"), RAISES.values(), ids=RAISES)
def test_a_run_builds_the_others_and_the_next_one_makes_up(
    project: Project, code: str, words: str
) -> None:
    project.plan_natively(FIRST)
    raising(project, code)
    run = project.run(NEXT_DAY)
    assert run.outcomes == {"mart.held": "failed", "mart.below": "blocked", "mart.beside": "built"}
    held = f"{project.database.catalog}/mart/held"
    assert f"signal landed of {held} raised" in run.reason("mart.held")
    assert words in run.reason("mart.held")
    assert "apply a plan" in run.reason("mart.held")
    assert "held" in run.reason("mart.below")
    assert {days(project, n) for n in ("held", "below")} == {3}
    assert days(project, "beside") == 4
    (project.folder.parent / "raises").unlink()
    again = project.run(NEXT_DAY)
    assert again.outcome("mart.held") is again.outcome("mart.below") is Outcome.BUILT
    assert {days(project, n) for n in ("held", "below", "beside")} == {4}


def test_natively_it_ends_the_whole_run(project: Project) -> None:
    project.plan_natively(FIRST)
    raising(project)
    with pytest.raises(Exception, match="the bucket is gone"):
        project.run_natively(NEXT_DAY)
    assert {days(project, n) for n in ("held", "below", "beside")} == {3}


def test_an_upstream_that_is_not_selected_is_owing_as_ever(project: Project) -> None:
    project.plan_natively(FIRST)
    raising(project)
    run = project.run(NEXT_DAY, ["mart.below", "mart.beside"])
    assert run.outcome("mart.beside") is Outcome.BUILT
    assert run.outcome("mart.below") is Outcome.WAITING
    below = f"{project.database.catalog}/mart/below"
    assert f'select +key:"{below}"' in run.reason("mart.below")
    included = project.run(NEXT_DAY, ["mart.below"], upstreams="include")
    assert included.outcomes == {"mart.held": "failed", "mart.below": "blocked"}


def test_a_plan_builds_the_others_and_promotes_nothing(project: Project) -> None:
    raising(project)
    run = project.run(FIRST, plan_mode="auto")
    assert run.outcomes == {
        "mart.held": "failed",
        "mart.below": "blocked",
        "mart.beside": "backfilled",
        PROMOTION: "blocked",
    }
    assert "the bucket is gone" in run.reason("mart.held")
    assert project.environment() is None
    (project.folder.parent / "raises").unlink()
    again = project.run(FIRST, plan_mode="auto")
    assert again.outcome(PROMOTION) is Outcome.PROMOTED
    assert {days(project, n) for n in ("held", "below", "beside")} == {3}


def test_a_restatement_leaves_what_can_not_be_built_as_it_was(project: Project) -> None:
    project.plan_natively(FIRST)
    before = project.database.intervals()
    raising(project)
    run = project.run(FIRST, restate=Restatement("2024-03-02", "2024-03-02", "include"))
    assert run.outcomes == {"mart.held": "failed", "mart.below": "blocked", "mart.beside": "built"}
    assert project.database.intervals() == before
    assert {days(project, n) for n in ("held", "below", "beside")} == {3}


def test_a_signal_that_raises_only_when_it_is_asked_again(project: Project) -> None:
    """Another run has built something while this one waited, so the signals are asked anew."""
    project.plan_natively(FIRST)

    def meanwhile() -> None:
        project.run(NEXT_DAY)
        raising(project)

    later = utc("2024-03-06 10:30")
    run = project.run(later, assessed=meanwhile)
    assert run.outcomes == {"mart.held": "failed", "mart.below": "blocked", "mart.beside": "built"}
    assert {days(project, n) for n in ("held", "below")} == {4}
    assert days(project, "beside") == 5


@pytest.mark.postgres
def test_a_signal_whose_own_query_fails(tmp_path: Path, postgres_database: object) -> None:
    """Its connection is the one that the models beside it are built with."""
    signals = """
    from sqlmesh import signal

    @signal()
    def landed(batch, context) -> bool:
        return bool(context.engine_adapter.fetchone("SELECT COUNT(*) FROM no_such_table"))
    """
    files = {"signals/__init__.py": "", "signals/landed.py": signals}
    database = Database.in_postgres(postgres_database)  # type: ignore[arg-type]
    project = Project(tmp_path / "p", database, MODELS, files=files)
    run = project.run(FIRST, plan_mode="auto")
    assert run.outcome("mart.beside") is Outcome.BACKFILLED
    assert run.outcome("mart.held") is Outcome.FAILED
    assert "no_such_table" in run.reason("mart.held")
