"""An environment that nobody has planned yet: what is said is what works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

NOW = "2024-03-05T10:30:00+00:00"
MODELS = {"mart.a": "kind FULL\n---\nSELECT 1 AS n"}


@pytest.fixture(params=["prod", "dev"])
def transform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transform]:
    """In a folder whose name has a blank, with a gateway that is not the default one."""
    folder = tmp_path / "my project"
    folder.mkdir()
    database = Database.in_file(folder / "w.duckdb")
    gateways = {
        "wrong": {"connection": {"type": "duckdb", "database": str(folder / "wrong.duckdb")}},
        "right": {"connection": database.connection},
    }
    config: dict[str, Any] = {"gateways": gateways, "default_gateway": "wrong"}
    project = Project(folder / "p", database, MODELS, environment=request.param, config=config)
    found = Transform(folder, [project], gateway="right")
    yield found
    found.close()


def prepared(transform: Transform) -> str:
    """What `prepare` says."""
    done = transform.command("dagster_transform.cli", "prepare")
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(transform: Transform) -> list[tuple[Any, ...]]:
    (project,) = transform.projects
    schema = "mart" if project.config.environment == "prod" else "mart__dev"
    return project.database.content(f"{schema}.a")


def run_config(text: str) -> dict[str, Any]:
    """The run config that a text names."""
    (found,) = re.findall(r"run config (\{.*\})", text)
    config: dict[str, Any] = yaml.safe_load(found)["ops"]["plan_p"]["config"]
    return config


def command(text: str) -> str:
    (found,) = re.findall(r"`(cd .* && sqlmesh .*?)`", text)
    return found


def test_the_job_that_prepare_names_plans_it(transform: Transform) -> None:
    said = prepared(transform)
    assert "was never planned" in said
    assert "the job p_plan" in said
    story = transform.job("p_plan", run_config(said))
    assert story.success, story.failure
    assert shown(transform) == [(1,)]
    assert "never planned" not in prepared(transform)


def test_the_command_that_prepare_names_plans_it(transform: Transform, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command(prepared(transform)), shell=True, cwd=tmp_path, check=False, text=True,
        capture_output=True, stdin=subprocess.DEVNULL, env=transform.environment(PATH=path),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert shown(transform) == [(1,)]
    assert not (transform.folder / "wrong.duckdb").exists()
    assert transform.run(execution_time=NOW).success


def test_a_run_says_the_same(transform: Transform) -> None:
    said = prepared(transform)
    failure = transform.run(execution_time=NOW).failure
    assert run_config(failure) == run_config(said) == {"apply": True}
    assert command(failure) == command(said)
    check = transform.command("dagster_transform.cli", "prepare", "--check")
    assert check.returncode == 1
    assert command(check.stdout) == command(said)


def test_with_plan_auto_the_first_run_plans(transform: Transform) -> None:
    transform.configure(gateway="right", plan="auto")
    assert "the first run plans it (plan: auto)" in prepared(transform)
    assert transform.run(execution_time=NOW).success
    assert shown(transform) == [(1,)]
