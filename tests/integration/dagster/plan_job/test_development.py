"""The plan job on development environments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_transform.graph import Presence, read_graph_file
from tests.support.plan_jobs import (
    FIRST,
    JOB,
    MODELS,
    NEXT_DAY,
    QUICK,
    A,
    apply,
    at,
    digest,
    edit,
    explain,
    text,
    transform_of,
)
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

# -- development ----------------------------------------------------------------------------------


@pytest.fixture
def development(tmp_path: Path) -> Iterator[Transform]:
    """A project that targets an environment dev beside a planned prod; mart.b is changed."""
    project = Project(
        tmp_path / "p",
        Database.in_file(tmp_path / "w.duckdb"),
        MODELS,
        environment="dev",
        config=QUICK,
    )
    transform = transform_of(tmp_path, project)
    project.plan_natively(utc(FIRST))
    edit(transform)
    yield transform
    transform.close()


def test_a_new_development_environment_is_compared_with_prod(development: Transform) -> None:
    project = development.projects[0]
    shown = explain(development, FIRST)
    assert "The environment is new: compared with prod." in text(shown)
    assert "- `mart.b` (FULL): breaking" in text(shown)
    prod = project.environment("prod").plan_id
    story = apply(development, digest(shown))
    assert story.success
    assert story.started == ["mart.b", "mart.c"]
    assert sorted(story.materialized) == ["a", "b", "c", "words"]  # the new views show them all
    assert project.database.content("mart__dev.c") == [(13,)]
    assert project.database.content("mart__dev.words") == [(7,)]  # unchanged, and there
    assert project.database.content("mart.c") == [(12,)]
    assert project.environment("prod").plan_id == prod
    graph = read_graph_file(development.graph_path()).graph
    assert {node.presence for node in graph.nodes.values()} == {Presence.EQUAL}


def test_an_environment_without_changes_says_what_it_adds(development: Transform) -> None:
    project = development.projects[0]
    edit(development, "SELECT COUNT(*) AS n FROM mart.a")  # as it was
    shown = explain(development, FIRST)
    assert "- a new environment, whose models are those of prod" in text(shown)
    edit(development)
    project.plan_natively(utc(FIRST), "dev")  # with what has changed, and nothing else
    shown = explain(development, FIRST)
    assert "- views of unchanged models, which the environment does not have yet" in text(shown)
    assert apply(development, digest(shown)).success
    assert project.database.content("mart__dev.words") == [(7,)]
    assert "**Nothing to do**" in text(explain(development, FIRST))


def test_a_plan_of_prod_in_between_refuses_a_new_environment(development: Transform) -> None:
    project = development.projects[0]
    shown = explain(development, FIRST)
    project.model("mart.words", "kind FULL\n---\nSELECT 3 AS n")
    project.plan_natively(utc(FIRST), select_models=["mart.words"])
    refused = apply(development, digest(shown))
    assert not refused.success
    assert "- environment prod has another plan now" in refused.failure


def test_start_and_end_bound_a_development_backfill(development: Transform) -> None:
    development.projects[0].model("mart.a", A.replace("SELECT id, ds", "SELECT id + 1 AS id, ds"))
    bounds = {"start": "2024-03-02", "end": "2024-03-03"}
    shown = explain(development, FIRST, **bounds)
    assert "| `mart.a` | 2024-03-02 to 2024-03-03 |" in text(shown)
    story = apply(development, digest(shown), **bounds)
    assert story.success
    assert development.projects[0].database.content("mart__dev.b") == [(7,)]


def test_prod_takes_no_start_as_sqlmesh_says(planned: Transform) -> None:
    edit(planned)
    story = planned.job(JOB, {"start": "2024-03-02"}, **at(NEXT_DAY))
    assert not story.success
    assert "can't be set for a production plan without restatements" in story.failure


def test_previews_of_forward_only_changes_are_explained_and_built(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "p",
        Database.in_file(tmp_path / "w.duckdb"),
        {**MODELS, "mart.a": A.replace("column ds", "column ds, forward_only true")},
        environment="dev",
        config={**QUICK, "plan": {"enable_preview": True}},
    )
    transform = transform_of(tmp_path, project)
    project.plan_natively(utc(FIRST))
    edited = A.replace("column ds", "column ds, forward_only true")
    project.model("mart.a", edited.replace("SELECT id, ds", "SELECT id + 1 AS id, ds"))
    shown = explain(transform, FIRST)
    assert "forward-only" in text(shown)
    assert "**Previews that are built again" in text(shown)
    story = apply(transform, digest(shown))
    assert story.success, story.failure
    assert "a" in story.materialized
    transform.close()
