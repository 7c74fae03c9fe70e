"""Sessions on a PostgreSQL server: named and told by each framework, ended by either one, and no
other one is ended."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

from dagster_transform.dbt import sweep
from dagster_transform.dbt.errors import DbtRunError
from dagster_transform.databases.backends import (
    BackendsRemainError,
    application_name,
    end_backends,
    in_words,
    new_name,
    told,
)
from dagster_transform.sqlmesh.runs.backends import ProjectBackends, end_left
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun
from tests.support.postgres import PostgresDatabase
from tests.support.server_sessions import MODELS, NODE, OURS, ask, identity_of, named, session
from tests.support.sqlmesh_projects import Database, Project, utc

# -- the text, and what is ended by it ----------------------------------------------------------


@pytest.mark.postgres
def test_only_the_sessions_of_a_text_are_ended(postgres_database: PostgresDatabase) -> None:
    place, mine, other = identity_of(postgres_database), new_name(), new_name()
    theirs = ["", "it's 100%_\\ mine", "ü" * 80, "x" * 80]
    with closing(session(postgres_database, other)) as beside:
        left = [session(postgres_database, application_name(mine, name)) for name in theirs]
        text = told(place, mine)
        assert " " not in text
        strange = {told(place, f"{OURS}' OR true --"), "s1", told("postgres:elsewhere/db", mine)}
        assert end_backends(place, strange, ask(beside)) == frozenset()
        for connection in left:
            ask(connection)("SELECT 1")
        assert end_backends(place, {text, *strange}, ask(beside)) == {text}
        for connection in left:
            with pytest.raises(psycopg2.OperationalError):
                ask(connection)("SELECT 1")
            connection.close()
        assert end_backends(place, {text}, ask(beside)) == {text}  # it may be asked again
        # Not the one that asks, whatever its name is.
        assert end_backends(place, {told(place, other)}, ask(beside)) == {told(place, other)}


def test_a_session_that_does_not_end_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dagster_transform.databases.backends._PATIENCE", 0.05)
    text = told("postgres:db:5432/w", new_name())
    with pytest.raises(BackendsRemainError, match="process 4711") as raised:
        end_backends("postgres:db:5432/w", {text}, lambda _: [(4711, True)])
    assert in_words(text) in str(raised.value)
    assert "pg_terminate_backend" in str(raised.value)


# -- SQLMesh ------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_all_sessions_of_a_context_have_the_name_that_is_told(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    project = Project(tmp_path / "p", database, MODELS)
    heard: list[tuple[str, frozenset[str]]] = []
    with project.native() as context:
        context.engine_adapter.fetchone("SELECT 1")
        sessions = ProjectBackends(context, lambda unit, every: heard.append((unit, every)))
        sessions.builds("p:m", NODE)
        sessions.plans("environment:e")
        ((_, told_once), (_, again)) = heard
        assert told_once == again
        (text,) = told_once
        adapter = context.snapshot_evaluator.adapter
        adapter.fetchone("SELECT 1")
        thread = threading.Thread(target=adapter.fetchone, args=("SELECT 1",))
        thread.start()
        thread.join(30)
        assert list(named(database).values()) == [text.rpartition("|")[2]] * 2
        with project.native() as other:
            assert end_left(other, {text}) == {text}
            assert named(database) == {}
        # SQLMesh connects again by itself, and under the same name.
        adapter.fetchone("SELECT 1")
        assert list(named(database).values()) == [text.rpartition("|")[2]]


@pytest.mark.postgres
def test_a_run_tells_its_environment_before_it_plans_and_its_nodes_before_it_builds(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database, concurrent_tasks=3)
    project = Project(tmp_path / "p", database, MODELS)
    heard: list[tuple[str, frozenset[str], bool]] = []

    def hear(unit: str, every: frozenset[str]) -> None:
        there = database.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'sqlmesh__mart'")
        heard.append((unit, every, bool(there)))

    run = project.run(utc("2024-03-03 10:30"), plan="auto", builds_in=hear)
    assert "failed" not in run.outcomes.values()
    first, *others = heard
    assert first[0].startswith("environment:postgres:")
    assert first[0].endswith("/prod")
    assert not first[2]  # nothing was made yet
    assert {unit for unit, *_ in others} == {project.id("mart.m0"), project.id("mart.m1")}
    assert {every for _, every, _ in heard} == {first[1]}
    heard.clear()
    project.run(utc("2024-03-04 10:30"), ["mart.m0"], builds_in=hear)
    ((unit, every, _),) = heard
    assert unit == project.id("mart.m0")
    assert every != first[1]  # each run has its own


def test_duckdb_has_no_sessions_to_tell(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    heard: list[str] = []
    with project.native() as context:
        sessions = ProjectBackends(context, lambda unit, _: heard.append(unit))
        sessions.builds("p:m", NODE)
        sessions.plans("environment:e")
        assert end_left(context, {told("postgres:db/w", new_name())}) == frozenset()
    assert heard == []


# -- dbt ----------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_dbt_tells_its_sessions_before_a_node_and_ends_those_of_other_runs(
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
    run = DbtRun(project, graph=project.graph, builds_in=hear, holds=held)
    text = told(identity_of(postgres_database), new_name())
    with closing(session(postgres_database, in_words(text).split(" ", maxsplit=1)[0])) as left:
        assert run.session.end_backends({told("postgres:elsewhere/db", new_name())}) == ()
        ask(left)("SELECT 1")
        assert run.session.end_backends({text, "s1"}) == {text}
        with pytest.raises(psycopg2.OperationalError):
            ask(left)("SELECT 1")
    assert run.go().outcomes == {"who": "built", "lost": "cancelled"}
    assert run.result.reason("lost") == "its claim was lost"  # whatever dbt says of it
    assert {unit for unit, *_ in heard} == {run.result.names[name] for name in ("who", "lost")}
    (mine,) = frozenset[str]().union(*(every for _, every, _ in heard))
    assert not any(there for unit, _, there in heard if unit == run.result.names["who"])
    assert database.content("main.who") == [(f"dbt {mine.rpartition('|')[2]}",)]
    with Project(tmp_path / "p", database, MODELS).native() as context:
        assert end_left(context, {mine}) == {mine}  # either framework knows the other's


@pytest.mark.postgres
def test_a_server_that_refuses_to_end_sessions_is_told_without_the_password(
    postgres_database: PostgresDatabase,
) -> None:
    where, role = postgres_database, f"plain_{uuid4().hex[:8]}"
    text = told(identity_of(where), name := new_name())
    connect = {"dbname": where.database, "host": where.host, "port": where.port}
    where.execute(f"CREATE ROLE {role} LOGIN")
    try:
        with closing(session(where, name)) as left:
            server = {"type": "postgres", "connect": {**connect, "user": role}}
            with pytest.raises(DbtRunError, match="pg_signal_backend"):
                sweep.end_left(server, identity_of(where), {text})
            ask(left)("SELECT 1")
            nowhere = {"type": "postgres", "connect": {**connect, "password": "geheim", "port": 1}}
            with pytest.raises(DbtRunError) as raised:
                sweep.end_left(nowhere, identity_of(where), {text})
            assert "geheim" not in str(raised.value)
    finally:
        where.execute(f"DROP ROLE {role}")
