"""A run of a dbt project: hooks run once around all nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_transform.dbt.errors import DbtHookError, DbtRunError
from tests.support.dbt_project_runs import BOTH, HOOKS, TWO, project_of
from tests.support.dbt_runs import DbtRun
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database


@BOTH
def test_hooks_run_once_around_all_nodes(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE SCHEMA IF NOT EXISTS main")
    run = DbtRun(project_of(database, tmp_path, TWO, project=HOOKS))
    result = run.go()
    assert result.outcomes == {"a": "built", "b": "built"}
    assert database.rows("SELECT what FROM main.log") == [("start",), ("end 2",)]


def test_a_cancelled_run_leaves_out_the_end_hooks(database: Database, tmp_path: Path) -> None:
    run = DbtRun(project_of(database, tmp_path, TWO, project=HOOKS)).open()
    run.cancel()
    run.close(completed=False)
    assert database.rows("SELECT what FROM main.log") == [("start",)]


@pytest.mark.parametrize("hook", ["on-run-start", "on-run-end"])
def test_a_hook_that_fails_is_told_and_the_nodes_are_built(
    database: Database, tmp_path: Path, hook: str
) -> None:
    """As dbt has it: it goes on after a failed on-run-start hook, and its exit code says so."""
    run = DbtRun(project_of(database, tmp_path, TWO, project={hook: "select nonsense"})).open()
    for _ in run.events():
        pass
    with pytest.raises(DbtHookError, match=rf"(?s)shop\.{hook}\.0 failed.*nonsense") as told:
        run.close()
    assert "password" not in str(told.value)
    assert run.told() == {"a": "built", "b": "built"}
    assert not alive(run.pid)


def test_a_start_hook_can_be_what_everything_depends_on(database: Database, tmp_path: Path) -> None:
    flags = {"flags": {"skip_nodes_if_on_run_start_fails": True}}
    project = project_of(
        database, tmp_path, TWO, project={"on-run-start": "select nonsense", **flags}
    )
    run = DbtRun(project)
    with pytest.raises(DbtRunError, match=r"can't begin its run: .*on-run-start\.0 failed"):
        run.open()
    run.project_run.close(completed=False)
    assert not alive(run.pid)
