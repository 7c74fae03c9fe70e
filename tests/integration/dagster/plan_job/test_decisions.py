"""The plan job where somebody has to decide, or unit tests fail."""

from __future__ import annotations

from pathlib import Path

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
    metadata,
    text,
    transform_of,
)
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

# -- forward-only, decisions, tests ---------------------------------------------------------------


def test_a_forward_only_plan_keeps_the_tables(planned: Transform) -> None:
    project = planned.projects[0]
    project.model("mart.a", A.replace("SELECT id, ds", "SELECT id + 100 AS id, ds"))
    tables = project.database.tables("sqlmesh__%")
    shown = explain(planned, forward_only=True)
    assert "- `mart.a` (INCREMENTAL_BY_TIME_RANGE): breaking, forward-only" in text(shown)
    story = apply(planned, digest(shown), forward_only=True)
    assert story.success
    assert {t for t in project.database.tables("sqlmesh__%") if "__a__" in t} <= tables
    assert (0, project.database.content("mart.a")[0][1]) == project.database.content("mart.a")[0]
    tick = planned.run(execution_time=at(NEXT_DAY)["execution_time"], ignore_cron=False)
    assert tick.success
    assert max(project.database.content("mart.a"))[0] == 114  # only the new day


def test_a_destructive_change_needs_to_be_allowed(planned: Transform) -> None:
    project = planned.projects[0]
    wide = A.replace("SELECT id, ds", "SELECT id::INT AS id, 'x'::TEXT AS more, ds::DATE AS ds")
    project.model("mart.a", wide)
    project.plan_natively(utc(FIRST))
    project.model("mart.a", wide.replace("'x'::TEXT AS more, ", ""))
    refused = planned.job(JOB, {"forward_only": True}, **at(FIRST))
    assert not refused.success
    assert "destructive" in refused.failure
    allowed = {"forward_only": True, "allow_destructive_models": ["mart.a"]}
    shown = explain(planned, FIRST, **allowed)
    assert apply(planned, digest(shown), **allowed).success
    columns = project.database.rows(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'mart' AND table_name = 'a'"
    )
    assert ("more",) not in columns


def test_a_change_that_somebody_has_to_decide_on_is_not_applied(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "p",
        Database.in_file(tmp_path / "w.duckdb"),
        MODELS,
        config={**QUICK, "plan": {"auto_categorize_changes": {"sql": "off"}}},
    )
    transform = transform_of(tmp_path, project)
    project.plan_natively(utc(FIRST))
    edit(transform)
    shown = explain(transform)
    assert "**Needs a decision**" in text(shown)
    assert "apply_with" not in metadata(shown)
    refused = apply(transform)
    assert not refused.success
    assert "can't categorise by itself: " in refused.failure
    assert "/mart/b" in refused.failure
    assert f"cd {project.folder} && sqlmesh plan prod" in refused.failure
    transform.close()


UNIT_TEST = """
test_b:
  model: mart.b
  inputs:
    mart.a: {rows: [{id: 1}, {id: 2}]}
  outputs:
    query: {rows: [{n: 2}]}
"""


def test_failing_unit_tests_refuse_to_apply(planned: Transform) -> None:
    project = planned.projects[0]
    project.write({"tests/test_b.yaml": UNIT_TEST})
    edit(planned)  # the count is one too many now
    plan_id = project.environment().plan_id
    refused = apply(planned)
    assert not refused.success
    assert "unit tests fail:\n- test_b" in refused.failure
    assert project.environment().plan_id == plan_id
    # Explaining it is refused too, as by `sqlmesh plan`; what it would do is shown.
    proposed = planned.job(JOB, **at(NEXT_DAY))
    assert not proposed.success
    assert "unit tests fail:\n- test_b" in proposed.failure
    assert "`mart.b` (FULL): breaking" in text(proposed)
    assert apply(planned, skip_tests=True).success
    # Nothing to plan: nothing to test.
    assert planned.job(JOB, **at(NEXT_DAY)).success
