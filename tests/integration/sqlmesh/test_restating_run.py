"""Restatement: what is built anew, what is refused, included or left, and what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dagster_transform.planning import Limits, Outcome, plan_run
from dagster_transform.sqlmesh import Restatement
from dagster_transform.sqlmesh.errors import RestatementRefusedError
from tests.support.restatements import (
    DAY,
    DOWNSTREAM,
    FILES,
    FIRST,
    MODELS,
    THEN,
    THREE_DAYS,
    TOMORROW,
    restate,
)
from tests.support.sqlmesh_projects import Database, Project, RunResult, utc

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase


def prepare(database: Database) -> None:
    """Two rows of version 1 for each of 30 days."""
    rows = ", ".join(f"({i}, 1, DATE '2024-03-{1 + i // 2:02}')" for i in range(60))
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, version INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
    )


def correct(database: Database) -> None:
    """The source is corrected, for all days."""
    database.execute("UPDATE src.raw SET version = 2")


Make = Callable[[str], Project]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes twins in DuckDB: planned at FIRST, the source corrected since."""

    def make(name: str) -> Project:
        folder = tmp_path / name
        folder.mkdir()
        database = Database.in_file(folder / "w.duckdb")
        return planned(Project(folder / "p", database, MODELS, files=FILES))

    return make


def planned(project: Project) -> Project:
    prepare(project.database)
    project.plan_natively(FIRST)
    correct(project.database)
    return project


def new_days(project: Project, model: str = "stage.raw") -> list[int]:
    rows = project.database.rows(f"SELECT DISTINCT ds FROM {model} WHERE version = 2 ORDER BY ds")
    return [row[0].day for row in rows]


def recorded(project: Project, model: str) -> int:
    """Days of a model that the state has."""
    (found,) = [
        sum(end - start for start, end in intervals) // DAY
        for (name, *_), intervals in project.database.intervals().items()
        if name.replace('"', "").endswith(model)
    ]
    return found


def evaluated(run: RunResult, model: str) -> str:
    return str(run.report(model).details["intervals"])


def test_three_days_of_thirty_are_built_anew_and_nothing_else(make: Make) -> None:
    ours = make("ours")
    run = ours.run(THEN, ["stage.raw"], restate=restate("leave"))
    assert run.outcome("stage.raw") is Outcome.BUILT
    assert evaluated(run, "stage.raw") == "2024-03-10 to 2024-03-12"
    assert run.report("stage.raw").details["batches"] == 3
    assert new_days(ours) == [10, 11, 12]
    assert recorded(ours, "stage.raw") == 30
    # What is left downstream is named, all of it, and unchanged.
    stale = {name for name, outcome in run.outcomes.items() if outcome == "stale"}
    assert stale == DOWNSTREAM
    assert "from 2024-03-10 to 2024-03-12" in run.reason("mart.total")
    assert ours.database.content("mart.total") == [(60,)]


def test_downstream_is_refused_before_anything_is_built(make: Make) -> None:
    ours = make("ours")
    before = (ours.database.contents(MODELS), ours.database.intervals())
    with pytest.raises(RestatementRefusedError) as raised:
        ours.run(THEN, ["stage.raw", "mart.days"], restate=restate())
    for name in DOWNSTREAM - {"mart.days"}:
        assert f"w/{name.replace('.', '/')}" in str(raised.value)
    assert "mart/days" not in str(raised.value)
    assert "mart/fixed" not in str(raised.value)
    assert "include" in str(raised.value.remedy)
    assert (ours.database.contents(MODELS), ours.database.intervals()) == before


def test_the_whole_selection_needs_no_word_on_downstream(make: Make) -> None:
    ours = make("ours")
    run = ours.run(THEN, restate=restate())
    assert {n for n, outcome in run.outcomes.items() if outcome == "built"} >= DOWNSTREAM
    assert run.outcome("mart.fixed") is Outcome.UP_TO_DATE
    assert "disable_restatement" in run.reason("mart.fixed")
    assert run.outcome("ref.codes") is Outcome.UP_TO_DATE
    assert "seed" in run.reason("ref.codes")


def compare_with_sqlmesh(theirs: Project, empty: Callable[[], None], ours: Project) -> RunResult:
    """SQLMesh's own restatement plan and ours: equal tables, equal intervals, also a week on."""

    def sides(project: Project) -> tuple[object, ...]:
        return project.database.contents(MODELS), project.database.intervals()

    planned(theirs)
    theirs.plan_natively(THEN, restate_models=["stage.raw"], start=THREE_DAYS[0], end=THREE_DAYS[1])
    expected = [sides(theirs)]
    theirs.run_natively(TOMORROW)
    expected.append(sides(theirs))
    empty()
    planned(ours)
    run = ours.run(THEN, ["stage.raw"], restate=restate("include"))
    assert sides(ours) == expected[0]
    assert new_days(ours) == [10, 11, 12]
    assert {n for n, o in run.outcomes.items() if o == "built"} == DOWNSTREAM | {"stage.raw"}
    ours.run(TOMORROW, ignore_cron=False)
    assert sides(ours) == expected[1]
    return run


def test_with_downstream_it_equals_sqlmeshs_own_restatement(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    database = Database.in_file(file)
    theirs = Project(tmp_path / "theirs", database, MODELS, files=FILES)
    ours = Project(tmp_path / "ours", database, MODELS, files=FILES)
    run = compare_with_sqlmesh(theirs, file.unlink, ours)
    # A model that reads itself is built anew to its end, as SQLMesh does it.
    assert evaluated(run, "mart.running") == "2024-03-10 to 2024-03-30"


@pytest.mark.postgres
@pytest.mark.long
def test_with_downstream_it_equals_sqlmeshs_own_restatement_on_postgres(
    tmp_path: Path, postgres: PostgresDatabase, postgres_database: PostgresDatabase
) -> None:
    name = postgres_database.database

    def empty() -> None:
        postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        postgres.execute(f'CREATE DATABASE "{name}"')

    database = Database.in_postgres(postgres_database)
    theirs = Project(tmp_path / "theirs", database, MODELS, files=FILES)
    ours = Project(tmp_path / "ours", database, MODELS, files=FILES)
    compare_with_sqlmesh(theirs, empty, ours)


def test_other_environments_build_it_anew_too(make: Make) -> None:
    """Where a development environment has a version of its own, as with SQLMesh's own plan."""
    theirs, ours = make("theirs"), make("ours")
    for project in (theirs, ours):
        with_own_version(project)
    theirs.plan_natively(THEN, restate_models=["stage.raw"], start=THREE_DAYS[0], end=THREE_DAYS[1])
    before = ours.database.intervals()
    ours.run(THEN, ["stage.raw"], restate=restate("include"))
    after = ours.database.intervals()
    lost = {key for key, intervals in before.items() if after.get(key) != intervals}
    assert {key[0].replace('"', "") for key in lost} >= {"w.stage.raw", "w.mart.days"}
    assert ours.database.intervals() == theirs.database.intervals()


def test_other_environments_hear_of_it_before_anything_is_built(make: Make) -> None:
    """So that it is not lost with a run that is killed."""
    ours = make("ours")
    with_own_version(ours)
    before = ours.database.intervals()
    nodes = [ours.id("stage.raw")]
    project_run = ours.project_run(THEN, restate=restate("leave"))
    plan = plan_run(ours.graph, nodes, [], project_run.assess(nodes, []))
    project_run.open(list(plan.units.values()))
    project_run.close(completed=False)
    after = ours.database.intervals()
    lost = [key for key, intervals in before.items() if after.get(key) != intervals]
    raw = [key for key in lost if key[0] == '"w"."stage"."raw"']
    assert len(raw) == 2  # production's, and the other environment's


def with_own_version(project: Project) -> None:
    """A development environment that has a version of its own of everything."""
    project.model("stage.raw", MODELS["stage.raw"].replace("SELECT id", "SELECT id + 0 AS id"))
    project.plan_natively(FIRST, "dev", include_unmodified=True, start="2024-03-01")
    project.model("stage.raw", MODELS["stage.raw"])


def test_an_upstream_gap_is_not_built_over(make: Make) -> None:
    """Restating a child over days that its parent lacks leaves those days out, visibly."""
    ours = make("ours")
    with ours.native() as context:
        (raw,) = [s for s in context.snapshots.values() if s.name.endswith('"raw"')]
        gap = (int(utc("2024-03-11").timestamp() * 1000), int(utc("2024-03-12").timestamp() * 1000))
        context.state_sync.remove_intervals([(raw, gap)], remove_shared_versions=True)
    run = ours.run(THEN, ["mart.days"], restate=restate())
    assert evaluated(run, "mart.days") == "2024-03-10; 2024-03-12"
    assert recorded(ours, "mart.days") == 29
    ours.run(TOMORROW, ignore_cron=False)
    assert recorded(ours, "mart.days") == recorded(ours, "stage.raw") == 31


def test_what_can_not_be_restated_says_why(make: Make) -> None:
    ours = make("ours")
    with pytest.raises(RestatementRefusedError, match="from yesterdayish to 2024"):
        ours.run(THEN, restate=Restatement("yesterdayish", "2024-03-12"))
    with pytest.raises(RestatementRefusedError):
        ours.run(THEN, restate=Restatement("2024-03-12", "2024-03-10"))
    run = ours.run(THEN, restate=Restatement("2023-01-01", "2023-01-03"))
    assert run.outcome("mart.days") is Outcome.UP_TO_DATE
    assert "no interval between" in run.reason("mart.days")


KILLED = """
import os, signal, sys
from pathlib import Path
from dagster_transform.sqlmesh._compat import import_sqlmesh
import_sqlmesh()
from sqlmesh.core.snapshot import SnapshotEvaluator
from tests.support.sqlmesh_projects import Database, Project
from tests.support.restatements import FILES, MODELS, THEN, restate

evaluate = SnapshotEvaluator.evaluate
seen = []

def dying(self, snapshot, start, end, **kwargs):
    if "raw" in snapshot.name:
        seen.append(start)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(self, snapshot, start=start, end=end, **kwargs)

SnapshotEvaluator.evaluate = dying
folder = Path(sys.argv[1])
project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS, files=FILES)
project.run(THEN, ["stage.raw"], restate=restate("include"))
"""


def test_a_kill_in_the_middle_leaves_gaps_that_the_next_run_fills(
    make: Make, tmp_path: Path
) -> None:
    ours = make("ours")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "ours")],
        capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert new_days(ours) == [10]
    assert recorded(ours, "stage.raw") == 28  # two of thirty days lack, and everybody sees it
    assert recorded(ours, "mart.days") == 27
    run = ours.run(THEN + timedelta(minutes=5), ignore_cron=False)
    assert run.outcome("stage.raw") is Outcome.BUILT
    assert evaluated(run, "stage.raw") == "2024-03-11 to 2024-03-12"
    assert new_days(ours) == new_days(ours, "mart.days") == [10, 11, 12]
    assert {recorded(ours, n) for n in ("stage.raw", "mart.days", "mart.running")} == {30}
    # Equal to a restatement that nobody killed.
    twin = make("twin")
    twin.run(THEN, ["stage.raw"], restate=restate("include"))
    plain = [n for n in MODELS if n != "mart.history"]  # its valid_from is the time of the run
    assert ours.database.contents(plain) == twin.database.contents(plain)
    assert ours.database.intervals() == twin.database.intervals()


def test_a_failure_leaves_its_gap_and_tells_it(make: Make) -> None:
    ours = make("ours")
    ours.database.execute("UPDATE src.raw SET id = NULL WHERE ds = DATE '2024-03-11'")
    run = ours.run(
        THEN, ["stage.raw"], ["stage.raw:not_null"], restate=restate("include"),
        limits=Limits(max_concurrent_models=1),
    )  # fmt: skip
    assert not run.checks["stage.raw:not_null"].passed
    assert run.outcome("mart.days") is Outcome.BLOCKED
    assert recorded(ours, "stage.raw") == 29  # the other days do not wait for it
