"""Audits of one model on PostgreSQL: side by side, and only blocking ones hold anything back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterEventType as Kind

from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

pytestmark = pytest.mark.postgres

FIRST, NOW = utc("2024-03-05 10:30"), "2024-03-05T11:30:00+00:00"
SECONDS = 0.8
NOTED = f"""
    CREATE FUNCTION src.noted(who TEXT) RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
    DECLARE began TIMESTAMP := clock_timestamp();
    BEGIN
        PERFORM pg_sleep({SECONDS});
        INSERT INTO src.times VALUES (who, began, clock_timestamp());
        RETURN FALSE;
    END $$
"""
SIX = [f"slow_{i}" for i in range(6)]


def audit(name: str, *, blocking: bool) -> str:
    return (
        f"AUDIT (name {name}, blocking {str(blocking).lower()});\n"
        f"SELECT 1 AS one WHERE src.noted('{name}');\n"
    )


FILES = {
    **{f"audits/{name}.sql": audit(name, blocking=True) for name in SIX},
    "audits/beside.sql": audit("beside", blocking=False),
}
MODELS = {
    "mart.six": f"kind FULL, audits ({', '.join(SIX)})\n---\nSELECT 1 AS one",
    "mart.top": "kind FULL, audits (beside)\n---\nSELECT 1 AS one",
    "mart.below": "kind FULL\n---\nSELECT one FROM mart.top",
    "mart.bad": "kind FULL, audits (number_of_rows(threshold := 5))\n---\nSELECT 1 AS one",
    "mart.held": "kind FULL\n---\nSELECT one FROM mart.bad",
    "mart.held_too": "kind FULL\n---\nSELECT one FROM mart.held JOIN mart.top USING (one)",
    "mart.free": "kind FULL\n---\nSELECT one FROM mart.below",
}


@pytest.fixture
def tasks() -> int:
    return 6


@pytest.fixture
def transform(
    tmp_path: Path, postgres_database: PostgresDatabase, tasks: int
) -> Iterator[Transform]:
    database = Database.in_postgres(postgres_database, concurrent_tasks=tasks)
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.times (who TEXT, began TIMESTAMP, ended TIMESTAMP)",
        NOTED,
    )
    project = Project(tmp_path / "p", database, MODELS, files=FILES)
    project.plan_natively(FIRST, empty_backfill=True)
    transform = Transform(tmp_path, [project])
    transform.prepare()
    yield transform
    transform.close()


def times(transform: Transform) -> dict[str, tuple[float, float]]:
    """When each audit ran last, by the server's clock."""
    rows = transform.projects[0].database.rows(
        "SELECT who, EXTRACT(EPOCH FROM began), EXTRACT(EPOCH FROM ended) FROM src.times"
    )
    return {who: (float(began), float(ended)) for who, began, ended in rows}


def test_six_blocking_audits_of_one_model_overlap(transform: Transform) -> None:
    run = transform.run(["mart.six"], execution_time=NOW)
    assert run.success
    assert run.checks == {f"six:{name}": True for name in SIX}
    found = times(transform)
    assert max(began for began, _ in found.values()) < min(ended for _, ended in found.values())


def test_one_that_does_not_block_delays_nothing(transform: Transform) -> None:
    run = transform.run(["mart.top", "mart.below", "mart.free"], execution_time=NOW)
    assert run.success
    ended = run.ended("mart.free")
    (checked,) = [
        record.storage_id
        for record in run.records
        if (event := record.event_log_entry.dagster_event) is not None
        and event.event_type is Kind.ASSET_CHECK_EVALUATION
    ]
    assert ended < checked


def test_one_that_blocks_and_fails_holds_back_exactly_what_is_below(transform: Transform) -> None:
    run = transform.run(execution_time=NOW)
    assert not run.success
    assert set(run.materialized) == {"six", "top", "below", "bad", "free"}
    assert run.observed == {"held": ["blocked"], "held_too": ["blocked"]}


def test_checks_alone_are_side_by_side_too_and_as_many_as_are_asked_for(
    transform: Transform,
) -> None:
    assert transform.run(["mart.six"], [], execution_time=NOW).success
    transform.projects[0].database.execute("DELETE FROM src.times")
    checks = [f"mart.six:{name}" for name in SIX]
    assert transform.run([], checks, execution_time=NOW, check_concurrency=2).success
    found = sorted(times(transform).values())
    at_once = [sum(b < ended and began < e for b, e in found) for began, ended in found]
    assert max(at_once) <= 3  # two, and the one that has just ended
    whole = max(ended for _, ended in found) - min(began for began, _ in found)
    assert whole > 3 * SECONDS


@pytest.mark.parametrize("tasks", [2])
def test_of_checks_alone_no_more_run_than_the_connection_has_tasks(transform: Transform) -> None:
    assert transform.run(["mart.six"], [], execution_time=NOW).success
    transform.projects[0].database.execute("DELETE FROM src.times")
    run = transform.run([], [f"mart.six:{name}" for name in SIX], execution_time=NOW)
    assert run.success
    assert len(run.checks) == 6
    found = sorted(times(transform).values())
    at_once = [sum(b < ended and began < e for b, e in found) for began, ended in found]
    assert max(at_once) <= 3  # two, and the one that has just ended
    assert max(ended for _, ended in found) - min(began for began, _ in found) > 3 * SECONDS


@pytest.mark.parametrize("tasks", [2])
def test_checks_that_wait_for_a_connection_do_not_run_once_one_has_failed(
    transform: Transform,
) -> None:
    assert transform.run(["mart.six", "mart.bad"], [], execution_time=NOW, retries=0)
    transform.projects[0].database.execute("DELETE FROM src.times")
    checks = ["mart.bad:number_of_rows", *(f"mart.six:{name}" for name in SIX)]
    run = transform.run([], checks, execution_time=NOW, fail_fast=True)
    assert not run.success
    assert run.checks == {"bad:number_of_rows": False}
    assert times(transform) == {}, "what had begun was ended on the server"
