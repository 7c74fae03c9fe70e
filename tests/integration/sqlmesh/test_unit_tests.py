"""`plan: auto` where SQLMesh's unit tests fail: as `sqlmesh plan`, it plans nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmesh.utils.errors import PlanError

from dagster_transform.planning import Outcome
from dagster_transform.sqlmesh.errors import PlanRefusedError
from tests.support.sqlmesh_projects import Database, Project, utc

NOW = utc("2024-03-05 10:30")
QUERY = "SELECT COUNT(*)::INT AS n FROM mart.a"
MODELS = {
    "mart.a": "kind FULL\n---\nSELECT 1::INT AS id",
    "mart.b": f"kind FULL\n---\n{QUERY}",
}
UNIT_TEST = """
test_b:
  model: mart.b
  inputs:
    mart.a: {rows: [{id: 1}, {id: 2}]}
  outputs:
    query: {rows: [{n: 2}]}
"""
WRONG = f"kind FULL\n---\n{QUERY.replace(')::INT', ')::INT + 1')}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(
        tmp_path / "p",
        Database.in_file(tmp_path / "w.duckdb"),
        MODELS,
        files={"tests/test_b.yaml": UNIT_TEST},
    )


@pytest.mark.parametrize("environment", ["prod", "dev"])
@pytest.mark.parametrize("first", [True, False])
def test_a_failing_test_refuses_the_plan(project: Project, environment: str, first: bool) -> None:
    options = {"plan_mode": "auto", "environment": environment}
    if not first:
        run = project.run(NOW, **options)
        assert run.outcome(f"p:promotion of {environment}") is Outcome.PROMOTED
    before = project.environment(environment)
    project.model("mart.b", WRONG)
    for selected in (None, ["mart.a", "mart.b"]):
        with pytest.raises(PlanRefusedError, match=r"unit tests fail:\n- test_b: "):
            project.run(NOW, selected, **options)
    assert project.environment(environment) == before
    with project.native() as context, pytest.raises(PlanError, match="failing test"):
        context.plan(environment, auto_apply=True, no_prompts=True)
    skipped = project.run(NOW, skip_tests=True, **options)
    assert skipped.outcome(f"p:promotion of {environment}") is Outcome.PROMOTED
    # Equal to the files: nothing is planned, and a run builds what the environment has.
    assert project.run(NOW, **options).outcome("mart.b") is Outcome.BUILT


def test_a_test_that_cannot_be_run_refuses_the_plan_too(project: Project) -> None:
    project.write({"tests/test_b.yaml": UNIT_TEST.partition("  outputs")[0]})
    with pytest.raises(PlanRefusedError, match="test_b"):
        project.run(NOW, plan_mode="auto")
    assert project.environment() is None
