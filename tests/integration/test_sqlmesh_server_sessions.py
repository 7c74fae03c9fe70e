"""Sessions on a PostgreSQL server: told once, found again, and no other one is ended."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from dagster_transform.sqlmesh.runs.server_sessions import ServerSessions, end_sessions
from tests.integration.sqlmesh_projects import Database, Project, utc

if TYPE_CHECKING:
    from tests.conftest import PostgresDatabase

NODE: Any = SimpleNamespace(model_gateway=None)
MODELS = {
    f"mart.m{i}": "kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1), "
    "start '2024-03-01'\n---\nSELECT @start_ds::DATE AS ds FROM pg_sleep(0.2)"
    for i in range(2)
}


def sessions_of(database: Database) -> list[int]:
    found = database.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    return [pid for (pid,) in found]


@pytest.mark.postgres
def test_a_session_is_told_as_its_connection_changes_and_only_it_is_ended(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    project = Project(tmp_path / "p", database, MODELS)
    told: list[frozenset[str]] = []
    with project.native() as context:
        sessions = ServerSessions(context, lambda unit, every: told.append(every))
        sessions.builds("p:m", NODE)
        sessions.builds("p:m", NODE)
        assert told[0] == told[1]
        ((first,),) = (told[0],)
        server, pid, started = first.split("|")
        assert " " not in first
        assert [int(pid)] == sessions_of(database)
        thread = threading.Thread(target=sessions.builds, args=("p:m", NODE))
        thread.start()
        thread.join(30)
        assert len(told[2]) == 2
        # Another session has the process id by now, or it is on another server: left alone.
        later = f"{server}|{pid}|{int(started) + 1}"
        elsewhere = f"postgres%3Aelsewhere|{pid}|{started}"
        with project.native() as other:
            assert end_sessions(other, {later, elsewhere}) == {later}
            assert int(pid) in sessions_of(database)
            assert end_sessions(other, {first, elsewhere}) == {first}
            assert int(pid) not in sessions_of(database)
            assert end_sessions(other, {first}) == {first}  # it may be asked again
        # SQLMesh connects again by itself: the new session is told in its place.
        sessions.builds("p:m", NODE)
        assert first not in told[3]
        assert len(told[3]) == 2


@pytest.mark.postgres
def test_a_run_tells_all_sessions_that_build_before_they_do(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database, concurrent_tasks=3)
    project = Project(tmp_path / "p", database, MODELS)
    project.plan_natively(utc("2024-03-02 10:30"))
    told: list[tuple[str, frozenset[str]]] = []
    run = project.run(
        utc("2024-03-06 10:30"),
        ["mart.m0"],
        builds_in=lambda unit, every: told.append((unit, every)),
    )
    assert set(run.outcomes.values()) == {"built"}
    assert {unit for unit, _ in told} == {project.id("mart.m0")}
    # One for each thread that builds batches, and none a second time.
    assert len(told[-1][1]) in {2, 3}
    assert all(len(every) <= 3 for _, every in told)


def test_duckdb_has_no_sessions_to_tell(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    told: list[str] = []
    with project.native() as context:
        ServerSessions(context, lambda unit, _: told.append(unit)).builds("p:m", NODE)
        assert end_sessions(context, {"postgres%3Adb|1|2"}) == frozenset()
    assert told == []
