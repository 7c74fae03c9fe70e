"""alpha -> beta_a, beta_b; beta_a -> gamma_a; beta_b -> gamma_b; beta_a divides by zero.

Smooth, error and fail-fast runs, with one and two threads, on DuckDB and PostgreSQL: what is told
of a node and what the database has of it agree, for every node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database

NODES = ("alpha", "beta_a", "beta_b", "gamma_a", "gamma_b")
TABLE = "{{ config(materialized='table') }}\n"
VIEW = "{{ config(materialized='view') }}\n"
# `knobs` turns the failure on, and says how long beta_b takes.
DIVIDES = {
    "duckdb": "CASE WHEN divisor = 0 THEN error('division by zero') ELSE 1 END",
    "postgres": "1 / divisor",
}
TAKES_LONG = {
    "duckdb": (
        "SELECT count(*) AS n FROM (SELECT unnest(range(0, size)) AS i FROM main.knobs) AS x,"
        " (SELECT unnest(range(0, size)) AS j FROM main.knobs) AS y WHERE hash(i, j) % 7 = 3"
    ),
    "postgres": "SELECT size AS n, pg_sleep(size)::text FROM main.knobs",
}
SLOW = {"duckdb": 200_000, "postgres": 60}
"""What beta_b would be at for a minute or more."""

ERROR = {"alpha": "built", "beta_a": "failed", "gamma_a": "blocked"}


@pytest.fixture(scope="module")
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    if request.param == "duckdb":
        yield Database.in_file(tmp_path_factory.mktemp("five") / "w.duckdb")
        return
    server: PostgresDatabase = request.getfixturevalue("postgres")
    server.execute('CREATE DATABASE "five"')
    yield Database.in_postgres(replace(server, database="five"))
    server.execute('DROP DATABASE "five" WITH (FORCE)')


@pytest.fixture(scope="module")
def project(database: Database, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    engine = database.dialect
    files = {
        "models/alpha.sql": TABLE + "SELECT 1 AS n",
        "models/beta_a.sql": TABLE
        + f"SELECT {DIVIDES[engine]} AS n FROM {{{{ ref('alpha') }}}}, main.knobs",
        "models/beta_b.sql": TABLE + f"{TAKES_LONG[engine]} -- {{{{ ref('alpha') }}}}",
        "models/gamma_a.sql": VIEW + "SELECT n FROM {{ ref('beta_a') }}",
        "models/gamma_b.sql": VIEW + "SELECT n FROM {{ ref('beta_b') }}",
    }
    return DbtProject(tmp_path_factory.mktemp("five") / "project", database, files)


@pytest.fixture
def empty(database: Database) -> None:
    """A database with the knobs only, turned to a smooth run."""
    database.execute(
        "DROP SCHEMA IF EXISTS main CASCADE" if database.dialect == "postgres" else "SELECT 1",
        "CREATE SCHEMA IF NOT EXISTS main",
        *[f"DROP VIEW IF EXISTS main.{n} CASCADE" for n in NODES if n.startswith("gamma")],
        *[f"DROP TABLE IF EXISTS main.{n} CASCADE" for n in NODES if not n.startswith("gamma")],
        "CREATE OR REPLACE TABLE main.knobs AS SELECT 1 AS divisor, 1 AS size"
        if database.dialect == "duckdb"
        else "CREATE TABLE main.knobs AS SELECT 1 AS divisor, 1 AS size",
    )


pytestmark = [
    pytest.mark.usefixtures("empty"),
    pytest.mark.parametrize("threads", [1, 2]),
    pytest.mark.parametrize(
        "database",
        ["duckdb", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])],
        indirect=True,
    ),
]


def turn(database: Database, *, divisor: int = 1, size: int = 1) -> None:
    database.execute(f"UPDATE main.knobs SET divisor = {divisor}, size = {size}")


def agree(run: DbtRun, database: Database) -> None:
    """A node was told as built if and only if its relation is there; every node was told once."""
    told = run.told()
    assert set(told) == set(NODES)
    there = {name.removeprefix("main.") for name in database.tables("main")} - {"knobs"}
    assert {name for name, outcome in told.items() if outcome == "built"} == there
    for name, outcome in told.items():
        assert (run.result.reason(name) == "") == (outcome == "built")
    assert (run.folder / "run_results.json").exists()


def test_a_smooth_run(project: DbtProject, database: Database, threads: int) -> None:
    run = DbtRun(project, threads=threads)
    result = run.go()
    assert run.told() == dict.fromkeys(NODES, "built")
    assert result.most_at_once == threads
    agree(run, database)


def test_an_error(project: DbtProject, database: Database, threads: int) -> None:
    turn(database, divisor=0)
    run = DbtRun(project, threads=threads)
    result = run.go()
    assert run.told() == {**ERROR, "beta_b": "built", "gamma_b": "built"}
    assert "division by zero" in result.reason("beta_a")
    assert result.reason("gamma_a") == f"upstream failed: {run.result.names['beta_a']}"
    agree(run, database)


def test_fail_fast(project: DbtProject, database: Database, threads: int) -> None:
    """With two threads beta_b is in flight when beta_a fails; with one it never starts."""
    turn(database, divisor=0, size=SLOW[database.dialect])
    run = DbtRun(project, threads=threads, limits={"fail_fast": True})
    result = run.go()
    assert run.told() == {**ERROR, "beta_b": "cancelled", "gamma_b": "cancelled"}
    assert ("beta_b" in [run.called[u] for u in run.project_run.starts]) == (threads == 2)
    if threads == 2:
        assert result.report("beta_b").outcome.value == "cancelled"
    else:
        assert "fail_fast" in result.reason("beta_b")
    agree(run, database)
