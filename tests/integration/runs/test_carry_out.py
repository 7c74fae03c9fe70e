"""A run with real SQLMesh and dbt, on one DuckDB file, and without Dagster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_transform.planning import Outcome
from dagster_transform.runs.events import CheckEvaluated, NodeBuilt, NodeObserved
from tests.support.dbt_projects import DbtProject
from tests.support.run_without_dagster import run_all
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

FIRST = utc("2024-03-05 10:30")
DBT = {
    "models/items.sql": "{{ config(materialized='table') }} select 1 as id union all select 2",
    "models/broken.sql": """
        {{ config(materialized='table') }}
        select case when (select count(*) from {{ ref('items') }}) = 2 then error('broken') end n
    """,
    "models/after_broken.sql": """
        {{ config(materialized='table') }} select * from {{ ref('broken') }}
    """,
    "models/late.sql": """
        {{ config(materialized='table') }} select n from {{ source('marts', 'counted') }}
    """,
    "models/schema.yml": """
        sources: [{name: marts, schema: marts, tables: [{name: counted}]}]
        models:
          - name: items
            columns: [{name: id, data_tests: [unique]}]
    """,
}
SQLMESH = {
    "marts.counted": """
        kind FULL, audits (number_of_rows(threshold := 0))
        ---
        SELECT COUNT(*) AS n FROM w.main.items
    """,
}


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    database = Database.in_file(tmp_path / "w.duckdb")
    DbtProject(tmp_path / "d", database, DBT)
    project = Project(tmp_path / "p", database, SQLMESH)
    dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
    found = Transform(tmp_path, [project], further={"d": dbt}, plan="auto")
    found.prepare()
    yield found
    found.close()


def test_both_frameworks_in_one_walk_and_a_process_that_has_never_seen_dagster(
    transform: Transform,
) -> None:
    program = [sys.executable, "-m", "tests.support.run_without_dagster"]
    done = subprocess.run(
        [*program, str(transform.folder), FIRST.isoformat()],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["dagster"] is False
    assert said["failed"] is True
    assert sorted(map(tuple, said["rows"])) == [("after_broken", "blocked"), ("broken", "failed")]
    assert said["held"] == 0, "claims were not released"
    # The SQLMesh model reads a dbt table, and a dbt model reads its view: both were built.
    assert transform.projects[0].database.rows("SELECT n FROM main.late") == [(2,)]


def test_the_events_say_what_became_of_every_node_and_check(transform: Transform) -> None:
    done = run_all(transform.folder, FIRST)
    built = [event.node for event in done.events if isinstance(event, NodeBuilt)]
    counted = '"w"."marts"."counted"'
    assert built == ["d:model.shop.items", f"p:{counted}", "d:model.shop.late"]
    seen = {(event.node, event.outcome) for event in done.events if isinstance(event, NodeObserved)}
    assert seen == {
        ("d:model.shop.broken", Outcome.FAILED),
        ("d:model.shop.after_broken", Outcome.BLOCKED),
        (f"p:{counted}", Outcome.BACKFILLED),
    }
    checks = {
        event.result.check: event.result.passed
        for event in done.events
        if isinstance(event, CheckEvaluated)
    }
    assert set(checks.values()) == {True}
    assert len(checks) == 2
    assert any(line.startswith("Run plan: 5 nodes to build") for line in done.log)
    assert done.stored == []


def test_what_an_interrupted_run_has_built_is_stored_and_everything_is_released(
    transform: Transform,
) -> None:
    done = run_all(transform.folder, FIRST, stop_after=1)
    assert done.summary is None
    told = {e.node for e in (*done.events, *done.stored) if isinstance(e, NodeBuilt | NodeObserved)}
    assert told == {
        "d:model.shop.items", "d:model.shop.broken", "d:model.shop.after_broken",
        "d:model.shop.late", 'p:"w"."marts"."counted"',
    }  # fmt: skip
    assert done.store.holders() == []
    transform.projects[0].database.rows("SELECT 1")  # nobody has the file open any more
