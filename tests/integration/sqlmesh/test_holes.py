"""Permanent holes: data that is there in the end, and that a child was recorded complete without.

SQLMesh makes them where nodes of one DAG are built by several runs. Each test makes one of the
cases, and looks at the rows in the end: none is lost. That SQLMesh itself loses them there is shown
once for each case, so that the scenario is worth its name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_transform.planning import Outcome
from tests.support.sqlmesh_projects import Database, Project, utc

FIRST = utc("2024-03-05 00:30")
NEXT_DAY = utc("2024-03-06 00:30")
ROWS_UNTIL = utc("2024-03-08 00:00")

RAW = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
    ---
    SELECT id, moment, moment::DATE AS ds FROM src.raw
    WHERE moment::DATE BETWEEN @start_ds AND @end_ds
"""
DAYS = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
    ---
    SELECT id, ds FROM stage.raw WHERE ds BETWEEN @start_ds AND @end_ds
"""
HOURS = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column moment),
    cron '@hourly'
    ---
    SELECT id, moment FROM stage.raw WHERE moment BETWEEN @start_ts AND @end_ts
"""
FOLLOWER = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column moment),
    cron '@hourly'
    ---
    SELECT id, moment FROM mart.through WHERE moment BETWEEN @start_ts AND @end_ts
"""
THROUGH = """
    kind VIEW
    ---
    SELECT id, moment FROM stage.raw
"""
HELD = """
from sqlmesh import signal
from pathlib import Path

@signal()
def landed(batch) -> bool:
    return Path({path!r}).exists()
"""


def prepare(database: Database) -> None:
    """A row for every hour of March 1 to 7."""
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw AS SELECT range::INT AS id, "
        "TIMESTAMP '2024-03-01 00:20:00' + to_hours(range) AS moment FROM range(168)",
    )


def ids(project: Project, model: str, before: str) -> list[int]:
    rows = project.database.rows(f"SELECT id FROM {model} WHERE {before} ORDER BY id")
    return [row[0] for row in rows]


Make = Callable[..., Project]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(name: str, models: dict[str, str], **files: str) -> Project:
        folder = tmp_path / name
        folder.mkdir()
        project = Project(
            folder / "p", Database.in_file(folder / "w.duckdb"), models, files={**files}
        )
        prepare(project.database)
        return project

    return make


def natively_select(project: Project, now: object, *names: str) -> None:
    """What `sqlmesh run --select-model` would do if it left upstreams out, as job groups do: its
    own Scheduler on the selected models alone."""
    with project.native() as context:
        environment = context.state_sync.get_environment("prod")
        snapshots = context.state_sync.get_snapshots(environment.snapshots)
        scheduler = context.create_scheduler(snapshots.values(), context.snapshot_evaluator)
        chosen = {s.name for s in snapshots.values() if s.model.name in names}
        scheduler.run("prod", execution_time=now, end=now, selected_snapshots=chosen)


def test_an_upstream_that_is_not_selected(make: Make) -> None:
    models = {"stage.raw": RAW, "mart.days": DAYS}
    theirs, ours = make("theirs", models), make("ours", models)
    for project in (theirs, ours):
        project.plan_natively(FIRST)
    natively_select(theirs, NEXT_DAY, "mart.days")
    theirs.run_natively(NEXT_DAY)
    assert ids(theirs, "mart.days", "true") == list(range(96))  # SQLMesh: 24 rows lost for good

    held = ours.run(NEXT_DAY, ["mart.days"], ignore_cron=False)
    assert held.outcome("mart.days") is Outcome.WAITING
    ours.run(NEXT_DAY, ["stage.raw"], ignore_cron=False)
    ours.run(NEXT_DAY, ["mart.days"], ignore_cron=False)
    assert ids(ours, "mart.days", "true") == list(range(120))


def test_include_builds_the_upstream_too_and_says_so(make: Make) -> None:
    ours = make("ours", {"stage.raw": RAW, "mart.days": DAYS, "mart.other": DAYS})
    ours.plan_natively(FIRST)
    run = ours.run(NEXT_DAY, ["mart.days"], upstreams="include")
    assert run.outcomes["mart.days"] == run.outcomes["stage.raw"] == "built"
    assert run.outcome("mart.other") is None
    assert ids(ours, "mart.days", "true") == list(range(120))
    # With nothing owed, nothing is included.
    run = ours.run(NEXT_DAY, ["mart.other"], upstreams="include")
    assert set(run.outcomes) == {"mart.other"}


def test_an_upstream_that_only_the_environment_has(make: Make) -> None:
    """No selection builds it, so none is given as the remedy."""
    mid = DAYS.replace("SELECT id, ds", "SELECT id, ds AS ds")
    over = DAYS.replace("stage.raw", "stage.mid")
    project = make("ours", {"stage.raw": RAW, "stage.mid": mid, "mart.days": over})
    project.plan_natively(FIRST)
    project.remove("stage.mid")
    project.model("mart.days", DAYS)
    for upstreams in ("hold", "include"):
        run = project.run(NEXT_DAY, upstreams=upstreams)
        assert run.outcome("stage.raw") in (Outcome.BUILT, Outcome.UP_TO_DATE)
        assert run.outcome("mart.days") is Outcome.WAITING
        reason = run.reason("mart.days")
        assert reason.startswith("its upstream w/stage/mid lacks data: environment prod has it")
        assert "run the job p_plan with apply: true" in reason
        assert "upstreams: include" not in reason
    # As it says.
    project.run(NEXT_DAY, plan_mode="auto")
    assert ids(project, "mart.days", "true") == list(range(120))


def test_a_signal_that_holds_the_upstream_back_in_another_run(make: Make, tmp_path: Path) -> None:
    flag = tmp_path / "landed"
    files = {"signals/landed.py": HELD.format(path=str(flag)), "signals/__init__.py": ""}
    models = {"stage.raw": RAW.replace("(time_column ds)", "(time_column ds), signals (landed())")}
    models["mart.days"] = DAYS
    theirs, ours = make("theirs", models, **files), make("ours", models, **files)
    flag.touch()
    for project in (theirs, ours):
        project.plan_natively(FIRST)
    flag.unlink()
    natively_select(theirs, NEXT_DAY, "stage.raw")
    natively_select(theirs, NEXT_DAY, "mart.days")
    up = ours.run(NEXT_DAY, ["stage.raw"], ignore_cron=False)
    assert up.outcome("stage.raw") is Outcome.WAITING
    assert "signal" in up.reason("stage.raw")
    down = ours.run(NEXT_DAY, ["mart.days"], ignore_cron=False)
    assert down.outcome("mart.days") is Outcome.WAITING
    flag.touch()
    theirs.run_natively(NEXT_DAY)
    assert ids(theirs, "mart.days", "true") == list(range(96))  # SQLMesh: 24 rows lost for good
    ours.run(NEXT_DAY, ["stage.raw"], ignore_cron=False)
    ours.run(NEXT_DAY, ["mart.days"], ignore_cron=False)
    assert ids(ours, "mart.days", "true") == list(range(120))


@pytest.mark.parametrize("child", ["mart.hours", "mart.follower"])
def test_a_child_whose_intervals_are_finer_than_its_parents(make: Make, child: str) -> None:
    """Directly, and through a view."""
    models = {"stage.raw": RAW, "mart.through": THROUGH}
    models[child] = HOURS if child == "mart.hours" else FOLLOWER
    theirs, ours = make("theirs", models), make("ours", models)
    noon = utc("2024-03-05 12:10")
    theirs.plan_natively(noon)
    first = ours.run(noon, plan_mode="auto")
    assert first.outcome(child) is Outcome.BACKFILLED
    # The parent has March 1 to 4. SQLMesh takes the child's hours of March 5 for done.
    assert ids(theirs, child, "true") == ids(ours, child, "true") == list(range(96))
    evening = utc("2024-03-05 18:10")
    held = ours.run(evening, ignore_cron=False)
    assert held.outcome(child) is Outcome.WAITING
    assert held.reason(child) == "its upstream w/stage/raw has not got that far yet"
    for now in (evening, NEXT_DAY, utc("2024-03-07 00:30")):
        theirs.run_natively(now)
        ours.run(now, ignore_cron=False)
    assert ids(ours, child, "true") == list(range(144))
    lost = set(range(144)) - set(ids(theirs, child, "true"))
    assert len(lost) >= 18  # of SQLMesh's own


def test_a_child_that_is_due_more_often_than_its_parent(make: Make) -> None:
    """Both are built by day; the parent's cron is weekly (Sundays), the child's daily."""
    weekly = RAW.replace("(time_column ds)", "(time_column ds), cron '@weekly'")
    models = {"stage.raw": weekly, "mart.days": DAYS}
    theirs, ours = make("theirs", models), make("ours", models)
    theirs.plan_natively(FIRST)
    ours.run(FIRST, plan_mode="auto")
    for day in (6, 8, 11):
        now = utc(f"2024-03-{day:02} 00:30")
        theirs.run_natively(now)
        ours.run(now, ignore_cron=False)
    assert ids(ours, "mart.days", "true") == list(range(168))
    assert len(ids(theirs, "mart.days", "true")) < 168  # SQLMesh loses days for good


def test_a_parent_that_begins_later_holds_back_nothing_before_its_start(make: Make) -> None:
    later = RAW.replace("(time_column ds)", "(time_column ds), start '2024-03-06'")
    both = """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT id, moment::DATE AS ds FROM src.raw
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
          AND NOT id IN (SELECT id FROM stage.raw WHERE id < 0)
    """
    ours = make("ours", {"stage.raw": later, "mart.both": both})
    assert ours.run(FIRST, plan_mode="auto").outcome("mart.both") is Outcome.BACKFILLED
    assert ids(ours, "mart.both", "true") == list(range(96))


def test_a_parent_that_has_ended_holds_nobody_back(make: Make) -> None:
    ended = RAW.replace("(time_column ds)", "(time_column ds), end '2024-03-03'")
    ours = make("ours", {"stage.raw": ended, "mart.hours": HOURS})
    run = ours.run(FIRST, plan_mode="auto")
    assert run.outcome("mart.hours") is Outcome.BACKFILLED
    run = ours.run(NEXT_DAY, ignore_cron=False)
    assert run.outcome("mart.hours") is Outcome.BUILT
    assert ids(ours, "mart.hours", "true") == list(range(72))


def test_a_full_child_of_a_coarser_parent_is_not_held_back(make: Make) -> None:
    """It is built whole again and again, so it loses nothing by being early."""
    full = """
        kind FULL,
        cron '@hourly'
        ---
        SELECT COUNT(*) AS n FROM stage.raw
    """
    ours = make("ours", {"stage.raw": RAW, "mart.total": full})
    ours.plan_natively(FIRST)
    run = ours.run(utc("2024-03-05 12:10"), ignore_cron=False)
    assert run.outcome("mart.total") is Outcome.BUILT
