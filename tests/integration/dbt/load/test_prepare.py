"""What `prepare` wrote of a dbt project is what definitions load from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from dagster_transform import build_transform_definitions, load_config
from dagster_transform.cli import main
from dagster_transform.dagster.definitions.errors import StaleGraphError
from dagster_transform.dagster.definitions.loading import load_graphs
from tests.support.dbt_loading import LOCAL_PACKAGE, project
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database

# -- prepare, and loading what it wrote ----------------------------------------------------------


@pytest.fixture
def transform(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> DbtProject:
    made = project(tmp_path, database, LOCAL_PACKAGE)
    config = {"projects": {"d": {"framework": "dbt", "path": "d"}}}
    (tmp_path / "transform.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_prepare_writes_what_definitions_load_from(
    transform: DbtProject, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    transform.write({"tests/nothing.sql": "select 1 where false"})
    told = run("prepare")
    assert told.exit_code == 0, told.output
    assert "dbt-core 1." in told.output
    assert "nothing" not in caplog.text
    assert sorted(os.listdir(tmp_path / ".dagster_transform")) == ["d", "d.graph.json"]
    # Also the first time, when dbt has written package-lock.yml among the project's files.
    graph = load_graphs(load_config()).graph
    assert list(graph.nodes) == ["d:model.shop.a"]
    assert "d:model.shop.a:nothing" in graph.checks, "a test that reads nothing is shown too"
    assert run("prepare", "--check").exit_code == 0
    code = (
        "import sys; from dagster_transform import build_transform_definitions as build;"
        "build().resolve_asset_graph();"
        "print([m for m in ('dbt', 'dbt.cli', 'sqlmesh', 'sqlglot') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "[]\n", done.stderr


def test_a_changed_file_makes_the_graph_file_stale(transform: DbtProject) -> None:
    run("prepare")
    transform.write({"models/b.sql": "select 2 as n"})
    error = load_graphs(load_config()).errors["d"]
    assert isinstance(error, StaleGraphError)
    assert "added d/models/b.sql" in str(error)
    before = (transform.artifacts / "manifest.json").read_bytes()
    told = run("prepare", "--check")
    assert told.exit_code == 1
    assert "is older than the files of project d: added d/models/b.sql" in told.output
    assert (transform.artifacts / "manifest.json").read_bytes() == before  # it writes nothing


def test_under_dagster_dev_the_graph_file_is_made_anew(
    transform: DbtProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    assert list(load_graphs(load_config()).graph.nodes) == ["d:model.shop.a"]
    transform.write({"models/b.sql": "select 2 as n"})
    assert list(load_graphs(load_config()).graph.nodes) == ["d:model.shop.a", "d:model.shop.b"]


def test_a_project_that_can_not_be_read_is_an_asset_that_says_why(transform: DbtProject) -> None:
    transform.write({"models/b.sql": "select {{ 1 +"})
    told = run("prepare")
    assert told.exit_code == 1
    assert "Compilation Error in model b" in told.stderr
    graph = build_transform_definitions().resolve_asset_graph()
    (key,) = graph.get_all_asset_keys()
    assert key.to_user_string() == "d/not_loaded"
