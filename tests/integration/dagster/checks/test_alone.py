"""Runs of checks that build nothing: all at once, and what makes them fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterEventType as Kind

from tests.support.judged import ALL, MARTS, NOW, Judged, results
from tests.support.scheduler import own_schedules
from tests.support.stories import Story


def launch(transform: Judged, job: str, **options: Any) -> Story:
    """One run of an asset job, as a schedule launches it."""
    with transform._workspace() as context:
        run = transform._create(
            context, None, None, {"dagster/schedule_name": job}, options, job_name=job
        )
    return transform.execute(run)


@pytest.mark.parametrize("when", ["after_each", "after_all", "apart", "none"])
def test_checks_selected_alone_run_all_whatever_their_time(built: Judged, when: str) -> None:
    built.say(when)
    expected = {name: ALL[name] for name in ALL if name.startswith(("a:", "b:", "other:not"))}
    names = [f"mart.{name}" for name in expected]
    names.append("mart.odd:unsure")
    run = built.run([], names, execution_time=NOW)
    assert results(run) == expected
    assert not run.success
    assert run.materialized == []
    assert run.observed == {}


def test_a_project_whose_checks_run_apart_has_a_job_for_them(built: Judged) -> None:
    built.say({"when": "apart", "cron": "0 6 * * *"})
    repository = built.repository()
    schedules = {s.name: (s.cron_schedule, s.job_name) for s in own_schedules(repository)}
    assert schedules == {
        "d_checks_schedule": ("0 6 * * *", "d_checks"),
        "p_checks_schedule": ("0 6 * * *", "p_checks"),
    }
    together: dict[str, Any] = {}
    for job in ("d_checks", "p_checks"):
        run = launch(built, job)
        together |= results(run)
        assert not run.success
        assert len(run.of(Kind.ASSET_CHECK_EVALUATION_PLANNED)) == len(results(run)) + 1
    assert together == ALL


def test_results_are_what_the_frameworks_say(built: Judged, tmp_path: Path) -> None:
    """`dbt test`, `dbt source freshness` and `sqlmesh audit`, on the same tables."""
    for arguments in (["test"], ["source", "freshness"]):
        built.dbt.dbt(*arguments, "--target-path", str(tmp_path), check=False)
    theirs: dict[str, str] = {}
    for artifact in ("run_results", "sources"):
        path = tmp_path / f"{artifact}.json"
        for result in json.loads(path.read_text(encoding="utf-8"))["results"]:
            kind, _, *name = result["unique_id"].split(".")
            found = (
                f"{name[-1]}:freshness" if kind == "source" else name[-1 if kind[0] == "u" else 0]
            )
            theirs[found] = result["status"]
    words = {(True, "ERROR"): "pass", (True, "WARN"): "pass", (False, "WARN"): "warn"}
    for name, (passed, severity, _) in ALL.items():
        asset, _, check = name.partition(":")
        if asset not in {*MARTS, "raw"} or "source" in check or check == "freshness":
            failed = {"error", "runtime error"} if check == "freshness" else {"fail"}
            # dbt's artifact leaves out what it could not find out.
            missing = "runtime error" if asset == "gone" else None
            said = theirs.pop(name if check == "freshness" else check, missing)
            assert {said} <= ({words[passed, severity]} if (passed, severity) in words else failed)
    assert theirs == {"broken": "error"}

    (project,) = built.projects
    counts: dict[str, int] = {}
    with project.native() as context:
        for snapshot in context.snapshots.values():
            if snapshot.node.name != "mart.odd":
                for result in context.snapshot_evaluator.audit(
                    snapshot, start="2024-03-03", end="2024-03-04", snapshots=context.snapshots
                ):
                    if not result.skipped:
                        counts[f"{snapshot.node.name.split('.')[-1]}:{result.audit.name}"] = (
                            result.count
                        )
    own = {"alone": "b:alone", "alone_warns": "a:alone_warns"}
    counts = {own.get(name.split(":")[0], name): count for name, count in counts.items()}
    counts = {name.replace('"', ""): count for name, count in counts.items()}
    assert counts == {
        name: rows for name, (_, _, rows) in ALL.items()
        if name.split(":")[0] in {*MARTS, "raw"} and "source" not in name and "fresh" not in name
    }  # fmt: skip


def test_jobs_by_tag_and_project(built: Judged) -> None:
    jobs = {
        "finance": {"tags": ["finance"], "cron": "@daily", "time_zone": "Europe/Berlin"},
        "staging": {"projects": ["d"]},
    }
    built.say(check_jobs=jobs)
    (schedule,) = own_schedules(built.repository())
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("@daily", "Europe/Berlin")
    run = launch(built, "finance")
    assert results(run) == {name: ALL[name] for name in ALL if name.startswith("a:")}
    assert {name.split(":")[0] for name in results(launch(built, "staging"))} == {
        "items", "codes", "wrong", "fresh", "gone", "other",
    }  # fmt: skip


def test_the_job_of_a_project_that_is_not_there_is_red(built: Judged) -> None:
    built.say("apart")
    graph = built.graph_path("p")
    content = graph.read_bytes()
    graph.unlink()
    try:
        run = launch(built, "p_checks")
    finally:
        graph.write_bytes(content)
    assert not run.success
    assert "prepare" in run.text


@pytest.mark.parametrize(
    ("fail_on", "checks", "succeeds"),
    [
        (None, ["mart.a:small_warned"], True),
        ("warn", ["mart.a:small_warned"], False),
        (None, ["mart.a:small"], False),
        ("error", ["mart.a:not_null", "mart.other:not_null"], True),
        ("never", ["mart.a:small"], True),
        ("never", ["mart.odd:unsure"], False),  # it could not be run
    ],
)
def test_whether_the_run_fails(
    built: Judged, fail_on: str | None, checks: list[str], succeeds: bool
) -> None:
    asked = {} if fail_on is None else {"check_options": {"fail_on": fail_on}}
    assert built.run([], checks, execution_time=NOW, **asked).success is succeeds
    if fail_on is not None:
        built.say({"fail_on": fail_on})
        assert built.run([], checks, execution_time=NOW).success is succeeds


def test_what_a_result_says(built: Judged) -> None:
    built.run(["mart.other"], [], execution_time=NOW)  # materialised here, apart
    run = built.run([], ["mart.a:small"], execution_time=NOW, check_options={"sample_rows": 1})
    (event,) = run.of(Kind.ASSET_CHECK_EVALUATION)
    metadata = dict(event.event_specific_data.metadata)
    sample = metadata.pop("dagster_transform/sample")
    found = {key.split("/")[1]: value.value for key, value in metadata.items()}
    assert [record.data for record in sample.records] == [{"id": 2, "ds": "2024-03-03"}]
    assert found.pop("seconds") > 0
    assert "> 1" in found.pop("query")
    assert found.pop("code_version")
    assert found == {
        "arguments": "most=1",
        "failed_rows": 2,
        "interval": "2024-03-03 to 2024-03-04",
    }


def test_no_rows_are_stored_unless_somebody_asks(built: Judged) -> None:
    run = built.run([], ["mart.a:small"], execution_time=NOW)
    assert "TableRecord" not in run.text


def test_a_time_can_be_asked_for(built: Judged) -> None:
    between = {"start": "2024-03-04", "end": "2024-03-04"}
    run = built.run([], ["mart.a:small"], execution_time=NOW, check_options=between)
    assert results(run) == {"a:small": (False, "ERROR", 1)}
    wrong = built.run(
        [], ["mart.a:small"], execution_time=NOW, check_options={"start": "then", "end": "now"}
    )
    assert "checks.start 'then'" in wrong.failure
    half = built.run(
        [], ["mart.a:small"], execution_time=NOW, check_options={"start": "2024-03-04"}
    )
    assert "Give both" in half.failure


def test_a_result_aims_at_what_it_judged(built: Judged) -> None:
    built.say("apart")
    first = built.run(["mart.other", "mart.a"], [], execution_time=NOW)
    # One of them fails, and blocks: it is stored in another way.
    run = built.run([], ["mart.other:not_null", "mart.a:small"], execution_time=NOW)
    for event in run.of(Kind.ASSET_CHECK_EVALUATION):
        target = event.event_specific_data.target_materialization_data
        assert target is not None
        assert target.run_id == first.run_id
    key = built.check_key("mart.other:not_null")
    again = built.run(["mart.other"], [], execution_time=NOW)
    record = built.instance.get_latest_asset_check_evaluation_record(key)
    assert record is not None
    assert record.run_id == run.run_id != again.run_id


def test_what_is_overdue_by_its_own_cron_is_named(built: Judged) -> None:
    built.say({"when": "apart", "cron": "0 0 1 1 *"})
    asked: dict[str, Any] = {"execution_time": NOW}

    def overdue() -> list[str]:
        run = built.run(["mart.a", "mart.other"], [], **asked, **restated)
        lines = [line for line in run.log if line.startswith("Overdue")]
        assert ("dagster_transform/checks_overdue" in run.text) == bool(lines)
        return lines

    restated = {"restate": {"start": "2024-03-03", "end": "2024-03-03", "downstream": "leave"}}
    (line,) = overdue()
    assert "w/mart/a:not_null" in line
    assert "w/mart/other:not_null" in line
    built.run([], ["mart.a:not_null"], **asked)
    (line,) = overdue()
    assert "w/mart/a:not_null" not in line
    assert "w/mart/other:not_null" in line
    built.say("apart")  # nobody has said how often
    assert overdue() == []


def test_a_node_that_only_the_run_has_added_is_told_with_its_last_results_too(
    built: Judged,
) -> None:
    built.say("apart")
    built.run([], ["mart.b:alone"], execution_time=NOW)
    restate = {"start": "2024-03-03", "end": "2024-03-04", "downstream": "include"}
    run = built.run(["mart.a"], [], execution_time=NOW, restate=restate)
    said = str(run.materialization("b").metadata["dagster_transform/checks_apart"].value)
    assert said.startswith("before this: passed alone (")
