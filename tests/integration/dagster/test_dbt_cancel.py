"""A run of dbt models that is terminated from Dagster: CANCELED, no query, no process is left.

The run is a process of its own, begun by the default launcher on a code server, and terminated
through the launcher, as the UI's button does it; dbt's process is that process's child.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import psutil
import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import queries, sessions
from tests.support.dbt_transforms import OfDbt
from tests.support.postgres import PostgresDatabase
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database
from tests.support.transforms import python_asset
from tests.support.waiting import until

TABLE = "{{ config(materialized='table') }}\n"
SLEEP = TABLE + "select 1 as n, pg_sleep(60)::text as slept"
MODELS = {
    "models/a_first.sql": TABLE + "select 1 as n",
    "models/slow_1.sql": SLEEP,
    "models/slow_2.sql": SLEEP,
    "models/waits.sql": TABLE + "select 1 as n",
    "models/z_after.sql": TABLE + "select n from {{ ref('slow_1') }}",
}
LIMIT = 5.0
"""Seconds from the termination to a server without a query."""


@pytest.mark.postgres
@pytest.mark.crash
def test_two_sleeping_models_end_on_the_server(
    postgres_database: PostgresDatabase, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    database = Database.in_postgres(postgres_database)
    project = DbtProject(tmp_path / "d", database, MODELS, schema="mart")
    transform = OfDbt(tmp_path, project, code=python_asset("on_first", ["a_first"]))
    transform.prepare()
    with transform.launched(max_concurrent_models=2) as run_id:
        story = transform.story(run_id)
        until(lambda: len(queries(postgres_database)) == 2, "both models to sleep", 60)
        until(lambda: "a_first" in transform.story(run_id).materialized, "a_first to be told")
        slow = {"slow_1", "slow_2"}
        until(lambda: slow <= set(transform.story(run_id).started), "their starts to be told")
        before = transform.story(run_id)
        assert before.pid is not None
        worker = psutil.Process(before.pid)
        family = [worker.pid, *(child.pid for child in worker.children(recursive=True))]
        assert len(family) > 1, "dbt is a process of its own"

        asked = time.monotonic()
        assert transform.instance.run_launcher.terminate(run_id)
        until(lambda: not queries(postgres_database), "the queries to end", 15)
        ended = time.monotonic()
        canceled = dg.DagsterRunStatus.CANCELED
        until(lambda: transform.story(run_id).status is canceled, "the run to be canceled", 15)
        told = time.monotonic()
        until(lambda: not any(map(alive, family)), "the processes to end", 15)
        gone = time.monotonic()
    record_property("seconds from terminate to no query", round(ended - asked, 2))
    record_property("seconds from terminate to CANCELED", round(told - asked, 2))
    record_property("seconds from terminate to no process", round(gone - asked, 2))
    print(f"{ended - asked:.2f} {told - asked:.2f} {gone - asked:.2f}")
    assert ended - asked < LIMIT
    assert not queries(postgres_database), "none began again"
    assert not sessions(postgres_database)
    story = transform.story(run_id)
    assert set(story.started) == {"a_first", "slow_1", "slow_2"}
    assert story.started == before.started, "nothing starts any more"
    assert story.materialized == ["a_first"]
    assert story.observed == {
        name: ["cancelled"] for name in ("slow_1", "slow_2", "waits", "z_after")
    }
    assert database.tables("mart") == {"mart.a_first"}
    transform.close()
