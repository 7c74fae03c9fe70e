"""Claims when something breaks: their store goes away, a run is killed, stopped, or found dead.

As in test_dagster_claims, models wait at a gate that the test holds. What breaks is real: the
store's database takes no connections any more, and processes get signals.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml

from dagster_transform.claims import WHOLE, Owner, OwnerKind, Want
from dagster_transform.databases.backends import new_name, told
from dagster_transform.sqlmesh import needs_of_project
from tests.integration.dbt_projects import DbtProject
from tests.integration.dbt_runs import sessions
from tests.integration.sqlmesh_projects import Database, Project
from tests.integration.test_dagster_cancel import alive, status, until
from tests.integration.test_dagster_claims import (
    BELOW,
    BOTH,
    FIRST,
    NEXT,
    at_the_gate,
    closed,
    ended,
    held,
    prepare,
    says,
    store_of,
)
from tests.integration.test_server_sessions import identity_of, session
from tests.integration.transforms import Transform

if TYPE_CHECKING:
    from tests.conftest import PostgresDatabase

OPTIONS = {"execution_time": NEXT.isoformat(), "ignore_cron": False, "on_claimed": "wait"}
NAMES = ["shared.by_time", "two.below"]
MADE_BY_DBT = """
{{ config(materialized='incremental', incremental_strategy='append') }}
select id from src.events where (select gate.open() from (select 1) one)
"""
GONE = "postgresql+psycopg2://someone:geheim@/nowhere?host=/nonexistent"


class Place:
    """The database that claims are kept in."""

    def __init__(self, postgres: PostgresDatabase) -> None:
        self._server = postgres
        self.name = f"store_{uuid4().hex[:12]}"
        postgres.execute(f'CREATE DATABASE "{self.name}"')

    @property
    def url(self) -> str:
        return replace(self._server, database=self.name, password="geheim").url

    def goes(self) -> None:
        """Nobody is connected any more, and nobody can connect."""
        self._server.execute(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS false')
        self._server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'"
        )

    def comes_back(self) -> None:
        self._server.execute(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS true')

    def drop(self) -> None:
        self.comes_back()
        self._server.execute(f'DROP DATABASE "{self.name}" WITH (FORCE)')


@pytest.fixture
def place(postgres: PostgresDatabase) -> Iterator[Place]:
    found = Place(postgres)
    yield found
    found.drop()


@pytest.fixture
def database(postgres_database: PostgresDatabase) -> Database:
    found = Database.in_postgres(postgres_database)
    prepare(found)
    return found


def transform_of(
    folder: Path, database: Database, models: Any = None, **settings: Any
) -> Transform:
    models = models or {"shared.by_time": BOTH["shared.by_time"], **BELOW}
    project = Project(folder / "p", database, models)
    project.plan_natively(FIRST)
    transform = Transform(folder, [project], settings=settings)
    transform.prepare()
    return transform


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Beside the block, which runs in this thread as runs have to; its errors are raised."""
    errors: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        thread.join(100)
    if errors:
        raise errors[0]


def run_of(transform: Transform) -> str:
    """The id of the one run."""
    (run,) = transform.instance.get_runs()
    return run.run_id


def lines(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in record.getMessage() for record in caplog.records)


@pytest.mark.postgres
def test_runs_on_dagsters_postgres_keep_their_claims_there(
    tmp_path: Path, database: Database, postgres: PostgresDatabase, place: Place
) -> None:
    storage = Database.in_postgres(replace(postgres, database=place.name))
    transform = transform_of(tmp_path, database)
    config = yaml.safe_load((transform.home / "dagster.yaml").read_text(encoding="utf-8"))
    config["storage"] = {"postgres": {"postgres_url": place.url}}
    (transform.home / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    try:
        with closed(database) as let_in, transform.launched(NAMES, **OPTIONS) as one:
            until(lambda: at_the_gate(database), 60, "the first run to be at work")
            rows = storage.rows(
                "SELECT run_id, resource_key FROM dagster_transform_lease "
                "JOIN dagster_transform_batch USING (claim_id) WHERE resource_key LIKE 'table:%'"
            )
            assert len(rows) == 2
            assert {run for run, _ in rows} == {one}
            second = transform.run(NAMES, **{**OPTIONS, "on_claimed": "skip"})
            assert second.observed["by_time"] == ["claimed"]
            assert f"run {one} has claimed since" in second.reason("by_time")
            let_in()
            assert ended(transform, one).success
        assert storage.rows("SELECT * FROM dagster_transform_lease") == []
        assert not list(transform.home.rglob("*.db"))
        assert "geheim" not in second.text
    finally:
        transform.close()


def test_a_store_that_cannot_be_reached_fails_the_run_before_anything_is_built(
    tmp_path: Path,
) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    transform = transform_of(
        tmp_path, database, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"}, claims_url=GONE
    )
    before = database.tables()
    try:
        run = transform.run()
        assert not run.success
        url = "postgresql+psycopg2://someone:***@/nowhere?host=%2Fnonexistent"
        assert f"The claims store {url} cannot be used" in run.failure
        assert "DAGSTER_TRANSFORM_CLAIMS_URL" in run.failure
        assert "geheim" not in run.text
        assert run.started == []
        assert database.tables() == before
    finally:
        transform.close()


@pytest.mark.postgres
def test_a_run_goes_on_when_its_store_comes_back_within_the_lease(
    tmp_path: Path, database: Database, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    models = {
        "shared.by_time": BOTH["shared.by_time"],
        "two.below": BELOW["two.below"].replace("kind", "tags (heavy), kind"),
    }
    transform = transform_of(
        tmp_path, database, models, claims_url=place.url, claims_lease=30.0, claims_heartbeat=0.3,
        tags={"heavy": 1},
    )  # fmt: skip
    with closed(database) as let_in:

        def breaks() -> None:
            until(lambda: at_the_gate(database), 60, "the run to be at work")
            place.goes()
            until(lambda: lines(caplog, "not renewed, and will be tried again"), 20, "a renewal")
            let_in()
            # Built under the trust that is left; its claim is released, the next's slot taken,
            # once there is a store again.
            until(lambda: lines(caplog, "Will be released later"), 20, "a release")
            said = lambda: says(transform, run_of(transform), "cannot be used")  # noqa: E731
            until(said, 20, "a slot to be asked for")
            place.comes_back()

        with meanwhile(breaks):
            run = transform.run(NAMES, **OPTIONS)
    try:
        assert run.success, run.text[-3000:]
        assert run.materialized == ["by_time", "below"]
        assert "geheim" not in run.text + caplog.text
        assert not held(transform)
    finally:
        transform.close()


@pytest.mark.postgres
def test_what_a_run_builds_is_cancelled_when_its_store_stays_away(
    tmp_path: Path, database: Database, place: Place
) -> None:
    transform = transform_of(
        tmp_path, database, claims_url=place.url, claims_lease=2.0, claims_heartbeat=0.5
    )
    before = database.intervals()
    try:
        with closed(database) as let_in:

            def breaks() -> None:
                until(lambda: at_the_gate(database), 60, "the run to be at work")
                place.goes()

            with meanwhile(breaks):
                lost = transform.run(NAMES, **OPTIONS)
            assert lost.observed == {"by_time": ["cancelled"], "below": ["cancelled"]}
            assert "could not be renewed before its lease ends" in lost.reason("by_time")
            assert at_the_gate(database) == 0
            assert database.intervals() == before
            let_in()
        place.comes_back()
        again = transform.run(NAMES, **OPTIONS)
        assert again.success
        assert again.materialized == ["by_time", "below"]
    finally:
        transform.close()


def waiting(database: Database, what: str) -> set[int]:
    """The server's processes that wait for a lock: `advisory`, those that execute a model's
    statement and wait at the gate; `relation`, those that want a table which another one has."""
    found = database.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        f"AND wait_event_type = 'Lock' AND wait_event = '{what}'"
    )
    return {pid for (pid,) in found}


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])


@pytest.mark.postgres
@pytest.mark.parametrize("found_by", ["lease", "dagster"])
def test_what_a_killed_run_held_goes_to_the_next_run_and_its_statement_ends_first(
    tmp_path: Path, database: Database, found_by: str
) -> None:
    short = {"claims_lease": 4.0, "claims_heartbeat": 1.0}
    transform = transform_of(tmp_path, database, **(short if found_by == "lease" else {}))
    try:
        with closed(database) as let_in, transform.launched(NAMES, **OPTIONS) as one:
            until(lambda: at_the_gate(database), 60, "the first run to be at work")
            (left,) = waiting(database, "advisory")
            pid = transform.story(one).pid
            assert pid is not None
            server = parent(pid)
            if found_by == "lease":  # as when the machine that both ran on is gone
                os.kill(server, signal.SIGSTOP)
            os.kill(pid, signal.SIGKILL)
            until(lambda: not alive(pid), 10, "the process to be gone")
            assert waiting(database, "advisory") == {left}  # the database server has not noticed
            if found_by == "dagster":
                failed = lambda: status(transform, one).name == "FAILURE"  # noqa: E731
                until(failed, 30, "the code server to notice")
            seen: list[set[int]] = []

            def watch() -> None:
                until(
                    lambda: waiting(database, "advisory") - {left},
                    60,
                    "the second run to be at work",
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
            until(lambda: at_the_gate(database), 60, "the first run to be at work")
            (left,) = waiting(database, "advisory")
            pid = transform.story(one).pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                seen: list[set[int]] = []

                def watch() -> None:
                    until(
                        lambda: waiting(database, "advisory") - {left},
                        60,
                        "the second run to be at work",
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
            until(lambda: at_the_gate(database), 60, "the first run to be at work")
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
                            40,
                            "the second to be at work",
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
            until(lambda: waiting(database, "relation"), 60, "the first run to promote")
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
                            40,
                            "the second run to promote",
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
    needs = needs_of_project("p", project.config, project.settings(NEXT), alone=True)
    environment = str(needs.environment)
    stopped = Owner(OwnerKind.RUN, "stopped", "stopped", 0)
    try:
        for job, config in {"p_janitor": {}, "p_plan": {"apply": True}}.items():
            name, claim = new_name(), uuid4().hex
            with closing(session(postgres_database, name)):
                store.acquire(
                    stopped, [Want(environment, WHOLE, WHOLE)], claim_id=claim,
                    all_or_nothing=True, lease=0.1,
                )  # fmt: skip
                store.set_session(claim, told(identity_of(postgres_database), name))
                until(store.expired, 10, "the lease to end")
                assert sessions(postgres_database) == [name]
                run = transform.job(job, config)
                assert run.success, run.text[-3000:]
                assert sessions(postgres_database) == []
        assert not held(transform)
    finally:
        store.close()
        transform.close()


def assert_rows_of_one_run(database: Database) -> None:
    """Events of March 1 to 5, four a day, once each."""
    for name in NAMES:
        assert sorted(id for id, *_ in database.content(name)) == list(range(20)), name
