"""Runs of dbt projects that share what one process only can hold."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_transform.dbt.runs.hooks import InvocationOfRun
from dagster_transform.planning import Outcome
from tests.support.dbt_project_runs import HOOKS, TABLE, TWO, project_of, results_of
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun, graph_of
from tests.support.postgres import PostgresDatabase
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database
from tests.support.waiting import until

# -- project runs that share what one process only can hold ----------------------------------------


def test_a_file_is_closed_and_opened_again(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    project = project_of(database, tmp_path, TWO, project=HOOKS)
    graph_of(project)
    with closing(duckdb.connect(str(path))):
        run = DbtRun(project)
        assert run.project_run.capacity == 2, "loading the project needs no file"
        assert run.project_run.exclusive == {f"file:{path}"}
        run.project_run.close_files()
    run.open()
    with pytest.raises(duckdb.IOException):
        duckdb.connect(str(path)).close()
    for round_ in range(3):
        run.project_run.close_files()
        with closing(duckdb.connect(str(path))) as other:
            other.execute(f"CREATE TABLE other_{round_} AS SELECT 1 AS n")
        for name in ("a", "b"):
            reports = run.start(name)
            until(lambda reports=reports: reports, name)
            assert reports[0].outcome is Outcome.BUILT
    run.project_run.close_files()
    run.project_run.close_files()
    run.close()
    assert database.rows("SELECT what FROM main.log") == [("start",), ("end 2",)]


def test_the_ops_of_one_run_share_an_invocation(database: Database, tmp_path: Path) -> None:
    """A Python asset between two models splits the op; it may use the file meanwhile."""
    project = project_of(database, tmp_path, TWO, project=HOOKS)
    graph = graph_of(project)
    every = frozenset(node.reference for node in graph.nodes.values())
    shared: dict[str, Any] = {"invocation": InvocationOfRun(), "in_run": every, "run": "one"}
    first = DbtRun(project, ["a"], last=False, **shared)
    assert first.go().outcomes == {"a": "built"}
    assert alive(first.pid)
    # Another run may have it too, and build what this one's dbt has not seen.
    database.execute("CREATE TABLE main.between AS SELECT 1 AS n", "CREATE TABLE main.b (n INT)")
    second = DbtRun(project, ["b"], **shared)
    assert second.pid == first.pid
    assert second.go().outcomes == {"b": "built"}
    assert not alive(first.pid)
    assert database.rows("SELECT what FROM main.log") == [("start",), ("end 2",)]
    assert [e["unique_id"] for e in results_of(second)["results"]] == [
        "model.shop.a",
        "model.shop.b",
    ]


def test_what_an_op_has_kept_is_ended_by_another_that_does_nothing(
    database: Database, tmp_path: Path
) -> None:
    """The later op never comes, because its Python asset has failed."""
    project = project_of(database, tmp_path, TWO, project=HOOKS)
    shared: dict[str, Any] = {"invocation": InvocationOfRun(), "run": "one"}
    first = DbtRun(project, ["a"], last=False, **shared)
    first.go()
    assert shared["invocation"].due
    DbtRun(project, [], [], **shared).project_run.close(completed=True)
    assert not alive(first.pid)
    assert shared["invocation"].kept is None
    assert not shared["invocation"].due
    assert database.rows("SELECT what FROM main.log") == [("start",), ("end 1",)]


@pytest.mark.postgres
def test_projects_run_side_by_side(tmp_path: Path, postgres_database: PostgresDatabase) -> None:
    database = Database.in_postgres(postgres_database)
    slow = {"models/a.sql": TABLE + "SELECT pg_sleep(1)::text AS s, clock_timestamp() AS ended"}
    runs = [
        DbtRun(DbtProject(tmp_path / name / "project", database, slow, schema=name)).open()
        for name in ("one", "two")
    ]
    assert runs[0].pid != runs[1].pid
    reports = [run.start("a") for run in runs]
    until(lambda: all(reports), "both reports")
    for run in runs:
        run.close()
    [(apart,)] = database.rows(
        "SELECT abs(extract(epoch FROM one.a.ended - two.a.ended))::float FROM one.a, two.a"
    )
    assert apart < 1
