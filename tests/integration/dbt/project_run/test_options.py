"""A run of a dbt project: its options, hand-over and batches."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dagster_transform.walk import Learned, Progressed
from tests.support.dbt_project_runs import BOTH, TABLE, TWO, project_of
from tests.support.dbt_runs import DbtRun, graph_of
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database

# -- run options ------------------------------------------------------------------------------

OPTIONS = {
    "models/grows.sql": "{{ config(materialized='incremental') }}\n"
    "SELECT {{ var('what', 0) }} AS n FROM {{ ref('base') }}",
    "models/base.sql": TABLE + "SELECT 1 AS n",
}


@BOTH
def test_full_refresh_vars_and_empty(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, OPTIONS)
    content = lambda: sorted(n for (n,) in database.rows("SELECT n FROM main.grows"))  # noqa: E731
    result = DbtRun(project).go()
    rows = result.report("grows").rows
    assert rows == (1 if database.dialect == "postgres" else None)
    DbtRun(project, vars={"what": 5}).go()
    assert content() == [0, 5]
    DbtRun(project, empty=True).go()
    assert content() == [0, 5]
    DbtRun(project, full_refresh=True, vars={"what": 7}).go()
    assert content() == [7]


def test_threads_target_and_profiles_dir(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, TWO)
    graph_of(project)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    text = (project.folder / "profiles.yml").read_text()
    (project.folder / "profiles.yml").unlink()
    other = text.replace("main", "second").replace("test:", "other:")
    (elsewhere / "profiles.yml").write_text(other)
    run = DbtRun(project, profiles_dir=elsewhere, target="other", threads=7)
    assert run.project_run.capacity == 7
    run.go()
    assert database.tables("second") == {"second.a", "second.b"}


def test_defer_leads_to_what_another_run_has_built(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, TWO)
    graph_of(project)
    project.dbt("build", "--select", "a")
    state = tmp_path / "state"
    shutil.copytree(project.folder / "target", state)
    profiles = project.folder / "profiles.yml"
    profiles.write_text(profiles.read_text().replace("schema: main", "schema: mine"))
    plain = DbtRun(project, ["b"], [])
    assert plain.go().outcomes == {"b": "failed"}
    deferred = DbtRun(project, ["b"], [], defer=True, state=state, column_lineage=True)
    assert deferred.go().outcomes == {"b": "built"}
    [facts] = [e.facts for e in deferred.result.events if isinstance(e, Learned)]
    assert facts.column_lineage == {"n": (("d:model.shop.a", "n"),)}, facts.problem
    assert database.tables("mine") == {"mine.b"}


MICROBATCH = """
    {{{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day',
                begin='{begin}', batch_size='day'{more}) }}}}
    SELECT {n} AS n, TIMESTAMP '{begin} 12:00:00' AS day FROM main.zero
    """


@BOTH
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_of_a_model_are_one_node(database: Database, tmp_path: Path, threads: int) -> None:
    """A model whose batches fail in part is one that failed, and says how many are there."""
    begin = datetime.now(timezone.utc).date() - timedelta(days=4)
    failing = "{{ model.batch.event_time_start.strftime('%Y%m%d') }}"
    second = f"{begin + timedelta(days=1):%Y%m%d}"
    divides = f"CASE WHEN {failing} = {second} THEN 1 / zero ELSE 1 END"
    if database.dialect == "duckdb":
        divides = f"CASE WHEN {failing} = {second} THEN error('zero') ELSE 1 END"
    # One adapter wants it, the other refuses it.
    more = ", unique_key='day'" if database.dialect == "postgres" else ""
    files = {
        "models/whole.sql": MICROBATCH.format(n=1, begin=begin, more=more),
        "models/part.sql": MICROBATCH.format(n=divides, begin=begin, more=more),
    }
    project = project_of(database, tmp_path, files)
    database.execute(
        "CREATE SCHEMA IF NOT EXISTS main", "CREATE TABLE main.zero AS SELECT 0 AS zero"
    )
    run = DbtRun(project, threads=threads)
    result = run.go()
    assert run.told() == {"whole": "built", "part": "failed"}
    assert result.reason("part").startswith("4 of 5 batches were built: ")
    assert "zero" in result.reason("part")
    assert result.report("part").seconds > 0
    assert not [text for level, text in run.logs if level == "error"], "the reason has said it"
    assert result.report("whole").details["batches"] == "5 of 5"
    days = {str(begin + timedelta(days=n)) for n in range(5)}
    for name in ("whole", "part"):  # told one by one, those too that fail
        told = [
            e.progress
            for e in result.events
            if isinstance(e, Progressed) and run.called[e.unit.id] == name
        ]
        assert [(p.done, p.total) for p in told] == [(n, 5) for n in range(1, 6)]
        assert {p.what for p in told} == days


@pytest.mark.postgres
def test_a_batch_whose_session_was_ended_is_the_last_one(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    """Another run that builds the model now has ended it: dbt would go on with the next batch."""
    database = Database.in_postgres(postgres_database)
    begin = datetime.now(timezone.utc).date() - timedelta(days=4)
    second = f"{begin + timedelta(days=1):%Y%m%d}"
    this = "{{ model.batch.event_time_start.strftime('%Y%m%d') }}"
    ends = f"CASE WHEN {this} = {second} THEN pg_terminate_backend(pg_backend_pid())::INT END"
    model = MICROBATCH.format(n=ends, begin=begin, more=", unique_key='day'")
    project = project_of(database, tmp_path, {"models/cut.sql": model})
    database.execute("CREATE SCHEMA main", "CREATE TABLE main.zero AS SELECT 0 AS zero")
    run = DbtRun(project)
    assert run.go().outcomes == {"cut": "failed"}
    assert run.result.reason("cut").startswith("1 of 5 batches were built: ")
