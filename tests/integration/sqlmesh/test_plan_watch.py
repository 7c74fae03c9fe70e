"""A plan that a shell applies while a run goes on: nothing half-done, nothing lost.

On PostgreSQL, where a shell can do that; a DuckDB file has one process at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from dagster_transform.planning import Limits, Outcome
from dagster_transform.sqlmesh._compat import import_sqlmesh
from tests.support.sqlmesh_projects import Database, Project, RunResult, utc

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

pytestmark = pytest.mark.postgres

FIRST = utc("2024-03-05 10:30")
NEXT_DAY = utc("2024-03-06 10:30")

MODELS = {
    "stage.raw": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.same": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT ds, COUNT(*) AS n FROM stage.raw WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY ds
    """,
    "mart.changed": "kind FULL\n---\nSELECT COUNT(*) AS n FROM stage.raw",
    "mart.below": "kind FULL\n---\nSELECT n FROM mart.changed",
    "mart.removed": "kind FULL\n---\nSELECT MAX(id) AS id FROM stage.raw",
    "mart.described": "kind FULL\n---\nSELECT MIN(id) AS id FROM stage.raw",
}


@pytest.fixture
def project(tmp_path: Path, postgres_database: PostgresDatabase) -> Project:
    database = Database.in_postgres(postgres_database)
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
    )
    project = Project(tmp_path, database, MODELS)
    project.plan_natively(FIRST)
    return project


def change_files(project: Project) -> None:
    """One model gets another query, one goes, one gets a description (which is metadata only)."""
    project.model("mart.changed", "kind FULL\n---\nSELECT COUNT(*) + 1000 AS n FROM stage.raw")
    (project.folder / "models" / "mart.removed.sql").unlink()
    project.model("mart.described", "description 'new',\n" + MODELS["mart.described"])


RunWith = Callable[..., RunResult]


@pytest.fixture
def run_with(project: Project, monkeypatch: pytest.MonkeyPatch) -> RunWith:
    """A run of everything, one node at a time; something happens while one is in flight."""
    import_sqlmesh()
    from sqlmesh.core.snapshot import SnapshotEvaluator

    evaluate = SnapshotEvaluator.evaluate

    def run_with(
        happens: Callable[[], None],
        at: str = "stage.raw",
        in_flight: Outcome = Outcome.BUILT,
        **settings: Any,
    ) -> RunResult:
        todo = [happens]

        def evaluating(self: Any, snapshot: Any, **kwargs: Any) -> Any:
            if todo and snapshot.model.name == at:
                todo.pop()()
            return evaluate(self, snapshot, **kwargs)

        monkeypatch.setattr(SnapshotEvaluator, "evaluate", evaluating)
        limits = Limits(max_concurrent_models=1, retry_delay=0.05)
        run = project.run(NEXT_DAY, ignore_cron=False, limits=limits, **settings)
        assert not todo
        assert run.outcome(at) is in_flight, run.reason(at)
        return run

    return run_with


def test_unchanged_nodes_go_on_and_changed_ones_wait(project: Project, run_with: RunWith) -> None:
    graph = project.graph  # of the files before the change, as the code location has it

    def shell() -> None:
        change_files(project)
        project._graph = graph
        project.plan_natively(FIRST)

    run = run_with(shell)
    plan_id = str(project.environment().plan_id)  # type: ignore[union-attr]
    assert run.outcomes == {
        "stage.raw": "built",
        "mart.same": "built",
        "mart.described": "built",
        "mart.changed": "waiting",
        "mart.below": "waiting",
        "mart.removed": "waiting",
    }
    assert plan_id in run.reason("mart.changed")
    assert "has another version" in run.reason("mart.changed")
    assert "is not in it any more" in run.reason("mart.removed")
    assert plan_id in run.reason("mart.below")
    # What went on was recorded for what readers see now.
    database = project.database
    assert database.content("mart.described") == [(0,)]
    assert sum(row[1] for row in database.content("mart.same")) == 15
    # The shell's version is as the shell built it, and the next run brings it up to date.
    assert database.content("mart.changed") == [(1012,)]
    project.forget_graph()
    after = project.run(NEXT_DAY, ignore_cron=False)
    assert after.outcome("mart.changed") is after.outcome("mart.below") is Outcome.BUILT
    assert database.content("mart.below") == [(1015,)]
    assert after.outcome("mart.same") is Outcome.UP_TO_DATE
    assert after.outcome("mart.described") is Outcome.UP_TO_DATE


def test_a_retry_looks_at_the_new_plan_too(project: Project, run_with: RunWith) -> None:
    """A node that was in flight when the plan came, and that is tried again after it."""
    lost = psycopg2.OperationalError("server closed the connection unexpectedly")
    graph = project.graph

    def shell() -> None:
        project.model("stage.raw", MODELS["stage.raw"].replace("SELECT id", "SELECT id + 1 AS id"))
        project._graph = graph
        project.plan_natively(FIRST)
        raise lost

    run = run_with(shell, in_flight=Outcome.WAITING)
    assert "has another version" in run.reason("stage.raw")
    assert {o for n, o in run.outcomes.items() if n != "stage.raw"} == {"waiting"}


def test_a_retry_goes_on_with_the_new_snapshot(project: Project, run_with: RunWith) -> None:
    """Its parent has a new snapshot of the same version, which the old one does not know."""
    lost = psycopg2.OperationalError("server closed the connection unexpectedly")
    graph = project.graph

    def shell() -> None:
        for name in ("stage.raw", "mart.same"):
            project.model(name, MODELS[name].replace("kind", "description 'new',\n        kind"))
        project._graph = graph
        project.plan_natively(FIRST)
        raise lost

    run = run_with(shell, at="mart.same")
    assert set(run.outcomes.values()) == {"built"}
    assert sum(row[1] for row in project.database.content("mart.same")) == 15
    # What it built was recorded for the snapshot that readers have now.
    environment = project.environment()
    assert environment is not None
    (now,) = [s.identifier for s in environment.snapshots if s.name.endswith('"same"')]
    ((recorded,),) = project.database.rows(
        "SELECT identifier FROM sqlmesh._intervals WHERE name LIKE '%same%' "
        "ORDER BY created_ts DESC LIMIT 1"
    )
    assert recorded == now


def test_a_plan_that_is_being_applied_is_waited_for(project: Project, run_with: RunWith) -> None:
    """Its record is there and not finalized: SQLMesh's views may lead anywhere meanwhile."""
    database = project.database
    ((finalized,),) = database.rows("SELECT finalized_ts FROM sqlmesh._environments")

    def begin() -> None:
        database.execute(
            "UPDATE sqlmesh._environments SET finalized_ts = NULL, plan_id = 'of-the-shell'"
        )

    def end() -> None:
        database.execute(f"UPDATE sqlmesh._environments SET finalized_ts = {finalized}")

    timer = threading.Timer(1.5, end)

    def shell() -> None:
        begin()
        timer.start()

    run = run_with(shell)
    timer.join()
    assert set(run.outcomes.values()) == {"built"}


def test_a_plan_that_does_not_end_is_not_waited_for_without_end(
    project: Project, run_with: RunWith
) -> None:
    def begin() -> None:
        project.database.execute(
            "UPDATE sqlmesh._environments SET finalized_ts = NULL, plan_id = 'of-the-shell'"
        )

    run = run_with(begin, plan_timeout=0.5)
    waiting = {name for name, outcome in run.outcomes.items() if outcome == "waiting"}
    assert waiting == MODELS.keys() - {"stage.raw"}
    assert run.reason("mart.same") == "plan of-the-shell of environment prod is being applied"


def test_what_somebody_else_has_built_meanwhile_is_not_built_again(
    project: Project, run_with: RunWith
) -> None:
    """A shell plans and runs while our first node is in flight."""
    graph = project.graph

    def shell() -> None:
        change_files(project)
        project._graph = graph
        project.plan_natively(FIRST)
        project.run_natively(NEXT_DAY)

    run = run_with(shell)
    assert run.outcome("mart.same") is Outcome.UP_TO_DATE
    assert "meanwhile" in run.reason("mart.same")
    assert sum(row[1] for row in project.database.content("mart.same")) == 15


def test_an_environment_that_is_gone_builds_nothing(project: Project, run_with: RunWith) -> None:
    def shell() -> None:
        project.database.execute("DELETE FROM sqlmesh._environments")

    run = run_with(shell)
    assert run.reason("mart.same") == "environment prod is not there any more"
    assert run.outcome("mart.removed") is Outcome.WAITING
