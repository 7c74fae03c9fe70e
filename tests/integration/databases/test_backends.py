"""Backends of a PostgreSQL server: named and written down by each framework, ended by either one,
and no other one is ended."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

from dagster_transform.databases.backends import (
    BackendId,
    BackendsRemainError,
    application_name,
    backend_id,
    end_backends,
    in_words,
    new_name,
)
from dagster_transform.databases.identity import server_identity
from dagster_transform.dbt import backends as backends_of_dbt
from dagster_transform.dbt.errors import DbtRunError
from dagster_transform.planning import ResourceKey
from dagster_transform.sqlmesh.runs import backends as backends_of_sqlmesh
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from tests.support.claim_guards import Guard
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun
from tests.support.postgres import PostgresDatabase
from tests.support.server_backends import MODELS, NODE, OURS, ask, backend, identity_of, named
from tests.support.sqlmesh_projects import Database, Project, utc

ELSEWHERE = server_identity("postgres", "elsewhere", None, "db")
ENVIRONMENT = ResourceKey.environment("e", "prod")

# -- the id, and what is ended by it ------------------------------------------------------------


@pytest.mark.postgres
def test_only_the_backends_of_an_id_are_ended(postgres_database: PostgresDatabase) -> None:
    place, mine, other = identity_of(postgres_database), new_name(), new_name()
    theirs = ["", "it's 100%_\\ mine", "ü" * 80, "x" * 80]
    with closing(backend(postgres_database, other)) as beside:
        connections = [backend(postgres_database, application_name(mine, name)) for name in theirs]
        id = backend_id(place, mine)
        assert " " not in id
        odd = [backend_id(place, f"{OURS}' OR true --"), BackendId("s1")]
        strange = {*odd, backend_id(ELSEWHERE, mine)}
        assert end_backends(place, strange, ask(beside)) == frozenset()
        for connection in connections:
            ask(connection)("SELECT 1")
        assert end_backends(place, {id, *strange}, ask(beside)) == {id}
        for connection in connections:
            with pytest.raises(psycopg2.OperationalError):
                ask(connection)("SELECT 1")
            connection.close()
        assert end_backends(place, {id}, ask(beside)) == {id}  # it may be asked again
        # Not the one that asks, whatever its name is.
        itself = backend_id(place, other)
        assert end_backends(place, {itself}, ask(beside)) == {itself}


def test_a_backend_that_does_not_end_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dagster_transform.databases.backends._PATIENCE", 0.05)
    id = backend_id(ELSEWHERE, new_name())
    with pytest.raises(BackendsRemainError, match="process 4711") as raised:
        end_backends(ELSEWHERE, {id}, lambda _: [(4711, True)])
    assert in_words(id) in str(raised.value)
    assert "pg_terminate_backend" in str(raised.value)


# -- SQLMesh ------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_all_backends_of_a_context_have_the_name_that_is_written_down(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    project = Project(tmp_path / "p", database, MODELS)
    heard: list[tuple[str, frozenset[str]]] = []
    with project.native() as context:
        context.engine_adapter.fetchone("SELECT 1")
        guard = Guard(hear=lambda what, every: heard.append((what, every)))
        backends = ProjectBackends(context, guard)
        backends.builds("p:m", NODE)
        backends.plans(ENVIRONMENT)
        ((_, once), (_, again)) = heard
        assert once == again
        (id,) = once
        adapter = context.snapshot_evaluator.adapter
        adapter.fetchone("SELECT 1")
        thread = threading.Thread(target=adapter.fetchone, args=("SELECT 1",))
        thread.start()
        thread.join(30)
        assert list(named(database).values()) == [id.rpartition("|")[2]] * 2
        with project.native() as other:
            assert backends_of_sqlmesh.end_backends(other, {id}) == {id}
            assert named(database) == {}
        # SQLMesh connects again by itself, and under the same name.
        adapter.fetchone("SELECT 1")
        assert list(named(database).values()) == [id.rpartition("|")[2]]


@pytest.mark.postgres
def test_a_thread_that_gets_its_backend_after_the_claim_was_lost_executes_nothing(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    model = "kind INCREMENTAL_UNMANAGED, start '2024-03-01'\n---\nSELECT 1 AS n"
    project = Project(tmp_path / "p", database, {"mart.once": model})
    project.plan_natively(utc("2024-03-03 10:30"))
    before = database.content("mart.once")
    taken: list[str] = []  # by another run, once this one has written down where it builds
    guard = Guard(held=lambda _: not taken, hear=lambda unit, _: taken.append(unit))
    run = project.run(utc("2024-03-04 10:30"), guard=guard)
    assert run.outcomes == {"mart.once": "cancelled"}
    assert run.reason("mart.once") == "its claim was lost"
    assert database.content("mart.once") == before


@pytest.mark.postgres
def test_a_run_says_so_before_it_plans_and_before_each_node_that_it_builds(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database, concurrent_tasks=3)
    project = Project(tmp_path / "p", database, MODELS)
    heard: list[tuple[str, frozenset[str], bool]] = []

    def hear(unit: str, every: frozenset[str]) -> None:
        there = database.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'sqlmesh__mart'")
        heard.append((unit, every, bool(there)))

    run = project.run(utc("2024-03-03 10:30"), plan_mode="auto", guard=Guard(hear=hear))
    assert "failed" not in run.outcomes.values()
    first, *others = heard
    assert first[0].startswith("environment:postgres:")
    assert first[0].endswith("/prod")
    assert not first[2]  # nothing was made yet
    assert {unit for unit, *_ in others} == {project.id("mart.m0"), project.id("mart.m1")}
    assert {every for _, every, _ in heard} == {first[1]}
    heard.clear()
    project.run(utc("2024-03-04 10:30"), ["mart.m0"], guard=Guard(hear=hear))
    ((unit, every, _),) = heard
    assert unit == project.id("mart.m0")
    assert every != first[1]  # each run has its own


def test_duckdb_has_no_backends(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    heard: list[str] = []
    with project.native() as context:
        backends = ProjectBackends(context, Guard(hear=lambda what, _: heard.append(what)))
        backends.builds("p:m", NODE)
        backends.plans(ENVIRONMENT)
        others = {backend_id(ELSEWHERE, new_name())}
        assert backends_of_sqlmesh.end_backends(context, others) == frozenset()
    assert heard == []


# -- dbt ----------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_dbt_names_its_backends_before_a_node_and_ends_those_of_other_runs(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    query = "select application_name as name from pg_stat_activity where pid = pg_backend_pid()"
    files = {
        "models/who.sql": f"{{{{ config(materialized='table') }}}} {query}",
        "models/lost.sql": "{{ config(materialized='table') }} select 1 / 0 as n",
    }
    project = DbtProject(tmp_path / "d", database, files)
    heard: list[tuple[str, frozenset[str], bool]] = []

    def hear(unit: str, every: frozenset[str]) -> None:
        heard.append((unit, every, "main.who" in database.tables()))

    held = lambda unit: not unit.endswith("lost")  # noqa: E731
    run = DbtRun(project, graph=project.graph, guard=Guard(held, hear))
    id = backend_id(identity_of(postgres_database), name := new_name())
    with closing(backend(postgres_database, name)) as other:
        assert not run.project_run.end_backends({backend_id(ELSEWHERE, new_name())})
        ask(other)("SELECT 1")
        assert run.project_run.end_backends({id, BackendId("s1")}) == {id}
        with pytest.raises(psycopg2.OperationalError):
            ask(other)("SELECT 1")
    assert run.go().outcomes == {"who": "built", "lost": "cancelled"}
    assert run.result.reason("lost") == "its claim was lost"  # whatever dbt says of it
    assert {unit for unit, *_ in heard} == {run.result.names[name] for name in ("who", "lost")}
    (mine,) = frozenset[str]().union(*(every for _, every, _ in heard))
    assert not any(there for unit, _, there in heard if unit == run.result.names["who"])
    assert database.content("main.who") == [(f"dbt {mine.rpartition('|')[2]}",)]
    with Project(tmp_path / "p", database, MODELS).native() as context:
        # Either framework knows the other's.
        assert backends_of_sqlmesh.end_backends(context, {mine}) == {mine}


@pytest.mark.postgres
def test_a_server_that_refuses_to_end_backends_is_named_without_the_password(
    postgres_database: PostgresDatabase,
) -> None:
    where, role = postgres_database, f"plain_{uuid4().hex[:8]}"
    id = backend_id(identity_of(where), name := new_name())
    connect = {"dbname": where.database, "host": where.host, "port": where.port}
    where.execute(f"CREATE ROLE {role} LOGIN")
    try:
        with closing(backend(where, name)) as other:
            server = {"type": "postgres", "connect": {**connect, "user": role}}
            with pytest.raises(DbtRunError, match="pg_signal_backend"):
                backends_of_dbt.end_backends(server, identity_of(where), {id})
            ask(other)("SELECT 1")
            nowhere = {"type": "postgres", "connect": {**connect, "password": "geheim", "port": 1}}
            with pytest.raises(DbtRunError) as raised:
                backends_of_dbt.end_backends(nowhere, identity_of(where), {id})
            assert "geheim" not in str(raised.value)
    finally:
        where.execute(f"DROP ROLE {role}")
