"""What the plan job applies is what SQLMesh itself would have applied."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dagster_transform.graph import Presence, read_graph_file
from tests.support.plan_jobs import (
    FIRST,
    JOB,
    MODELS,
    QUICK,
    A,
    B,
    apply,
    at,
    digest,
    explain,
    text,
    transform_of,
)
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

# -- what it applies ------------------------------------------------------------------------------


def test_a_first_plan_applies_what_it_has_just_explained(transform: Transform) -> None:
    story = apply(transform)
    assert story.success
    assert sorted(story.materialized) == ["a", "b", "c", "words"]
    assert "Plan applied: environment prod is equal to the files." in story.log
    assert transform.projects[0].database.content("mart.words") == [(7,)]
    graph = read_graph_file(transform.graph_path()).graph
    assert {node.presence for node in graph.nodes.values()} == {Presence.EQUAL}
    assert apply(transform).started == []


def test_models_that_the_code_location_has_not_loaded_are_applied_and_told(
    planned: Transform,
) -> None:
    planned.projects[0].model("mart.new", "kind FULL\n---\nSELECT n FROM mart.b")
    story = apply(planned)
    assert story.success
    assert sorted(story.materialized) == ["a", "b", "c", "new", "words"]
    outcomes = {n: story.materialization(n).metadata for n in ("c", "words")}
    synced = {n for n, m in outcomes.items() if m["dagster_transform/outcome"].value == "synced"}
    assert synced == {"c", "words"}  # a shell has planned them before
    graph = read_graph_file(planned.graph_path()).graph
    assert "mart.new" in {node.name for node in graph.nodes.values()}
    assert [k for k in planned.repository().asset_graph.get_all_asset_keys() if "new" in k.path]


@pytest.mark.parametrize("change", ["removed", "metadata", "statements"])
def test_a_plan_without_a_backfill_is_applied(planned: Transform, change: str) -> None:
    project = planned.projects[0]
    if change == "removed":
        (project.folder / "models/mart.words.sql").unlink()
    elif change == "metadata":
        project.model("mart.b", "description 'Counts',\n" + MODELS["mart.b"])
    else:
        end_with(project, "CREATE OR REPLACE TABLE src.after AS SELECT 1 AS n")
    shown = explain(planned)
    assert "**Backfill**: none." in text(shown)
    statements = "- before_all or after_all statements"
    assert (statements in text(shown)) == (change == "statements")
    before = project.environment().plan_id
    story = apply(planned, digest(shown))
    assert story.success
    assert story.started == []
    assert "Plan applied: environment prod is equal to the files." in story.log
    assert project.environment().plan_id != before
    tables = project.database.tables()
    assert ("mart.words" in tables) == (change != "removed")
    assert ("src.after" in tables) == (change == "statements")
    assert "**Nothing to do**" in text(explain(planned))


def end_with(project: Project, statement: str) -> None:
    config = yaml.safe_load((project.folder / "config.yaml").read_text())
    project.write({"config.yaml": yaml.safe_dump({**config, "after_all": [statement]})})


def test_another_statement_is_another_plan(planned: Transform) -> None:
    end_with(planned.projects[0], "CREATE OR REPLACE TABLE src.after AS SELECT 1 AS n")
    shown = explain(planned)
    end_with(planned.projects[0], "CREATE OR REPLACE TABLE src.after AS SELECT 2 AS n")
    refused = apply(planned, digest(shown))
    assert not refused.success
    assert "- before_all or after_all statements, or Python requirements, have" in refused.failure


def test_checks_that_block_nothing_are_run_too(planned: Transform) -> None:
    text = MODELS["mart.b"].replace("threshold := 0", "threshold := 5, blocking := false")
    planned.projects[0].model("mart.b", text.replace("COUNT(*)", "COUNT(*) + 1"))
    story = apply(planned)
    assert story.success
    assert story.checks == {"a:not_null": True, "b:number_of_rows": False}


def test_a_plan_that_removes_the_last_model(planned: Transform) -> None:
    project = planned.projects[0]
    for path in (project.folder / "models").glob("*.sql"):
        path.unlink()
    story = apply(planned)
    assert story.success
    assert not any(table.startswith("mart.") for table in project.database.tables())


@pytest.mark.parametrize("run", [True, False])
def test_the_job_does_what_sqlmesh_itself_does(tmp_path: Path, run: bool) -> None:
    """Tables and intervals, plan by plan. Without `run` at moments at which nothing is due."""
    twins = []
    for name in ("ours", "native"):
        folder = tmp_path / name
        folder.mkdir()
        database = Database.in_file(folder / "w.duckdb")
        project = Project(folder / "p", database, MODELS, config=QUICK)
        twins.append(transform_of(folder, project))
    ours, native = twins

    def both(moment: str, model: str | None = None, text: str | None = None) -> None:
        for transform in twins:
            project = transform.projects[0]
            if model is not None and text is not None:
                project.model(model, text)
            elif model is not None:
                (project.folder / f"models/{model}.sql").unlink()
        story = ours.job(JOB, {"apply": True, "run": run}, **at(moment))
        assert story.success, story.failure
        native.projects[0].plan_natively(utc(moment))
        mine, theirs = (t.projects[0].database for t in twins)
        tables = {t for t in theirs.tables() if not t.startswith(("sqlmesh._", "src."))}
        assert {t for t in mine.tables() if not t.startswith(("sqlmesh._", "src."))} == tables
        assert mine.contents(tables) == theirs.contents(tables)
        assert mine.intervals() == theirs.intervals()

    later = [FIRST, "2024-03-06 10:30", "2024-03-07 10:30"] if run else [FIRST] * 3
    both(later[0])
    both(later[1], "mart.b", B.replace("{query}", "SELECT COUNT(*) AS n, 2 AS m FROM mart.a"))
    both(later[1], "mart.new", "kind FULL\n---\nSELECT n FROM mart.c")
    both(later[2], "mart.a", A.replace("SELECT id, ds", "SELECT id + 1 AS id, ds"))
    both(later[2], "mart.words")
    both(
        later[2],
        "mart.a",
        A.replace("SELECT id, ds", "SELECT id + 1 AS id, ds").replace("kind", "owner me, kind"),
    )
    for transform in twins:
        transform.close()


@pytest.mark.postgres
@pytest.mark.long
def test_it_applies_on_postgres_with_several_workers(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    project = Project(tmp_path / "p", Database.in_postgres(postgres_database), MODELS)
    transform = transform_of(tmp_path, project)
    shown = explain(transform)
    story = apply(transform, digest(shown))
    assert story.success
    assert sorted(story.materialized) == ["a", "b", "c", "words"]
    assert project.database.content("mart.b") == [(15,)]
    transform.close()
