"""The plan job when something fails on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator

import pytest

from dagster_transform.dagster.jobs import planning
from dagster_transform.runs.events import RunEvent
from dagster_transform.runs.summary import RunSummary
from tests.support.plan_jobs import (
    BAD_WORDS,
    GOOD_WORDS,
    JOB,
    A,
    apply,
    digest,
    edit,
    explain,
    text,
)
from tests.support.transforms import Transform

# -- failures -------------------------------------------------------------------------------------


def test_a_failing_backfill_names_model_and_error_and_promotes_nothing(
    planned: Transform,
) -> None:
    project = planned.projects[0]
    edit(planned)
    words = A.replace("id, ds FROM src.raw", "CAST(word AS INT) AS id, ds FROM src.words")
    project.model("mart.words", words)
    shown = explain(planned)
    project.database.execute(BAD_WORDS)
    plan_id = project.environment().plan_id
    failed = apply(planned, digest(shown))
    assert not failed.success
    assert len(failed.failures) == 1
    key = f"{project.database.catalog}/mart/words"
    line = next(x for x in failed.failure.split("\n\n") if x.startswith(f"failed: {key}\n"))
    assert "2024-03-01 to 2024-03-05" in line
    assert "seven" in line
    assert failed.materialized == []
    assert project.environment().plan_id == plan_id
    assert project.database.content("mart.c") == [(12,)]

    # Once the data is right the same digest goes on from there.
    project.database.execute(GOOD_WORDS)
    again = apply(planned, digest(shown))
    assert again.success
    assert again.started == ["mart.words"]
    assert set(again.materialized) >= {"b", "c", "words"}
    assert project.database.content("mart.c") == [(16,)]


def test_a_failing_blocking_check_promotes_nothing(planned: Transform) -> None:
    project = planned.projects[0]
    edit(planned)
    project.database.execute("INSERT INTO src.raw VALUES (NULL, DATE '2024-03-05')")
    plan_id = project.environment().plan_id
    failed = apply(planned)
    assert not failed.success
    assert failed.checks == {"a:not_null": False}
    assert project.environment().plan_id == plan_id


def test_an_environment_that_a_plan_left_unfinished_is_explained_and_completed(
    planned: Transform,
) -> None:
    project = planned.projects[0]
    edit(planned)
    shown = explain(planned)
    assert apply(planned, digest(shown)).success
    # As if it had been killed before its last step.
    project.database.execute(
        "UPDATE sqlmesh._environments SET finalized_ts = NULL WHERE name = 'prod'"
    )
    shown = explain(planned)
    assert "(not finished): compared with what it had before" in text(shown)
    assert "- `mart.b` (FULL): breaking" in text(shown)
    story = apply(planned, digest(shown))
    assert story.success
    assert project.environment().finalized_ts
    assert "**Nothing to do**" in text(explain(planned))


def test_a_walk_that_ends_without_a_promotion_is_a_failure(
    planned: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it comes to that: what was not applied is never told as applied."""

    def ends_at_once(*_: object, **__: object) -> Generator[RunEvent, None, RunSummary]:
        yield from ()
        return RunSummary(failed=False, rows=(), good=0)

    monkeypatch.setattr(planning, "carry_out", ends_at_once)
    edit(planned)
    story = apply(planned)
    assert not story.success
    assert "the plan was not applied, and environment prod is what it was" in story.failure


def test_no_connection_is_left_open(planned: Transform) -> None:
    """Nothing but another process can tell whether DuckDB's file is free."""
    file = planned.projects[0].database.connection["database"]

    def is_free() -> bool:
        probe = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('SELECT 1')"
        return subprocess.run([sys.executable, "-c", probe, file], check=False).returncode == 0

    edit(planned)
    shown = explain(planned)
    assert is_free()
    edit(planned, "SELECT 3 AS n")
    assert not apply(planned, digest(shown)).success
    assert is_free()
    assert apply(planned).success
    assert is_free()


def test_a_project_that_can_not_be_loaded_fails_in_words(planned: Transform) -> None:
    planned.projects[0].model("mart.b", "kind NOTHING\n---\nSELECT 1 AS n")
    story = planned.job(JOB)
    assert not story.success
    assert "Project p can't be loaded" in story.failure


def test_a_graph_file_that_can_not_be_written_is_a_warning(planned: Transform) -> None:
    edit(planned)
    path = planned.graph_path()
    path.unlink()
    path.mkdir()
    story = apply(planned)
    assert story.success
    assert any("dagster-transform prepare --project p" in line for line in story.log)
