"""A run that is stopped while what it builds has no connection yet: nobody can end its backend,
because there is none. Once it goes on, and connects, it must not build beside the run that has it
now."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.held_up_server import HeldUpServer, held_up_server
from tests.support.overlapping_runs import (
    FIRST,
    NEXT,
    at_the_gate,
    closed,
    ended,
    held,
    prepare,
)
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform
from tests.support.waiting import until

SHORT = {"claims_lease": 4.0, "claims_heartbeat": 1.0}
APPENDED = """
    {{ config(materialized='incremental', incremental_strategy='append') }}
    select id from src.events
"""
HOOKS = {"on-run-start": ["select gate.open()"]}


def stopped_and_overtaken(
    transform: Transform, run: str, way: HeldUpServer, **options: object
) -> None:
    """Stop a run whose connection is held up, let another one do the work, let the first go on."""
    until(lambda: way.held, "a node to connect", 60)
    way.hold_no_more()
    pid = transform.story(run).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        second = transform.run(**options)  # type: ignore[arg-type]
        assert second.success, second.text[-3000:]
        way.release()
        sleep(3)  # what nothing keeps from building has built by then
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.postgres
def test_a_dbt_node_that_connects_after_its_claim_was_lost_executes_nothing(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    prepare(database)
    with held_up_server(postgres_database) as way:
        place = {"host": way.host}
        files = {"models/made.sql": APPENDED}
        DbtProject(tmp_path / "d", database, files, project=HOOKS, profile=place)
        further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
        transform = Transform(tmp_path, [], further=further, settings=SHORT)
        transform.prepare()
        try:
            assert transform.run().success
            before = database.content("main.made")
            with closed(database) as let_in, transform.launched(on_claimed="wait") as one:
                until(lambda: at_the_gate(database), "the first run to begin", 60)
                way.hold()
                let_in()
                stopped_and_overtaken(transform, one, way, on_claimed="wait")
                first = ended(transform, one)
            assert first.materialized == []
            assert first.observed == {"made": ["cancelled"]}
            assert "its claim was lost" in first.reason("made")
            # What each of the two runs that built it has appended.
            assert len(database.content("main.made")) == 2 * len(before)
            assert not held(transform)
        finally:
            transform.close()


@pytest.mark.postgres
def test_a_sqlmesh_model_that_connects_after_its_claim_was_lost_executes_nothing(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    prepare(database)
    with held_up_server(postgres_database) as way:
        through = Database.in_postgres(replace(postgres_database, host=way.host))
        model = "kind INCREMENTAL_UNMANAGED, start '2024-03-01'\n---\nSELECT id FROM src.events"
        project = Project(
            tmp_path / "p", through, {"shared.made": model},
            config={"before_all": ["SELECT gate.open()"]},
        )  # fmt: skip
        project.plan_natively(FIRST)
        before = database.content("shared.made")
        transform = Transform(tmp_path, [project], settings=SHORT)
        transform.prepare()
        options = {"execution_time": NEXT.isoformat(), "on_claimed": "wait"}
        try:
            with closed(database) as let_in, transform.launched(**options) as one:
                until(lambda: at_the_gate(database), "the first run to begin", 60)
                way.hold()
                let_in()
                stopped_and_overtaken(transform, one, way, **options)
                first = ended(transform, one)
            assert first.materialized == []
            assert first.observed == {"made": ["cancelled"]}
            assert "its claim was lost" in first.reason("made")
            assert len(database.content("shared.made")) == 2 * len(before)
            assert not held(transform)
        finally:
            transform.close()
