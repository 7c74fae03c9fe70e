"""`prepare` on real dbt projects that have something wrong: what it says."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.dbt.errors import (
    AdapterMissingError,
    DbtMissingError,
    DbtParseError,
    NodeConfigError,
    ProfileError,
)
from dagster_transform.graph import CycleError
from tests.support.dbt_loading import failure, project
from tests.support.sqlmesh_projects import Database

# -- bad input -----------------------------------------------------------------------------------


def test_a_missing_profiles_yml(tmp_path: Path, database: Database) -> None:
    made = project(tmp_path, database)
    (made.folder / "profiles.yml").unlink()
    told = failure(made, ProfileError)
    assert "/.dbt' does not exist" in told
    assert f"dbt looks for profiles.yml in {made.folder}, $DBT_PROFILES_DIR and ~/.dbt" in told
    assert "or say with `profiles_dir` of project" in told
    made = project(tmp_path, database, config={"profiles_dir": tmp_path / "empty"})
    (tmp_path / "empty").mkdir()
    told = failure(made, ProfileError)
    assert f"dbt looks for profiles.yml in {tmp_path / 'empty'}, since `profiles_dir` of" in told


def test_profiles_yml_is_taken_from_where_transform_yaml_says(
    tmp_path: Path, database: Database
) -> None:
    made = project(tmp_path, database, config={"profiles_dir": tmp_path / "elsewhere"})
    (tmp_path / "elsewhere").mkdir()
    (made.folder / "profiles.yml").rename(tmp_path / "elsewhere" / "profiles.yml")
    assert set(made.graph.nodes) == {"d:model.shop.a"}
    (tmp_path / "elsewhere" / "profiles.yml").write_text("{}")
    with pytest.raises(ProfileError, match=str(tmp_path / "elsewhere")):
        made.read()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"profile": {"type": "postgres", "path": None}}, "'host' is a required property"),
        ({"config": {"target": "prod"}}, "does not have a target named 'prod'"),
    ],
)
def test_a_profile_that_is_wrong(
    tmp_path: Path, database: Database, settings: dict[str, Any], told: str
) -> None:
    if "postgres" in str(settings):
        settings["profile"] |= {"dbname": "w", "user": "u", "port": 5432, "password": "hunter2"}
    found = failure(project(tmp_path, database, **settings), ProfileError)
    assert told in found
    assert "`dbt debug` tests it" in found
    assert "hunter2" not in found


def test_an_adapter_that_is_not_installed(tmp_path: Path, database: Database) -> None:
    told = failure(project(tmp_path, database, profile={"type": "oracle"}), AdapterMissingError)
    assert "Could not find adapter type oracle" in told
    assert "pip install dbt-oracle" in told


@pytest.mark.parametrize("second", [None, "dbt", "dbt-oss"])
def test_dbt_that_is_not_installed(tmp_path: Path, database: Database, second: str | None) -> None:
    made = project(tmp_path, database)
    installed = tmp_path / "installed"
    if second is not None:  # what pip leaves behind of dbt v2, which has no package of Python's
        record = installed / f"{second.replace('-', '_')}-2.0.9.dist-info" / "METADATA"
        record.parent.mkdir(parents=True)
        record.write_text(f"Metadata-Version: 2.1\nName: {second}\nVersion: 2.0.9\n")
    code = f"""
import sys
sys.path.insert(0, {str(installed)!r})

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "dbt":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
from pathlib import Path
from dagster_transform.config import DbtProject
from dagster_transform.dbt import read_project
folder = Path({str(made.folder)!r})
project = DbtProject(framework="dbt", path=folder)
try:
    read_project("d", project, root=folder, artifacts=None, sources={{}})
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = f"{second} 2.0.9 is installed" if second else "dbt is not installed"
    assert done.stdout.startswith(f"{DbtMissingError.__name__} {told}")
    assert ("pip uninstall" in done.stdout) is (second is not None)
    assert "pip install 'dagster-transform[dbt]'" in done.stdout


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"models/b.sql": "select {{ 1 +"}, "Compilation Error in model b (models/b.sql)"),
        ({"dbt_project.yml": "name: [x"}, "its dbt_project.yml can't be used: Syntax error"),
    ],
)
def test_a_project_with_an_error_in_its_files(
    tmp_path: Path, database: Database, files: dict[str, str], told: str
) -> None:
    made = project(tmp_path, database, files)
    found = failure(made, DbtParseError)
    assert found.startswith("Project d: ")
    assert told in found
    assert f"check with `dbt parse` in {made.folder}" in found


def test_details_that_dbt_only_logs_are_told(tmp_path: Path, database: Database) -> None:
    semantic = """
        semantic_models:
          - name: a
            model: ref('a')
            entities: [{name: e, type: primary, expr: n}]
            defaults: {agg_time_dimension: day}
            dimensions: [{name: day, type: time, type_params: {time_granularity: day}}]
            measures: [{name: n, agg: sum}]
        metrics:
          - {name: n, label: n, type: simple, type_params: {measure: n}}
        """
    spine = {
        "models/days.sql": "select cast('2024-01-01' as date) as d",
        "models/days.yml": """
            models:
              - name: days
                time_spine: {standard_granularity_column: d}
                columns: [{name: d, granularity: day}]
            """,
    }
    made = project(tmp_path, database, {"models/s.yml": semantic, **spine})
    told = failure(made, DbtParseError)
    assert "Semantic Manifest validation failed" in told
    assert "names cannot match reserved time granularity keywords" in told


def test_what_our_side_finds_wrong_is_told_as_clearly(tmp_path: Path, database: Database) -> None:
    circle = {
        "models/b.sql": "select * from {{ ref('c') }}",
        "models/c.sql": "select * from {{ ref('b') }}",
    }
    made = project(tmp_path, database, circle)
    with pytest.raises(CycleError, match="b -> c -> b"):
        made.read()
    text = "{{ config(meta={'dagster_transform': {'cron': 'sometimes'}}) }} select 1 as n"
    made.write({"models/b.sql": text})
    with pytest.raises(NodeConfigError, match=r"model\.shop\.b \(models/b\.sql\)"):
        made.read()


def test_a_dbt_process_that_is_killed(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path, database)
    suicide = tmp_path / "python"
    suicide.write_text("#!/bin/sh\nkill -9 $$\n")
    suicide.chmod(suicide.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(suicide))
    told = failure(made, DbtParseError)
    assert f"the dbt process ended with exit code -{int(signal.SIGKILL)}" in told


def test_a_project_that_fails_keeps_what_was_there(tmp_path: Path, database: Database) -> None:
    made = project(tmp_path, database)
    made.read()
    before = {path.name: path.read_bytes() for path in made.artifacts.iterdir()}
    made.write({"models/b.sql": "select {{ 1 +"})
    with pytest.raises(DbtParseError):
        made.read()
    assert {path.name: path.read_bytes() for path in made.artifacts.iterdir()} == before
