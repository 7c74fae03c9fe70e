"""`dagster-transform job-groups` on a real SQLMesh project and its environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from dagster_transform.cli import main
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

FIRST = utc("2024-03-05 10:30")
MODELS = {
    "mart.raw": "kind FULL,\ncron '@hourly'\n---\nSELECT 1 AS n",
    "mart.day": "kind FULL,\ncron '@daily'\n---\nSELECT n FROM mart.raw",
}
TRANSLATOR = """
import dagster as dg
from dagster_transform import TransformTranslator

class Upper(TransformTranslator):
    def get_asset_key(self, node):
        return dg.AssetKey([part.upper() for part in super().get_asset_key(node).path])
"""


@pytest.fixture
def transform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transform]:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    transform = Transform(tmp_path, [project])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_TRANSFORM_CONFIG", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    yield transform
    transform.close()


def run(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, ["job-groups", *arguments], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def written() -> dict[str, list[str]]:
    found = yaml.safe_load(Path("job_groups.yaml").read_text())["job_groups"]
    return {name: each["nodes"] for name, each in found.items()}


def test_groups_are_of_what_the_environment_has(transform: Transform) -> None:
    transform.prepare()
    nothing = run("generate", "--dry-run", code=1)
    assert "2 nodes in no group: environment prod does not have it yet" in nothing.stdout
    assert "the 2 nodes with a cron are not in the environment yet" in nothing.stderr
    folder = transform.projects[0].folder
    assert f"`cd {folder} && sqlmesh plan prod --auto-apply`" in nothing.stderr
    assert "`--from files`" in nothing.stderr
    assert "no node has a cron" not in nothing.stderr
    transform.projects[0].plan_natively(FIRST)
    transform.prepare()
    run("generate")
    names = {"hourly": ["w/mart/raw"], "daily": ["w/mart/day"]}
    assert written() == names
    # They are the keys that Dagster shows.
    keys = {key.to_user_string() for key in transform.repository().asset_graph.get_all_asset_keys()}
    assert {name for each in names.values() for name in each} <= keys
    run("check", "--strict")
    assert "hourly of Tue 00:00" in run("simulate", "--from", "2024-03-04T23:30").stdout
    before = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    soon = json.loads(run("simulate", "--hours", "1", "--as", "json").stdout)
    assert datetime.fromisoformat(soon["start"]) >= before, "what has ticked is no tick to come"
    (tick,) = [each for each in soon["ticks"] if each["job_group"] == "hourly"]
    assert datetime.fromisoformat(tick["tick"]) >= before


def test_a_translator_s_names(transform: Transform) -> None:
    transform.projects[0].plan_natively(FIRST)
    transform.prepare()
    Path("upper_keys.py").write_text(TRANSLATOR)
    run("generate", "--translator", "upper_keys:Upper")
    assert written() == {"hourly": ["W/MART/RAW"], "daily": ["W/MART/DAY"]}
    run("check", "--strict", "--translator", "upper_keys:Upper")
    run("check", "--strict")  # upper and lower case are equal
