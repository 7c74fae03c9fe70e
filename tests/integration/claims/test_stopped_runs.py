"""Claims of runs that are killed, stopped, or found dead, and of jobs that a plan has left."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from dagster_transform.claims import WHOLE, Owner, OwnerKind, Want, new_claim_id
from dagster_transform.databases.backends import backend_id, new_name
from dagster_transform.sqlmesh import project_shared_resources
from tests.support.dagster_runs import status
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import sessions
from tests.support.overlapping_runs import (
    FIRST,
    NEXT,
    at_the_gate,
    closed,
    ended,
    held,
    prepare,
    store_of,
)
from tests.support.postgres import PostgresDatabase
from tests.support.processes import alive
from tests.support.server_backends import backend, identity_of
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stopped_runs import (
    MADE_BY_DBT,
    NAMES,
    OPTIONS,
    assert_rows_of_one_run,
    meanwhile,
    parent,
    transform_of,
    waiting,
)
from tests.support.transforms import Transform
from tests.support.waiting import until


@pytest.mark.postgres
@pytest.mark.parametrize("found_by", ["lease", "dagster"])
def test_what_a_killed_run_held_goes_to_the_next_run_and_its_statement_ends_first(
    tmp_path: Path, database: Database, found_by: str
) -> None:
    # Long enough for the next run to come before it ends, also where machines are busy.
    short = {"claims_lease": 8.0, "claims_heartbeat": 2.0}
    transform = transform_of(tmp_path, database, **(short if found_by == "lease" else {}))
    try:
        with closed(database) as let_in, transform.launched(NAMES, **OPTIONS) as one:
            until(lambda: at_the_gate(database), "the first run to be at work", 60)
            (left,) = waiting(database, "advisory")
            pid = transform.story(one).pid
            assert pid is not None
            server = parent(pid)
            if found_by == "lease":  # as when the machine that both ran on is gone
                os.kill(server, signal.SIGSTOP)
            os.kill(pid, signal.SIGKILL)
            until(lambda: not alive(pid), "the process to be gone", 10)
            assert waiting(database, "advisory") == {left}  # the database server has not noticed
            if found_by == "dagster":
                failed = lambda: status(transform, one).name == "FAILURE"  # noqa: E731
                until(failed, "the code server to notice", 30)
            seen: list[set[int]] = []

            def watch() -> None:
                until(
                    lambda: waiting(database, "advisory") - {left},
                    "the second run to be at work",
                    60,
                )
                seen.append(waiting(database, "advisory"))
                let_in()

            try:
                with meanwhile(watch):
                    second = transform.run(NAMES, **OPTIONS)
            finally:
                os.kill(server, signal.SIGCONT)
            assert second.success, second.text[-3000:]
            assert second.materialized == ["by_time", "below"]
            assert left not in seen[0]
            waited = any("Waiting for table:" in line for line in second.log)
            freed = f"Run {one} has ended without releasing its claims: done now." in second.log
            assert (waited, freed) == (found_by == "lease", found_by == "dagster"), second.log
        assert_rows_of_one_run(database)
        assert not held(transform)
    finally:
        transform.close()


@pytest.mark.postgres
def test_a_run_that_was_stopped_past_its_lease_is_cut_off_and_records_nothing(
    tmp_path: Path, database: Database
) -> None:
    transform = transform_of(tmp_path, database, claims_lease=4.0, claims_heartbeat=1.0)
    try:
        with closed(database) as let_in, transform.launched(NAMES, **OPTIONS) as one:
            until(lambda: at_the_gate(database), "the first run to be at work", 60)
            (left,) = waiting(database, "advisory")
            pid = transform.story(one).pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                seen: list[set[int]] = []

                def watch() -> None:
                    until(
                        lambda: waiting(database, "advisory") - {left},
                        "the second run to be at work",
                        60,
                    )
                    seen.append(waiting(database, "advisory"))
                    let_in()

                with meanwhile(watch):
                    second = transform.run(NAMES, **OPTIONS)
                assert second.success, second.text[-3000:]
                assert left not in seen[0]
                recorded = database.intervals()
            finally:
                os.kill(pid, signal.SIGCONT)
            first = ended(transform, one)
        assert first.materialized == []
        assert first.observed == {"by_time": ["cancelled"], "below": ["cancelled"]}
        assert "its claim was lost" in first.reason("by_time")
        assert database.intervals() == recorded
        assert_rows_of_one_run(database)
        assert not held(transform)
    finally:
        transform.close()


@pytest.mark.postgres
def test_what_dbt_builds_for_a_run_that_was_stopped_ends_before_the_next_run_builds_it(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    """dbt's own process was not stopped: it would build on."""
    database = Database.in_postgres(postgres_database)
    prepare(database)
    DbtProject(tmp_path / "d", database, {"models/made.sql": MADE_BY_DBT})
    further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
    short = {"claims_lease": 4.0, "claims_heartbeat": 1.0}
    transform = Transform(tmp_path, [], further=further, settings=short)
    transform.prepare()
    try:
        with closed(database) as let_in, transform.launched(on_claimed="wait") as one:
            until(lambda: at_the_gate(database), "the first run to be at work", 60)
            (left,) = waiting(database, "advisory")
            pid = transform.story(one).pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                seen: list[set[int]] = []

                def watch() -> None:
                    try:
                        until(
                            lambda: waiting(database, "advisory") - {left},
                            "the second to be at work",
                            40,
                        )
                        seen.append(waiting(database, "advisory"))
                    finally:  # else both wait for ever
                        let_in()

                with meanwhile(watch):
                    second = transform.run(on_claimed="wait")
                assert second.success, second.text[-3000:]
                assert left not in seen[0]
            finally:
                os.kill(pid, signal.SIGCONT)
            first = ended(transform, one)
        assert first.materialized == []
        assert first.observed == {"made": ["cancelled"]}
        assert "its claim was lost" in first.reason("made")
        assert sorted(id for (id,) in database.content("main.made")) == list(range(32))
        assert not held(transform)
    finally:
        transform.close()


@pytest.mark.postgres
def test_a_plan_of_a_run_that_was_stopped_goes_no_further_once_another_run_plans(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    """Its promotion waits for somebody who reads the view, when it is stopped."""
    database = Database.in_postgres(postgres_database)
    model = "kind FULL\n---\nSELECT {} AS n"
    project = Project(tmp_path / "p", database, {"mart.a": model.format(1)})
    project.plan_natively(FIRST)
    project.model("mart.a", model.format(2))
    short = {"claims_lease": 4.0, "claims_heartbeat": 1.0}
    transform = Transform(tmp_path, [project], settings=short, plan="auto")
    transform.prepare()
    try:
        with database.cursor() as reader, transform.launched(**OPTIONS) as one:
            reader.execute("BEGIN; SELECT * FROM mart.a")
            until(lambda: waiting(database, "relation"), "the first run to promote", 60)
            left = waiting(database, "relation")
            pid = transform.story(one).pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                seen: list[set[int]] = []

                def watch() -> None:
                    try:
                        until(
                            lambda: waiting(database, "relation") - left,
                            "the second run to promote",
                            40,
                        )
                        seen.append(waiting(database, "relation"))
                    finally:
                        reader.execute("COMMIT")

                with meanwhile(watch):
                    second = transform.run(**OPTIONS)
                assert second.success, second.text[-3000:]
                assert not left & seen[0]
            finally:
                os.kill(pid, signal.SIGCONT)
            assert not ended(transform, one).success
        assert database.content("mart.a") == [(2,)]
        assert not held(transform)
    finally:
        transform.close()


@pytest.mark.postgres
def test_jobs_of_a_project_end_what_a_plan_has_left(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    project = Project(tmp_path / "p", database, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"})
    project.plan_natively(FIRST)
    transform = Transform(tmp_path, [project])
    transform.prepare()
    store = store_of(transform)
    needs = project_shared_resources("p", project.config, project.settings(NEXT), alone=True)
    environment = needs.environment
    assert environment is not None
    stopped = Owner(OwnerKind.RUN, "stopped", "stopped", 0)
    try:
        for job, config in {"p_janitor": {}, "p_plan": {"apply": True}}.items():
            name, claim = new_name(), new_claim_id()
            with closing(backend(postgres_database, name)):
                store.acquire(
                    stopped, [Want(environment, WHOLE, WHOLE)], claim_id=claim,
                    all_or_nothing=True, lease=0.1,
                )  # fmt: skip
                store.set_backends(claim, [backend_id(identity_of(postgres_database), name)])
                until(store.expired, "the lease to end", 10)
                assert sessions(postgres_database) == [name]
                run = transform.job(job, config)
                assert run.success, run.text[-3000:]
                assert sessions(postgres_database) == []
        assert not held(transform)
    finally:
        store.close()
        transform.close()
