"""Models of which nothing can be built yet: a signal holds them, no interval is over, or what they
read has no data. Nothing was evaluated, so nothing was built; their tables are there, and empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_transform.planning import Outcome
from tests.support.sqlmesh_intervals import intervals_by_model
from tests.support.sqlmesh_projects import Database, Project, utc

FIRST = utc("2024-03-05 10:30")
NEXT_DAY = utc("2024-03-06 10:30")
NEXT_MONTH = utc("2024-04-02 10:30")

SIGNAL = """
from pathlib import Path
from sqlmesh import signal

@signal()
def landed(batch) -> bool:
    return Path({path!r}).exists()
"""
HELD = {
    "mart.held": "kind FULL,\nsignals (landed())\n---\nSELECT COUNT(*)::INT AS n FROM src.raw",
    "mart.below": "kind FULL\n---\nSELECT n + 1 AS n FROM mart.held",
    "mart.apart": "kind FULL\n---\nSELECT COUNT(*)::INT AS n FROM src.raw",
}
BY_TIME = "kind INCREMENTAL_BY_TIME_RANGE (time_column ds)"
MONTHLY = {
    "mart.total": (
        "kind FULL,\ncron '@monthly',\nstart '2024-03-01'\n---\n"
        "SELECT COUNT(*)::INT AS n FROM src.raw"
    ),
    "mart.sliced": (
        f"{BY_TIME},\ncron '@monthly',\nstart '2024-03-01'\n---\n"
        "SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds"
    ),
    "mart.full": "kind FULL\n---\nSELECT n + 1 AS n FROM mart.total",
    "mart.of_sliced": "kind FULL\n---\nSELECT COUNT(*)::INT AS n FROM mart.sliced",
    "mart.daily": f"{BY_TIME}\n---\nSELECT @start_date AS ds, n FROM mart.through",
    "mart.days": f"{BY_TIME}\n---\nSELECT id, ds FROM mart.sliced WHERE ds BETWEEN @start_ds AND @end_ds",  # noqa: E501
    "mart.through": "kind VIEW\n---\nSELECT n FROM mart.total",
}

Make = Callable[[str, dict[str, str]], Project]


@pytest.fixture
def make(tmp_path: Path, new_database: Callable[[Path], Database]) -> Make:
    def make(name: str, models: dict[str, str]) -> Project:
        folder = tmp_path / name
        folder.mkdir()
        database = new_database(folder)
        rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 2:02}')" for i in range(60))
        database.execute(
            "CREATE SCHEMA src",
            "CREATE TABLE src.raw (id INT, ds DATE)",
            f"INSERT INTO src.raw VALUES {rows}",
        )
        signal = SIGNAL.format(path=str(tmp_path / "landed"))
        return Project(folder / "p", database, models, files={"signals/__init__.py": signal})

    return make


def test_a_plan_of_what_a_signal_holds(make: Make, tmp_path: Path) -> None:
    """As `sqlmesh plan`: the tables are made and promoted, and nothing is recorded."""
    ours, native = make("ours", HELD), make("native", HELD)
    run = ours.run(FIRST, plan_mode="auto")
    native.plan_natively(FIRST)
    assert run.outcomes["mart.held"] == run.outcomes["mart.below"] == "waiting"
    assert run.outcome("mart.apart") is Outcome.BACKFILLED
    assert run.outcome("p:promotion of prod") is Outcome.PROMOTED
    assert "a signal" in run.reason("mart.held")
    assert ours.database.contents(HELD) == native.database.contents(HELD)
    assert ours.database.content("mart.held") == []
    assert intervals_by_model(ours) == intervals_by_model(native)
    # In the runs that follow, too, and in a plan of something else.
    later = ours.run(NEXT_DAY, ignore_cron=False)
    assert later.outcomes["mart.held"] == later.outcomes["mart.below"] == "waiting"
    ours.model("mart.apart", "kind FULL\n---\nSELECT COUNT(*)::INT + 1 AS n FROM src.raw")
    again = ours.run(NEXT_DAY, plan_mode="auto")
    assert again.outcomes["mart.held"] == again.outcomes["mart.below"] == "waiting"
    (tmp_path / "landed").touch()
    released = ours.run(NEXT_DAY, ignore_cron=False)
    assert released.outcomes["mart.held"] == released.outcomes["mart.below"] == "built"
    assert ours.database.contents(["mart.held", "mart.below"]) == {
        "mart.held": [(60,)],
        "mart.below": [(61,)],
    }


def test_without_one_complete_interval_nothing_is_built_over_it(make: Make) -> None:
    """`sqlmesh plan` fails here: it builds the children and has not made the parents' tables."""
    project = make("ours", MONTHLY)
    run = project.run(FIRST, plan_mode="auto")
    builds = {n: o for n, o in run.outcomes.items() if n in MONTHLY}
    assert builds == dict.fromkeys(MONTHLY, "waiting")
    assert run.outcome("p:promotion of prod") is Outcome.PROMOTED
    assert "no interval is due yet" in run.reason("mart.total")
    assert (
        run.reason("mart.full")
        == f"its upstream {project.database.catalog}/mart/total has no data yet"
    )
    assert set(map(len, project.database.contents(MONTHLY).values())) == {0}
    assert intervals_by_model(project) == {}
    # What a run says of them, whoever selects what.
    for selected in (list(MONTHLY), ["mart.full"], ["mart.total"], ["mart.days"]):
        later = project.run(NEXT_DAY, selected)
        builds = {n: o for n, o in later.outcomes.items() if n in MONTHLY}
        assert builds == dict.fromkeys(selected, "waiting")
    month = project.run(NEXT_MONTH, ignore_cron=False)
    builds = {n: o for n, o in month.outcomes.items() if n in MONTHLY}
    assert builds == dict.fromkeys(MONTHLY, "built")
    content = project.database.contents(MONTHLY)
    assert content["mart.full"] == [(61,)]
    assert content["mart.of_sliced"] == [(60,)]
    assert len(content["mart.days"]) == 60


def test_one_model_without_a_complete_interval_is_as_in_sqlmesh(make: Make) -> None:
    models = {"mart.total": MONTHLY["mart.total"]}
    ours, native = make("ours", models), make("native", models)
    assert ours.run(FIRST, plan_mode="auto").outcomes["mart.total"] == "waiting"
    native.plan_natively(FIRST)
    assert ours.database.contents(models) == native.database.contents(models)
    assert intervals_by_model(ours) == intervals_by_model(native) == {}


def test_a_new_version_goes_on_over_an_upstream_that_waits_for_more(make: Make) -> None:
    """A plan is not given up because an unchanged upstream, which has data, waits."""
    weekly = {
        "mart.week": (
            f"{BY_TIME},\ncron '@weekly'\n---\n"
            "SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds"
        ),
        "mart.days": (
            f"{BY_TIME}\n---\nSELECT id, ds FROM mart.week WHERE ds BETWEEN @start_ds AND @end_ds"
        ),
        "mart.shown": "kind FULL\n---\nSELECT COUNT(*)::INT AS n FROM mart.days",
    }
    project = make("ours", weekly)
    assert project.run(utc("2024-03-13 10:30"), plan_mode="auto").outcomes["mart.days"] == (
        "backfilled"
    )
    project.model("mart.shown", "kind FULL\n---\nSELECT COUNT(*)::INT + 1 AS n FROM mart.days")
    run = project.run(utc("2024-03-14 10:30"), plan_mode="auto")
    assert run.outcome("mart.days") is Outcome.WAITING
    assert run.outcome("mart.shown") is Outcome.BACKFILLED
    assert run.outcome("p:promotion of prod") is Outcome.PROMOTED
