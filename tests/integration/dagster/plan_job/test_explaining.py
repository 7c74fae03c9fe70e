"""What the plan job explains, in the log and as metadata."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.support.plan_jobs import (
    JOB,
    MODELS,
    NEXT_DAY,
    OP,
    QUICK,
    A,
    apply,
    at,
    digest,
    edit,
    explain,
    metadata,
    text,
    transform_of,
)
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

# -- what it explains -----------------------------------------------------------------------------


def test_everything_is_explained_in_the_log_and_as_metadata(planned: Transform) -> None:
    project = planned.projects[0]
    edit(planned)
    project.model("mart.new", "kind FULL\n---\nSELECT 1 AS n")
    project.model("mart.a", A.replace("kind", "description 'Rows',\nkind"))
    (project.folder / "models/mart.words.sql").unlink()
    shown = explain(planned)
    told = metadata(shown)
    assert {k: told[k] for k in ("added", "changed", "changed_by_upstream", "removed")} == {
        "added": 1,
        "changed": 2,
        "changed_by_upstream": 1,
        "removed": 1,
    }
    for line in (
        "- `mart.new` (FULL)",
        "- `mart.a` (INCREMENTAL_BY_TIME_RANGE): metadata",
        "- `mart.b` (FULL): breaking",
        "- `mart.c` (VIEW): indirect breaking",
        "- `mart.words` (FULL)",
        "| `mart.a` | 2024-03-05 (unchanged, but due) |",
        "| `mart.b` | the whole table |",
        "| `mart.c` | the view |",
        "+  COUNT(*) + 1 AS n",
    ):
        assert line in text(shown).splitlines()
    assert any(told["plan"] in line for line in shown.log)
    mart = f"{project.database.catalog}/mart"
    assert f"- `{mart}/new` (FULL)" in told["plan"].splitlines()
    changes = {c["name"].removeprefix(f"{mart}/"): c["how"] for c in told["plan_json"]["changes"]}
    assert changes == {
        "a": "metadata",
        "b": "direct",
        "c": "indirect",
        "new": "added",
        "words": "removed",
    }
    run = planned.instance.get_run_by_id(shown.run_id)
    assert run is not None
    assert run.tags["dagster_transform/plan_digest"] == digest(shown)


def test_the_snippet_applies_exactly_what_was_shown(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned, run=True)
    snippet = metadata(shown)["apply_with"].removeprefix("```yaml\n").removesuffix("\n```")
    config = yaml.safe_load(snippet)
    assert config == {
        "ops": {OP: {"config": {"apply": True, "digest": digest(shown), "run": True}}}
    }
    assert (
        snippet in shown.log[shown.log.index("Project p: reading its files, making its plan") + 1]
    )
    applied = planned.job(JOB, config["ops"][OP]["config"])
    assert applied.success
    assert sorted(applied.materialized) == ["a", "b", "c", "words"]


def test_other_options_are_another_plan(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned)
    refused = apply(planned, digest(shown), run=True)
    assert not refused.success
    assert "- other options: was none, now run=True" in refused.failure


def test_an_environment_that_is_equal_has_nothing_to_do(planned: Transform) -> None:
    plan_id = planned.projects[0].environment().plan_id
    for config in ({}, {"apply": True}):
        story = planned.job(JOB, config, **at(NEXT_DAY))
        assert story.success
        assert "**Nothing to do**" in text(story)
        assert "apply_with" not in metadata(story)
        assert story.started == []
    assert planned.projects[0].environment().plan_id == plan_id


def test_run_builds_also_what_is_due(planned: Transform) -> None:
    story = apply(planned, run=True)
    assert story.success
    assert sorted(story.materialized) == ["a", "b", "c", "words"]
    assert planned.projects[0].database.content("mart.b") == [(15,)]


# -- what it does not build -----------------------------------------------------------------------

HELD = """
from sqlmesh import signal

@signal()
def landed(batch) -> bool:
    return False
"""


def test_changed_models_that_keep_their_tables_are_left_to_runs_and_that_is_said(
    planned: Transform,
) -> None:
    project = planned.projects[0]
    project.model("mart.a", A.replace("kind", "description 'Rows',\nkind"))
    shown = explain(planned)
    due = "- `mart.a`: 2024-03-05 is due, and built by the next run"
    assert "**Backfill**: none." in text(shown)
    assert due in text(shown).splitlines()
    before = project.database.intervals()
    assert apply(planned, digest(shown)).success
    assert project.database.intervals() == before
    run = planned.run(["mart.a"], **at(NEXT_DAY))
    assert run.materialized == ["a"]
    assert project.database.intervals() != before
    with_due = explain(planned, run=True)
    assert due not in text(with_due)


def test_what_a_signal_holds_is_said_and_not_built(planned: Transform) -> None:
    project = planned.projects[0]
    project.write({"signals/__init__.py": HELD})
    project.model("mart.new", "kind FULL,\nsignals (landed())\n---\nSELECT 1 AS n")
    shown = explain(planned)
    (reason,) = [w["reason"] for w in metadata(shown)["plan_json"]["waiting"]]
    assert reason.startswith("a signal, its own or an upstream's, holds back")
    assert f"- `mart.new`: {reason}" in text(shown).splitlines()
    story = apply(planned, digest(shown))
    assert story.success
    assert story.observed["new"] == ["waiting"]
    assert story.reason("new") == reason
    assert "new" not in story.materialized
    assert project.database.content("mart.new") == []


def test_an_environment_that_has_expired_is_kept_by_its_plan(tmp_path: Path) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    project = Project(tmp_path / "p", database, MODELS, config=QUICK, environment="dev")
    transform = transform_of(tmp_path, project)
    assert apply(transform).success
    assert "**Nothing to do**" in text(explain(transform))
    database.execute("UPDATE sqlmesh._environments SET expiration_ts = 1700000000000")
    shown = explain(transform)
    assert "the environment is kept, which has expired on 2023-11-14 22:13 UTC" in text(shown)
    assert apply(transform, digest(shown)).success
    assert project.environment("dev").expiration_ts > 1700000000000
    transform.close()
