"""A run that is terminated from Dagster ends at once, says what it did, and leaves nothing behind.

The run is a process of its own, begun by the default launcher on a code server, and terminated
through the launcher, as the UI's button does it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from tests.support.dagster_runs import status
from tests.support.postgres import PostgresDatabase
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import Story
from tests.support.transforms import Transform, python_asset
from tests.support.waiting import until

FIRST = utc("2024-03-05 10:30")
NEXT_DAY = "2024-03-06T10:30:00+00:00"
LIMIT = 2.0
"""Seconds from the end of the statement to CANCELED."""


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text(encoding="ascii").split()]


def cancel(
    transform: Transform,
    runs: Callable[[Story], object],
    statement_ended: Callable[[], object],
    record: Callable[[str, object], None],
    **options: object,
) -> Story:
    """Launch a run of everything, terminate it once `runs` is true of it, and see it end."""
    with transform.launched(execution_time=NEXT_DAY, ignore_cron=False, **options) as run_id:
        until(lambda: runs(transform.story(run_id)), "the statement to run", 60)
        before = transform.story(run_id)
        pid = before.pid
        assert pid is not None
        family = [pid, *children(pid)]
        asked = time.monotonic()
        assert transform.instance.run_launcher.terminate(run_id)
        canceled = dg.DagsterRunStatus.CANCELED
        until(statement_ended, "the statement to end", 15)
        ended = time.monotonic()
        until(lambda: status(transform, run_id) is canceled, "the run to be canceled", 15)
        told = time.monotonic()
        until(lambda: not any(map(alive, family)), "the processes to end", 15)
        gone = time.monotonic()
        record("seconds from terminate to the statement's end", round(ended - asked, 2))
        record("seconds from there to CANCELED", round(told - ended, 2))
        record("seconds from there to no process", round(gone - told, 2))
        print(f"{ended - asked:.2f} {told - ended:.2f} {gone - told:.2f}")
        assert told - ended < LIMIT
    after = transform.story(run_id)
    assert after.status is canceled
    assert after.started == before.started  # nothing starts any more
    return after


MODELS = {
    "mart.a_first": "kind FULL\n---\nSELECT COUNT(*) AS n FROM src.control",
    "mart.slow_1": "kind FULL,\naudits (number_of_rows(threshold := 0))\n---\n{query}",
    "mart.slow_2": "kind FULL\n---\n{query}",
    "mart.waits": "kind FULL\n---\nSELECT COUNT(*) AS n FROM src.control",
    "mart.z_after": "kind FULL\n---\nSELECT COUNT(*) AS n FROM mart.slow_1",
}
SLEEP = "SELECT seconds, PG_SLEEP(seconds)::TEXT AS z FROM src.control"
MULTIPLY = (
    "SELECT COUNT(*) AS n FROM src.control AS a, src.control AS b, src.control AS c "
    "WHERE HASH(a.seconds, b.seconds, c.seconds) % 7 = 3"
)


def models(query: str) -> dict[str, str]:
    return {name: text.replace("{query}", query) for name, text in MODELS.items()}


@pytest.mark.postgres
@pytest.mark.crash
def test_two_sleeping_statements_end_on_the_server(
    postgres_database: PostgresDatabase, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    database = Database.in_postgres(postgres_database, concurrent_tasks=4)
    database.execute("CREATE SCHEMA src", "CREATE TABLE src.control AS SELECT 0 AS seconds")
    project = Project(tmp_path / "p", database, models(SLEEP))
    project.plan_natively(FIRST)
    database.execute("UPDATE src.control SET seconds = 60")
    reader = python_asset("on_first", [database.catalog, "mart", "a_first"])
    transform = Transform(tmp_path, [project], code=reader)
    transform.prepare()

    def backends(where: str) -> int:
        ((count,),) = database.rows(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() "
            f"AND pid <> PG_BACKEND_PID() AND {where}"
        )
        return int(count)

    sleeping = "state = 'active' AND query ILIKE '%pg_sleep%'"
    run = cancel(
        transform,
        lambda story: (
            backends(sleeping) == 2 and len(story.started) == 3 and "a_first" in story.materialized
        ),
        lambda: backends(sleeping) == 0,
        record_property,
        max_concurrent_models=2,
    )
    assert backends("TRUE") == 0
    assert run.materialized == ["a_first"]
    assert set(run.started) == {"mart.a_first", "mart.slow_1", "mart.slow_2"}
    cancelled = {"slow_1", "slow_2", "waits", "z_after"}
    assert run.observed == {name: ["cancelled"] for name in cancelled}
    assert run.checks == {}
    assert "cancelled" in run.reason("slow_1")
    transform.close()


@pytest.fixture
def in_a_file(tmp_path: Path) -> Iterator[Transform]:
    database = Database.in_file(tmp_path / "w.duckdb")
    database.execute("CREATE SCHEMA src", "CREATE TABLE src.control AS SELECT 0 AS seconds")
    project = Project(tmp_path / "p", database, models(MULTIPLY))
    reader = python_asset("on_first", ["w", "mart", "a_first"])
    transform = Transform(tmp_path, [project], code=reader)
    transform.prepare()
    yield transform
    transform.close()


MANY = "INSERT INTO src.control SELECT i FROM RANGE(20000) AS r(i)"


def readable(database: Database) -> bool:
    """No process holds the file."""
    try:
        return bool(database.rows("SELECT 1"))
    except duckdb.IOException:
        return False


@pytest.mark.crash
@pytest.mark.parametrize("plan", ["never", "auto"])
def test_a_query_in_a_duckdb_file_ends_and_lets_the_file_go(
    in_a_file: Transform, plan: str, record_property: Callable[..., None]
) -> None:
    project = in_a_file.projects[0]
    database = project.database
    if plan == "never":
        project.plan_natively(FIRST)
    database.execute(MANY)
    told = "materialized" if plan == "never" else "observed"
    run = cancel(
        in_a_file,
        lambda story: (
            "a_first" in getattr(story, told)
            and "mart.slow_1" in story.started
            and time.sleep(1) is None
        ),
        # The file is held until the run has let go of everything, its last statement included.
        lambda: readable(database),
        record_property,
        plan=plan,
    )
    expected = {name: ["cancelled"] for name in ("slow_1", "slow_2", "waits", "z_after")}
    if plan == "never":
        assert run.materialized == ["a_first"]
    else:  # nothing is shown, and what was built is not lost
        assert run.materialized == []
        assert project.environment() is None
        expected["a_first"] = ["backfilled"]
    assert run.observed == expected
    database.execute("DELETE FROM src.control")
    database.execute("INSERT INTO src.control VALUES (0)")
    again = in_a_file.run(execution_time=NEXT_DAY, plan=plan)
    assert again.success
    assert {"mart.slow_1", "mart.slow_2", "mart.waits", "mart.z_after"} <= set(again.started)
