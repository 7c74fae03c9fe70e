"""The dbt process that is started ahead of a run: taken where it fits, and never left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from dagster_transform import dbt
from dagster_transform.dbt import spare_process
from dagster_transform.dbt.runs.spawn import SpareProcess, environment
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun, graph_of
from tests.support.dbt_transforms import OfDbt
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database
from tests.support.waiting import until

MakeSpare = Callable[[], tuple[SpareProcess, int]]

FILES = {"models/one.sql": "{{ config(materialized='table') }}\nselect 1 as n"}


@pytest.fixture
def project(tmp_path: Path) -> DbtProject:
    made = DbtProject(tmp_path / "d", Database.in_file(tmp_path / "w.duckdb"), FILES)
    made.read()
    return made


@pytest.fixture
def make_spare(project: DbtProject) -> Iterator[MakeSpare]:
    """Starts a process ahead, and gives its id too; in the test, because pytest changes the
    environment between a fixture and its test."""
    made: list[SpareProcess] = []

    def make() -> tuple[SpareProcess, int]:
        spare = spare_process(project.artifacts)
        assert spare is not None
        made.append(spare)
        assert spare.pid is not None
        return spare, spare.pid

    yield make
    for spare in made:
        spare.dismiss()


def test_a_run_takes_the_process_that_was_started_ahead(
    project: DbtProject, make_spare: MakeSpare
) -> None:
    spare, pid = make_spare()
    run = DbtRun(project, spare=spare)
    assert run.pid == pid
    assert spare.pid is None
    spare.dismiss()
    assert alive(pid), "it is the run's"
    run.go()
    assert run.told() == {"one": "built"}
    assert not alive(pid)
    again = DbtRun(project, spare=spare)
    assert again.pid not in {0, pid}, "there was only one"
    again.close(completed=False)


def test_what_was_parsed_ahead_counts_only_while_it_is_what_is_parsed(
    project: DbtProject, make_spare: MakeSpare
) -> None:
    spare, _ = make_spare()
    project.write({"models/one.sql": FILES["models/one.sql"].replace("1 as n", "2 as n")})
    run = DbtRun(project, graph=graph_of(project), spare=spare)
    run.go()
    assert project.database.rows("SELECT n FROM main.one") == [(2,)]


def test_a_process_with_another_environment_is_not_taken(
    project: DbtProject, make_spare: MakeSpare, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare, pid = make_spare()
    monkeypatch.setenv("PASSWORD_FOR_DBT", "hunter2")
    run = DbtRun(project, spare=spare)
    assert run.pid != pid
    until(lambda: not alive(pid), "it to be gone")
    run.close(completed=False)


def test_a_process_that_nobody_needs_ends_by_itself(make_spare: MakeSpare) -> None:
    spare, pid = make_spare()
    spawned = spare.take(environment())
    assert spawned is not None
    assert spawned.process.pid == pid
    assert spawned.process.stdin is not None
    spawned.process.stdin.close()  # as the end of this process would
    assert spawned.process.wait(30) == 0
    spawned.errors.seek(0)
    assert spawned.errors.read() == b""
    assert not alive(spawned.process.pid)
    assert spawned.process.stdout is not None
    spawned.process.stdout.close()
    spawned.errors.close()


def test_a_process_that_is_dismissed_ends_and_can_be_dismissed_again(make_spare: MakeSpare) -> None:
    spare, pid = make_spare()
    spare.dismiss()
    assert not alive(pid)
    assert spare.pid is None
    spare.dismiss()
    assert spare.take(environment()) is None


def test_without_a_parse_nothing_is_started(tmp_path: Path) -> None:
    assert spare_process(tmp_path) is None


def test_definitions_start_dbt_only_where_a_run_is_about_to_begin(
    project: DbtProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[SpareProcess | None] = []

    def noted(artifacts: Path) -> SpareProcess | None:
        made.append(spare_process(artifacts))
        return made[-1]

    monkeypatch.setattr(dbt, "spare_process", noted)
    transform = OfDbt(tmp_path, project)
    transform.prepare()
    transform.repository()
    assert made == [], "a code server loads definitions too"
    group = click.Context(click.Group("asset"))
    with click.Context(click.Command("materialize"), parent=group):
        transform.repository()
    [spare] = made
    assert spare is not None
    assert spare.pid is not None
    pid = spare.pid
    assert alive(pid)
    spare.dismiss()
    assert not alive(pid)
    transform.close()
