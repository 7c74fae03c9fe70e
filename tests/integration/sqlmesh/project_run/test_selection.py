"""A run of a SQLMesh project: what is selected, checks alone, failures, a person's rebuilds."""

from __future__ import annotations

import shutil
from pathlib import Path

from dagster_transform.planning import Outcome, UnitKind
from dagster_transform.walk import Retrying
from tests.support.sqlmesh_project_runs import (
    FIRST,
    MODELS,
    NEXT_DAY,
    THREE_DAYS_LATER,
    changed,
    copy_of,
    state,
)
from tests.support.sqlmesh_projects import Project

# -- selection and the guard against permanent holes ----------------------------------------------


def test_one_selected_node_is_built_and_nothing_else(planned: Project) -> None:
    before = state(planned)
    run = planned.run(NEXT_DAY, ["stage.raw"], [], ignore_cron=False)
    assert run.outcomes == {"stage.raw": "built"}
    assert changed(before, state(planned)) == {"stage.raw"}
    report = run.report("stage.raw")
    assert report.details["intervals"] == "2024-03-05"
    assert report.table_rows == 15
    assert [c.check for c in report.checks] == [planned.id("stage.raw:not_null")]


def test_nothing_is_built_over_data_that_an_unselected_upstream_owes(
    template: Path, tmp_path: Path
) -> None:
    ours = copy_of(template, tmp_path / "ours")
    before = state(ours)
    waiting = ours.run(NEXT_DAY, ["mart.days", "mart.total"], ignore_cron=False)
    for name in ("mart.days", "mart.total"):
        assert waiting.outcome(name) is Outcome.WAITING
        assert (
            f'select +key:"w/{name.replace(".", "/")}" or set upstreams: include'
            in waiting.reason(name)
        )
        assert "w/stage/raw" in waiting.reason(name)
    assert changed(before, state(ours)) == set()
    # A person's run builds what is there again, and still records nothing that is not.
    again = ours.run(NEXT_DAY, ["mart.days", "mart.total"])
    assert again.outcome("mart.days") is Outcome.WAITING
    assert again.outcome("mart.total") is Outcome.BUILT
    assert changed(before, state(ours)) == set()

    ours.run(NEXT_DAY, ["stage.raw"])
    partly = ours.run(THREE_DAYS_LATER, ["mart.days"])
    assert partly.outcome("mart.days") is Outcome.BUILT
    assert partly.report("mart.days").details["intervals"] == "2024-03-05"
    assert max(row[0] for row in ours.database.content("mart.days")).day == 5

    both = ours.run(THREE_DAYS_LATER, ["stage.raw", "mart.days", "mart.total"])
    assert {both.outcome(n) for n in ("stage.raw", "mart.days", "mart.total")} == {Outcome.BUILT}
    assert both.report("mart.days").details["intervals"] == "2024-03-06 to 2024-03-07"

    native = copy_of(template, tmp_path / "native")
    native.run_natively(THREE_DAYS_LATER)
    want, have = state(native), state(ours)
    assert have["mart.days"] == want["mart.days"]
    assert len(have["mart.days"]) == 7
    assert changed(want, have) == {"mart.shown"}  # it was never selected
    rest = ours.run(THREE_DAYS_LATER)
    assert rest.outcome("stage.raw") is Outcome.UP_TO_DATE
    assert state(ours) == want


# -- checks ---------------------------------------------------------------------------------------


def test_checks_alone_run_exactly_those_and_change_nothing(planned: Project) -> None:
    planned.database.execute("INSERT INTO src.raw VALUES (5000, DATE '2024-03-02')")
    physical = planned.database.rows(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables "
        "WHERE table_schema = 'sqlmesh__stage' AND table_type = 'BASE TABLE'"
    )[0][0]
    planned.database.execute(f"INSERT INTO {physical} VALUES (NULL, DATE '2024-03-02')")
    planned.database.execute(f"INSERT INTO {physical} VALUES (2000, DATE '2024-03-02')")
    before = state(planned)
    run = planned.run(NEXT_DAY, [], ["stage.raw:not_null", "stage.raw:small"], plan_mode="auto")
    assert {u.kind for u in run.plan.units.values()} == {UnitKind.CHECK}
    assert run.outcomes == {"stage.raw:not_null": "checked", "stage.raw:small": "checked"}
    results = run.checks
    assert results.keys() == {"stage.raw:not_null", "stage.raw:small"}
    assert not any(r.passed for r in results.values())
    assert [results[c].failed_rows for c in sorted(results)] == [1, 1]
    assert results["stage.raw:not_null"].blocking
    assert not results["stage.raw:small"].blocking
    assert "1000" in results["stage.raw:small"].details["query"]
    assert changed(before, state(planned)) == set()

    one = planned.run(NEXT_DAY, [], ["mart.total:number_of_rows"])
    assert one.checks.keys() == {"mart.total:number_of_rows"}
    assert one.checks["mart.total:number_of_rows"].passed


def test_a_failed_blocking_audit_leaves_the_interval_missing(planned: Project) -> None:
    database = planned.database
    before = database.intervals()
    database.execute("INSERT INTO src.raw VALUES (NULL, DATE '2024-03-05')")
    run = planned.run(NEXT_DAY, ignore_cron=False)
    end = run.finished[planned.id("stage.raw")]
    assert end.outcome is Outcome.BUILT
    assert not end.good
    (failed,) = end.report.failed_checks if end.report else ()
    assert failed.check == planned.id("stage.raw:not_null")
    assert failed.failed_rows == 1
    assert "IS NULL" in failed.details["query"]
    for name in ("mart.days", "mart.total", "mart.shown"):
        assert run.outcome(name) is Outcome.BLOCKED
        assert failed.check in run.reason(name)
    # The other check judges what was built, all the same.
    assert run.outcome("stage.raw:small") is Outcome.CHECKED
    missing = {key for key in before if database.intervals()[key] == before[key]}
    assert missing == before.keys()  # the seed has nothing to do on any day

    database.execute("DELETE FROM src.raw WHERE id IS NULL")
    again = planned.run(NEXT_DAY, ignore_cron=False)
    assert again.outcome("stage.raw") is Outcome.BUILT
    assert again.finished[planned.id("stage.raw")].good
    assert database.content("mart.total") == [(15,)]


# -- failures -------------------------------------------------------------------------------------


def test_a_failing_model_says_what_the_engine_said(planned: Project) -> None:
    planned.database.execute("ALTER TABLE src.raw RENAME TO gone")
    run = planned.run(NEXT_DAY, ignore_cron=False)
    report = run.report("stage.raw")
    assert report.outcome is Outcome.FAILED
    assert not report.transient
    assert report.reason.startswith("2024-03-05: CatalogException: ")
    assert "Table with name raw does not exist" in report.reason
    assert run.outcome("mart.days") is Outcome.BLOCKED
    assert run.reason("mart.days") == f"upstream failed: {planned.id('stage.raw')}"
    assert not any(isinstance(event, Retrying) for event in run.events)


def test_a_table_with_lock_in_its_name_is_no_reason_to_try_again(planned: Project) -> None:
    query = "SELECT COUNT(*) AS n FROM src.blocks"
    planned.model("mart.total", f"kind FULL\n---\n{query}")
    run = planned.run(FIRST, ["mart.total", "mart.shown"], plan_mode="auto")
    assert run.outcome("mart.total") is Outcome.FAILED
    assert not run.report("mart.total").transient


# -- a person's run -------------------------------------------------------------------------------


def test_a_persons_run_rebuilds_what_is_not_incremental(planned: Project) -> None:
    before = state(planned)
    tables = {
        name.split("__")[-2]: name
        for (name,) in planned.database.rows(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_schema LIKE 'sqlmesh\\_\\_%' ESCAPE '\\' AND table_type = 'BASE TABLE'"
        )
    }
    planned.database.execute(
        f"DELETE FROM {tables['codes']} WHERE code = 'A'",
        f"INSERT INTO {tables['codes']} VALUES ('X', 'tampered'), ('Y', 'tampered')",
        f"UPDATE {tables['total']} SET n = 99",
        f"DELETE FROM {tables['days']} WHERE ds > '2024-03-02'",
    )
    assert planned.database.content("mart.shown") == [(99, 3)]
    tick = planned.run(FIRST, ignore_cron=False)
    assert {tick.outcome(name) for name in MODELS} == {Outcome.UP_TO_DATE}
    assert planned.database.content("mart.shown") == [(99, 3)]

    shutil.rmtree(planned.folder / ".cache", ignore_errors=True)
    run = planned.run(FIRST)
    assert run.outcomes.items() >= {
        "ref.codes": "built", "mart.total": "built", "mart.shown": "built",
        "stage.raw": "up_to_date", "mart.days": "up_to_date",
    }.items()  # fmt: skip
    assert run.reason("mart.days") == "no interval is missing"
    after = state(planned)
    assert after["ref.codes"] == before["ref.codes"]
    assert after["mart.shown"] == before["mart.shown"] == [(12, 2)]
    assert after["intervals"] == before["intervals"]
    assert len(after["mart.days"]) == 2  # tampering is not missing: only a restatement helps


def test_a_seed_that_the_files_have_in_another_version_is_not_built(planned: Project) -> None:
    before = state(planned)
    planned.write({"seeds/codes.csv": "code,name\nZ,zeta\n"})
    run = planned.run(FIRST, ["ref.codes"])
    assert run.outcome("ref.codes") is Outcome.UP_TO_DATE
    assert "another version" in run.reason("ref.codes")
    assert state(planned) == before
