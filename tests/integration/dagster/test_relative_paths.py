"""Relative paths of DuckDB files: the same file from every working directory, the one that people
get who call `sqlmesh` and `dbt` in the project's folder; and none is made by looking."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
import yaml

from tests.support.dbt_projects import DbtProject
from tests.support.relative_paths import (
    Located,
    all_duckdb_files,
    one_file,
    other_state,
    python_config,
    several_catalogs,
)
from tests.support.sqlmesh_projects import Database

WAYS = (
    one_file,
    *(
        pytest.param(way, marks=pytest.mark.long)
        for way in (other_state, several_catalogs, python_config)
    ),
)


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def located(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Located]:
    way: Callable[[Path], Located] = request.param
    found = way(tmp_path / "t")
    yield found
    found.transform.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working directory that is no project's, and has a folder `data` too."""
    (tmp_path / "elsewhere" / "data").mkdir(parents=True)
    return tmp_path / "elsewhere"


def test_looking_makes_no_file(located: Located, elsewhere: Path) -> None:
    """prepare, prepare --check, loading, the plan job that explains, a run that must not plan, and
    checks alone."""
    assert "never planned" in located.command("prepare", cwd=elsewhere).stdout
    assert located.command("prepare", "--check", cwd=elsewhere).returncode == 1
    assert located.command("claims", "list", cwd=elsewhere).returncode == 0
    assert located.explain(elsewhere).success
    assert "was never planned" in located.run(elsewhere, ["mart.a"]).failure
    assert "was never planned" in located.run(elsewhere, [], ["mart.a:not_null"]).failure
    assert all_duckdb_files(located.root) == []


def test_what_people_plan_in_the_folder_is_what_a_run_builds(
    located: Located, elsewhere: Path
) -> None:
    located.native("plan", "prod", "--auto-apply", "--no-prompts", cwd=located.project.folder)
    files = all_duckdb_files(located.root)
    assert files == located.files
    for cwd in (elsewhere, located.transform.folder):
        prepared = located.command("prepare", cwd=cwd)
        assert "prod: equal to the files" in prepared.stdout, prepared.stderr
        story = located.run(cwd, ["mart.a"])
        assert story.success, story.failure
        assert story.materialized == ["a"]
        assert located.rows("mart.a") == 1
        assert all_duckdb_files(located.root) == files
    assert {n.relation.connection for n in located.graph().nodes.values()} == {
        f"duckdb:{located.of_models}"
    }


def test_the_first_plan_makes_the_files_where_people_look_for_them(
    located: Located, elsewhere: Path
) -> None:
    located.command("prepare", cwd=elsewhere)
    planned = located.apply(elsewhere)
    assert planned.success, planned.failure
    assert all_duckdb_files(located.root) == located.files
    done = located.native("run", "prod", cwd=located.project.folder)
    assert done.returncode == 0, done.stderr
    assert located.rows("mart.a") == 1


def test_a_file_that_is_gone_is_not_made_anew(tmp_path: Path, elsewhere: Path) -> None:
    """The environment was planned, as the state says that is elsewhere: an empty database would
    have what is not due lost for good."""
    located = other_state(tmp_path / "t")
    located.native("plan", "prod", "--auto-apply", "--no-prompts", cwd=located.project.folder)
    located.command("prepare", cwd=elsewhere)
    located.of_models.unlink()
    for assets, checks in ((["mart.a"], None), ([], ["mart.a:not_null"])):
        story = located.run(elsewhere, assets, checks)
        assert f"there is no DuckDB file {located.of_models}" in story.failure
        assert all_duckdb_files(located.root) == [f for f in located.files if f.exists()]
    located.transform.close()


def test_one_attached_file_that_is_missing_is_not_made_by_looking(tmp_path: Path) -> None:
    located = several_catalogs(tmp_path / "t")
    (first, second) = located.files
    first.parent.mkdir(exist_ok=True)
    with duckdb.connect(str(first)) as connection:
        connection.execute("CREATE TABLE landed (i INT)")
    prepared = located.command("prepare", cwd=tmp_path)
    assert "never planned" in prepared.stdout, prepared.stderr
    assert not second.exists()
    located.transform.close()


def test_a_relative_path_of_a_dbt_profile_is_as_in_the_projects_folder(
    tmp_path: Path, elsewhere: Path
) -> None:
    database = Database.in_file(tmp_path / "t" / "d" / "data" / "w.duckdb")
    files = {"models/m.sql": "{{ config(materialized='table') }} select 1 as one"}
    files["models/m.yml"] = """
        models: [{name: m, columns: [{name: one, data_tests: [not_null]}]}]
    """
    dbt = DbtProject(tmp_path / "t" / "d", database, files, profile={"path": "data/w.duckdb"})
    located = Located.of_dbt(dbt, tmp_path / "t")
    file = tmp_path / "t" / "d" / "data" / "w.duckdb"
    file.parent.mkdir()
    for cwd in (elsewhere, tmp_path):
        assert located.command("prepare", cwd=cwd).returncode == 0
        assert located.command("prepare", "--check", cwd=cwd).returncode == 0
        alone = located.run(cwd, [], ["m:not_null_m_one"])
        assert f"there is no DuckDB file {file} to test" in alone.failure
        assert all_duckdb_files(tmp_path) == []
    story = located.run(elsewhere, ["m"])
    assert story.success, story.failure
    assert all_duckdb_files(tmp_path) == [file]
    native = subprocess.run(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "build"],
        cwd=dbt.folder, env=located.transform.environment(), capture_output=True, check=False,
    )  # fmt: skip
    assert native.returncode == 0, native.stdout
    assert all_duckdb_files(tmp_path) == [file]
    (node,) = located.graph().nodes.values()
    assert node.relation.connection == f"duckdb:{file}"
    located.transform.close()


def test_remedies_are_commands_that_find_the_same_file(tmp_path: Path, elsewhere: Path) -> None:
    located = one_file(tmp_path / "t")
    located.command("prepare", cwd=elsewhere)
    failure = located.run(elsewhere, ["mart.a"]).failure
    (command,) = {part for part in failure.split("`") if " && sqlmesh " in part}
    assert located.shell(f"{command} --auto-apply --no-prompts", cwd=elsewhere) == 0
    assert all_duckdb_files(located.root) == located.files
    assert yaml.safe_load((located.project.folder / "config.yaml").read_text())
    located.transform.close()
