"""A run of a SQLMesh project that plans, or that runs a development environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.planning import Outcome
from dagster_transform.sqlmesh._compat import import_sqlmesh
from dagster_transform.sqlmesh.errors import EnvironmentNotPlannedError, PlanRefusedError
from dagster_transform.walk import Finished, Started
from tests.support.sqlmesh_project_runs import (
    FIRST,
    MODELS,
    NEXT_DAY,
    PROMOTION,
    THREE_DAYS_LATER,
    changed,
    copy_of,
    state,
)
from tests.support.sqlmesh_projects import Project

# -- plans ----------------------------------------------------------------------------------------


def test_the_first_plan_goes_through_the_walk(unplanned: Project, template: Path) -> None:
    run = unplanned.run(FIRST, plan_mode="auto")
    assert {run.outcome(name) for name in MODELS} == {Outcome.BACKFILLED}
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    order = [e.unit.id for e in run.events if isinstance(e, Finished)]
    assert order[-1] == PROMOTION
    assert unplanned.environment().finalized_ts
    native = copy_of(template, unplanned.folder.parent / "native")
    assert state(unplanned) == state(native)


def test_a_plan_that_fails_promotes_nothing_and_can_be_finished(unplanned: Project) -> None:
    good = MODELS["mart.total"]
    unplanned.model("mart.total", good.replace("COUNT(*)", "CAST('x' || COUNT(*) AS INT)"))
    run = unplanned.run(FIRST, plan_mode="auto")
    assert run.outcome("mart.total") is Outcome.FAILED
    assert "ConversionException" in run.reason("mart.total")
    assert run.outcome("mart.shown") is Outcome.BLOCKED
    assert run.outcome("mart.days") is Outcome.BACKFILLED
    assert run.outcome(PROMOTION) is Outcome.BLOCKED
    assert run.reason(PROMOTION) == f"upstream failed: {unplanned.id('mart.total')}"
    assert unplanned.environment() is None
    assert not unplanned.database.tables("mart") | unplanned.database.tables("stage")

    unplanned.model("mart.total", good)
    again = unplanned.run(FIRST, plan_mode="auto")
    assert again.outcome(PROMOTION) is Outcome.PROMOTED
    # What the run before has backfilled is there already.
    assert again.outcome("mart.days") is Outcome.UP_TO_DATE
    assert again.outcome("mart.total") is Outcome.BACKFILLED
    assert unplanned.database.content("mart.shown") == [(12, 2)]
    assert len(unplanned.database.content("mart.days")) == 4


def test_a_change_that_fails_leaves_readers_what_they_had(planned: Project) -> None:
    before, plan_id = state(planned), planned.environment().plan_id
    text = MODELS["mart.total"].replace("COUNT(*)", "CAST('x' || COUNT(*) AS INT)")
    planned.model("mart.total", text)
    run = planned.run(FIRST, ["mart.total", "mart.shown"], plan_mode="auto")
    assert run.outcome("mart.total") is Outcome.FAILED
    assert run.outcome(PROMOTION) is Outcome.BLOCKED
    assert planned.environment().plan_id == plan_id
    assert state(planned) == before


def test_a_plan_takes_what_is_selected_and_refuses_to_take_more(planned: Project) -> None:
    before = state(planned)
    planned.model("mart.total", MODELS["mart.total"].replace("COUNT(*)", "100 + COUNT(*)"))
    planned.model("mart.days", MODELS["mart.days"].replace("COUNT(*)", "100 + COUNT(*)"))
    with pytest.raises(PlanRefusedError) as refused:
        planned.run(FIRST, ["mart.total"], plan_mode="auto")
    assert "w/mart/shown" in refused.value.cause
    assert "mart.days" not in refused.value.cause
    assert refused.value.remedy
    # It holds no connection: another process can open the file.
    opens = f"import duckdb; duckdb.connect({planned.database.connection['database']!r})"
    subprocess.run([sys.executable, "-c", opens], check=True, timeout=60)
    assert state(planned) == before

    run = planned.run(FIRST, ["mart.total", "mart.shown"], [], plan_mode="auto")
    assert run.outcomes == {
        "mart.total": "backfilled", "mart.shown": "backfilled", PROMOTION: "promoted"
    }  # fmt: skip
    after = state(planned)
    assert changed(before, after) == {"mart.total", "mart.shown"}
    assert after["mart.shown"] == [(112, 2)]

    last = planned.run(FIRST, ["mart.days"], [], plan_mode="auto")
    assert last.outcomes == {"mart.days": "backfilled", PROMOTION: "promoted"}
    assert {n for _, n in planned.database.content("mart.days")} == {103}


def test_the_marker_saves_loading_the_files(
    planned: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlmesh = import_sqlmesh()
    loads: list[int] = []
    load = sqlmesh.Context.load

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        loads.append(1)
        return load(self, *args, **kwargs)

    assert planned.graph
    monkeypatch.setattr(sqlmesh.Context, "load", counting)
    settings: dict[str, Any] = {"plan_mode": "auto", "marker": tmp_path / "new folder" / "m.json"}

    def how_often(**more: Any) -> int:
        loads.clear()
        run = planned.run(FIRST, ignore_cron=False, **{**settings, **more})
        assert set(run.outcomes.values()) <= {"up_to_date", "backfilled", "promoted", "checked"}
        return len(loads)

    assert how_often() == 1  # no marker yet
    assert how_often() == 0
    planned.model("mart.total", MODELS["mart.total"].replace("COUNT(*)", "1 + COUNT(*)"))
    assert planned.graph
    assert how_often() == 1  # the files have changed
    assert planned.database.content("mart.total") == [(13,)]
    assert how_often() == 0
    assert how_often(environment="dev") == 1  # another environment
    assert how_often() == how_often(environment="dev") == 0
    settings["marker"].write_text("not json")
    assert how_often() == 1
    planned.plan_natively(FIRST, include_unmodified=True, restate_models=["mart.total"])
    assert how_often() == 1  # somebody else has planned
    assert how_often() == 0


def test_a_part_of_a_project_can_be_planned_first(unplanned: Project) -> None:
    run = unplanned.run(FIRST, ["stage.raw", "mart.shown"], [], plan_mode="auto")
    assert run.outcome("stage.raw") is Outcome.BACKFILLED
    assert run.outcome("mart.shown") is Outcome.NOT_PROMOTED
    assert "upstream" in run.reason("mart.shown")
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    views = {t for t in unplanned.database.tables() if not t.startswith("sqlmesh")}
    assert views == {"src.raw", "stage.raw"}

    rest = unplanned.run(FIRST, plan_mode="auto")
    assert rest.outcome(PROMOTION) is Outcome.PROMOTED
    assert rest.outcome("stage.raw") is Outcome.UP_TO_DATE
    assert unplanned.database.content("mart.shown") == [(12, 2)]


STEP = "p:record of prod"


def forward_only(project: Project) -> str:
    """A model whose changes keep its table: SQLMesh builds them after the environment's record."""
    model = MODELS["mart.days"].replace("(time_column ds)", "(time_column ds, forward_only true)")
    project.model("mart.days", model)
    return model


def test_forward_only_models_are_built_after_the_environments_record(unplanned: Project) -> None:
    model = forward_only(unplanned)
    run = unplanned.run(FIRST, plan_mode="auto")
    assert run.outcome("mart.days") is Outcome.BACKFILLED
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    order = [event.unit.id for event in run.events if isinstance(event, Started)]
    late = order.index(STEP)
    assert [name for name in order[:late] if "stage" in name]
    assert any("days" in name for name in order[late:])
    assert not any("days" in name for name in order[:late])
    built = unplanned.database.content("mart.days")
    assert built

    unplanned.model("mart.days", model.replace("COUNT(*)", "100 + COUNT(*)"))
    run = unplanned.run(NEXT_DAY, plan_mode="auto")
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    changed = unplanned.database.content("mart.days")
    # What was there stays; the new day is counted in the new way.
    assert set(built) < set(changed)
    assert all(row[-1] > 100 for row in set(changed) - set(built))


def test_a_failure_after_the_record_is_made_good_by_the_next_run(unplanned: Project) -> None:
    model = forward_only(unplanned)
    unplanned.database.execute("CREATE TABLE src.words AS SELECT 'seven' AS word")
    word = "COUNT(*) + 0 * (SELECT MIN(word) FROM src.words)::INT"
    unplanned.model("mart.days", model.replace("COUNT(*)", word))
    run = unplanned.run(FIRST, plan_mode="auto")
    assert run.outcome("mart.days") is Outcome.FAILED
    assert run.outcome(PROMOTION) is Outcome.BLOCKED
    with pytest.raises(EnvironmentNotPlannedError, match="has not come to its end"):
        unplanned.run(FIRST, plan_mode="never")

    unplanned.database.execute("CREATE OR REPLACE TABLE src.words AS SELECT '7' AS word")
    run = unplanned.run(FIRST, plan_mode="auto")
    assert run.outcome("mart.days") is Outcome.BACKFILLED
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    assert unplanned.run(FIRST, ignore_cron=False).outcome("mart.days") is Outcome.UP_TO_DATE


def test_a_new_development_environment_has_all_nodes(planned: Project) -> None:
    settings: dict[str, Any] = {"plan_mode": "auto", "environment": "dev"}
    run = planned.run(FIRST, **settings)  # nothing differs from prod: nothing to build
    assert run.outcomes.pop(PROMOTION.replace("prod", "dev")) == "promoted"
    assert {run.outcome(name) for name in MODELS} == {Outcome.UP_TO_DATE}
    assert planned.database.content("mart__dev.shown") == [(12, 2)]
    before = state(planned)
    planned.model("mart.total", MODELS["mart.total"].replace("COUNT(*)", "100 + COUNT(*)"))
    planned.run(FIRST, ["mart.total", "mart.shown"], **settings)
    assert planned.database.content("mart__dev.shown") == [(112, 2)]
    assert [n for n in MODELS if state(planned)[n] != before[n]] == []  # prod is as it was


def test_a_node_that_is_only_in_the_files_is_not_promoted(planned: Project) -> None:
    planned.model("mart.late", "kind FULL\n---\nSELECT COUNT(*) AS n FROM mart.days")
    run = planned.run(FIRST, ["mart.late", "mart.days"])
    assert run.outcome("mart.late") is Outcome.NOT_PROMOTED
    assert run.reason("mart.late").startswith("it is in the files, not in env")
    assert "plan prod`" in run.reason("mart.late")
    assert run.outcome("mart.days") is Outcome.UP_TO_DATE


def test_a_check_of_a_node_that_is_only_in_the_files_does_not_run(planned: Project) -> None:
    text = "kind FULL, audits (not_null(columns := (n)))\n---\nSELECT COUNT(*) AS n FROM mart.days"
    planned.model("mart.late", text)
    audited = MODELS["mart.total"].replace("audits (", "audits (not_null(columns := (n)), ")
    planned.model("mart.total", audited)
    run = planned.run(FIRST, [], ["mart.late:not_null", "mart.total:not_null"])
    assert run.outcome("mart.late:not_null") is Outcome.NOT_PROMOTED
    assert run.reason("mart.late:not_null") == (
        "w/mart/late is not in environment prod: apply a plan"
    )
    assert run.outcome("mart.total:not_null") is Outcome.NOT_PROMOTED
    assert "without this audit" in run.reason("mart.total:not_null")


# -- development environments ---------------------------------------------------------------------


def test_a_development_run_builds_what_its_environment_has_of_its_own(planned: Project) -> None:
    """SQLMesh's `run dev` would build production's tables too, where versions are equal."""
    planned.model("mart.days", MODELS["mart.days"].replace("COUNT(*)", "COUNT(id)"))
    planned.plan_natively(FIRST, "dev", start="2024-03-01")
    before = state(planned)
    run = planned.run(NEXT_DAY, environment="dev", ignore_cron=False)
    assert run.outcome("stage.raw") is Outcome.NOT_PROMOTED
    assert run.reason("stage.raw") == "environment dev reads production's, and has none of its own"
    assert changed(before, state(planned)) == set()  # the view of prod, and what it shows


def test_a_development_run_says_which_tables_are_productions_too(planned: Project) -> None:
    planned.plan_natively(FIRST, "dev", include_unmodified=True)
    run = planned.run(NEXT_DAY, environment="dev", ignore_cron=False)
    assert run.report("stage.raw").details["shared_with"] == "prod"
    assert "shared_with" not in planned.run(THREE_DAYS_LATER).report("stage.raw").details
