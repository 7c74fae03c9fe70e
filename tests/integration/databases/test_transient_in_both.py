"""Whether an error of the database is tried again is one table, for SQLMesh and for dbt.

Each error is the server's own, by its SQLSTATE.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_transform.planning import Limits
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project, utc

pytestmark = pytest.mark.postgres

FIRST, NEXT_DAY = utc("2024-03-04 10:30"), utc("2024-03-05 10:30")
STATES = {
    "40001": True,  # serialization_failure
    "40P01": True,  # deadlock_detected
    "55P03": True,  # lock_not_available
    "53300": True,  # too_many_connections
    "57P01": True,  # admin_shutdown
    "57P02": True,  # crash_shutdown
    "08006": True,  # connection_failure
    "57014": False,  # query_canceled
    "53100": False,  # disk_full
    "42501": False,  # insufficient_privilege
    "42P01": False,  # undefined_table
    "22012": False,  # division_by_zero
    "P0001": False,  # raise_exception
}
# A sequence is not rolled back: the second attempt of a model finds that it is the second.
FAILS_ONCE = """
CREATE SEQUENCE attempts;
CREATE FUNCTION fails_once(state TEXT) RETURNS INT LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF nextval('attempts') = 1 THEN RAISE EXCEPTION 'once' USING ERRCODE = state; END IF;
  RETURN 1;
END $$;
"""


def by_dbt(folder: Path, database: Database, state: str) -> str:
    text = "{{ config(materialized='table') }} SELECT public.fails_once('" + state + "') AS n"
    project = DbtProject(folder, database, {"models/a.sql": text}, schema="public")
    run = DbtRun(project, limits={"retries": 1})
    return run.go().outcomes["a"]


def model(state: str) -> str:
    return (
        "kind INCREMENTAL_BY_TIME_RANGE (time_column day)\n---\n"
        f"SELECT @start_date AS day, public.fails_once('{state}')::INT AS n"
    )


def by_sqlmesh_in_a_plan(folder: Path, database: Database, state: str) -> str:
    project = Project(folder, database, {"mart.a": model(state)})
    limits = Limits(retries=1, retry_delay=0.05)
    run = project.run(FIRST, plan_mode="auto", limits=limits)
    return "built" if run.outcomes["mart.a"] == "backfilled" else run.outcomes["mart.a"]


def by_sqlmesh_in_a_run(folder: Path, database: Database, state: str) -> str:
    database.execute("SELECT nextval('attempts')")
    project = Project(folder, database, {"mart.a": model(state)})
    project.plan_natively(FIRST)
    database.execute("SELECT setval('attempts', 1, false)")
    run = project.run(NEXT_DAY, limits=Limits(retries=1, retry_delay=0.05))
    return run.outcomes["mart.a"]


WAYS = [by_dbt, by_sqlmesh_in_a_plan, by_sqlmesh_in_a_run]


def cases() -> list[object]:
    quick = ("40P01", "57014")
    return [
        pytest.param(way, s, id=f"{way.__name__}-{s}", marks=() if s in quick else pytest.mark.long)
        for way in WAYS
        for s in STATES
    ]


@pytest.mark.parametrize(("way", "state"), cases())
def test_what_may_be_tried_again_is(
    way: Callable[[Path, Database, str], str],
    state: str,
    tmp_path: Path,
    postgres_database: PostgresDatabase,
) -> None:
    database = Database.in_postgres(postgres_database)
    database.execute(FAILS_ONCE)
    assert way(tmp_path / "project", database, state) == ("built" if STATES[state] else "failed")
