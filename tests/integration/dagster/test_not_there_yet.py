"""What assets say of themselves as long as their environment does not have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dagster_transform import build_transform_definitions, load_config
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

MODELS = {"mart.a": "kind FULL, description 'The first.'\n---\nSELECT 1 AS n"}
ADDED = "kind FULL\n---\nSELECT n FROM mart.a"


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    found = Transform(tmp_path, [project])
    yield found
    found.close()


def described(transform: Transform) -> dict[str, str]:
    transform.prepare()
    specs = build_transform_definitions(load_config(transform.folder)).resolve_all_asset_specs()
    return {spec.key.path[-1]: spec.description or "" for spec in specs}


def test_what_the_environment_does_not_have_says_so_and_what_to_press(
    transform: Transform,
) -> None:
    (project,) = transform.projects
    (text,) = described(transform).values()  # nobody has planned it
    assert text.startswith("**Environment prod does not have it yet**")
    assert "the job `p_plan`" in text
    assert "`sqlmesh plan prod`" in text
    assert "\n\nThe first." in text

    project.plan_natively(utc("2024-03-05 10:30"))
    project.model("mart.b", ADDED)  # and one that comes after the plan
    found = described(transform)
    assert found["a"].startswith("The first.")
    assert found["b"].startswith("**Environment prod does not have it yet**")

    transform.configure(plan="auto")
    assert "*Materialize* plans and builds it" in described(transform)["b"]
    project.plan_natively(utc("2024-03-05 11:30"))
    assert "does not have it yet" not in described(transform)["b"]


def test_a_run_names_what_its_environment_does_not_have_and_fails_if_a_person_asked_for_that_alone(
    transform: Transform,
) -> None:
    (project,) = transform.projects
    project.plan_natively(utc("2024-03-05 10:30"))
    project.model("mart.b", ADDED)
    transform.prepare()

    alone = transform.run(["mart.b"])
    assert not alone.success
    assert alone.observed == {"b": ["not_promoted"]}
    (line,) = [line for line in alone.log if "w/mart/b: not_promoted" in line]
    for said in ("not in environment prod", "the job p_plan", f"cd {project.folder}", "plan prod"):
        assert said in line
        assert said in alone.failure
    assert "Run plan: 0 nodes to build, 1 left out." in alone.log

    with_another = transform.run(["mart.a", "mart.b"])
    assert with_another.success
    assert with_another.materialized == ["a"]
    assert [line for line in with_another.log if "w/mart/b: not_promoted" in line] == [line]

    tick = transform.run(["mart.b"], tags={"dagster/schedule_name": "s"})
    assert tick.success
    assert [each for each in tick.log if "w/mart/b: not_promoted" in each] == [line]
    done = transform.run(["mart.a"], tags={"dagster/schedule_name": "s"})
    (said,) = done.of(dg.DagsterEventType.STEP_EXPECTATION_RESULT)
    assert "1 selected node is up to date" in str(said.event_specific_data)
