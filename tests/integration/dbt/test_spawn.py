"""The dbt process that is started ahead of a run: taken where it fits, and never left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dagster_transform.dbt.runs import spawn
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun, graph_of
from tests.support.dbt_transforms import OfDbt
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database
from tests.support.waiting import until

FILES = {"models/one.sql": "{{ config(materialized='table') }}\nselect 1 as n"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[DbtProject]:
    database = Database.in_file(tmp_path / "w.duckdb")
    yield DbtProject(tmp_path / "d", database, FILES)
    spawn.dismiss()


def ahead(project: DbtProject) -> int:
    """Start a process ahead; its id."""
    project.read()
    spawn.spawn_ahead(project.artifacts / "partial_parse.msgpack")
    [spawned] = spawn._ahead
    return spawned.process.pid


def test_a_run_takes_the_process_that_was_started_ahead(project: DbtProject) -> None:
    pid = ahead(project)
    run = DbtRun(project)
    assert run.pid == pid
    run.go()
    assert run.told() == {"one": "built"}
    assert not alive(pid)
    again = DbtRun(project)
    assert again.pid not in {0, pid}, "there was only one"
    again.close(completed=False)


def test_what_was_parsed_ahead_counts_only_while_it_is_what_is_parsed(project: DbtProject) -> None:
    ahead(project)
    project.write({"models/one.sql": FILES["models/one.sql"].replace("1 as n", "2 as n")})
    run = DbtRun(project, graph=graph_of(project))
    run.go()
    assert project.database.rows("SELECT n FROM main.one") == [(2,)]


def test_a_process_with_another_environment_is_not_taken(
    project: DbtProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = ahead(project)
    monkeypatch.setenv("PASSWORD_FOR_DBT", "hunter2")
    run = DbtRun(project)
    assert run.pid != pid
    until(lambda: not alive(pid), "it to be gone")
    run.close(completed=False)


def test_a_process_that_nobody_needs_ends_by_itself(project: DbtProject) -> None:
    pid = ahead(project)
    [spawned] = spawn._ahead
    assert spawned.process.stdin is not None
    spawned.process.stdin.close()  # as the end of this process would
    assert spawned.process.wait(30) == 0
    spawned.errors.seek(0)
    assert spawned.errors.read() == b""
    assert not alive(pid)


def test_without_a_parse_nothing_is_started(tmp_path: Path) -> None:
    spawn.spawn_ahead(tmp_path / "partial_parse.msgpack")
    assert spawn._ahead == []


def test_definitions_start_dbt_only_where_a_run_is_about_to_begin(
    project: DbtProject, tmp_path: Path
) -> None:
    transform = OfDbt(tmp_path, project)
    transform.prepare()
    transform.repository()
    assert spawn._ahead == [], "a code server loads definitions too"
    group = click.Context(click.Group("asset"))
    with click.Context(click.Command("materialize"), parent=group):
        transform.repository()
        [spawned] = spawn._ahead
        transform.repository()
        assert spawn._ahead == [spawned], "one is enough"
    spawn.dismiss()
    assert not alive(spawned.process.pid)
    assert spawn._ahead == []
    transform.close()
