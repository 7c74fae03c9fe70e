"""What Dagster has of checks that run apart from builds, over two days of an hourly model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEventType as Kind
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from dagster_transform.dagster.execution.apart import CHECKS_APART, FAILED_IN_RUN
from tests.support.two_days import TwoDays

VISITS, REPORT = "web.visits", "reports/report"
NIGHT = "2024-03-05T20:00:00+00:00"
Shown = tuple[str, bool] | None


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoDays]:
    transform = TwoDays(tmp_path_factory.mktemp("days") / "visits")
    transform.two_days((1, 25, 36))
    yield transform
    transform.close()


def shown(days: TwoDays, key: dg.AssetCheckKey) -> Shown:
    """The status that Dagster gives the last record of a check, and whether it is shown: whether
    it is of the latest materialisation."""

    async def asked(context: Any) -> Shown:
        record = await AssetCheckExecutionRecord.gen(context, key)
        if record is None:
            return None
        status = await record.resolve_status(context)
        return status.value, await record.targets_latest_materialization(context)

    with days._workspace() as context:
        return asyncio.run(asked(context))


def test_a_failure_of_yesterday_is_said_with_each_materialisation(days: TwoDays) -> None:
    first, *_, last = [story for story in days.stories() if "visits" in story.materialized]
    said = first.materialization("visits").metadata[CHECKS_APART].value
    assert said == "before this: never run few, not_null, number_of_rows"
    metadata = last.materialization("visits").metadata
    text = str(metadata[CHECKS_APART].value)
    assert text.startswith("before this: failed few (")
    assert "; warned number_of_rows (" in text
    assert "; passed not_null (" in text
    (failed,) = [story for story in days.stories() if not story.success]
    assert metadata[FAILED_IN_RUN].value == failed.run_id
    # Dagster has the result, and shows none: it judged what was there before.
    assert shown(days, days.check_key(f"{VISITS}:few")) == ("FAILED", False)


def test_nothing_is_said_of_checks_in_band(days: TwoDays) -> None:
    (story,) = [story for story in days.stories() if "days" in story.materialized]
    assert CHECKS_APART not in story.materialization("days").metadata


def test_a_run_option_takes_unplanned_checks_in_band(days: TwoDays) -> None:
    """The UI plans none that run apart; jobs may plan none at all."""
    run = days.run([VISITS, REPORT], [], execution_time=NIGHT, check_options={"when": "after_each"})
    assert run.of(Kind.ASSET_CHECK_EVALUATION_PLANNED) == []
    assert run.checks.keys() == {
        "visits:few", "visits:not_null", "visits:number_of_rows",
    }  # fmt: skip
    assert run.reason("report") == "blocking check failed: w/web/visits:few"
    assert shown(days, days.check_key(f"{VISITS}:few")) == ("FAILED", True)
    after = days.run(
        [VISITS, REPORT], [], execution_time=NIGHT, check_options={"when": "after_all"}
    )
    assert {name for name in after.checks if name.startswith("report:")} == {
        "report:not_null_report_id", "report:unique_report_id",
        "report:accepted_values_report_id__False__1__2__3",
    }  # fmt: skip
    for name in after.checks:
        assert shown(days, days.check_key(f"{REPORT}:{name.split(':')[1]}")) != ("SKIPPED", True)


def test_without_the_option_unplanned_checks_do_not_run(days: TwoDays) -> None:
    run = days.run([REPORT], [], execution_time=NIGHT)
    assert run.checks == {}


def test_what_dagster_makes_of_planned_checks_of_what_is_up_to_date(days: TwoDays) -> None:
    """Their results are there, of what is there: Dagster hides them behind the plan of a run, and
    shows them as failed where the run fails of something else. See docs/checks-in-the-ui.md."""
    key = dg.AssetCheckKey(dg.AssetKey(["own", "mart", "days"]), "not_null")
    assert shown(days, key) == ("SKIPPED", True)
    file = days.folder / "reports" / "models" / "report.sql"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("select id", "select nothing, id"), encoding="utf-8")
    run = days.run(["own/mart/days", REPORT], execution_time=NIGHT, ignore_cron=False)
    file.write_text(text, encoding="utf-8")
    assert not run.success
    assert run.up_to_date == ["days"]
    assert shown(days, key) == ("EXECUTION_FAILED", True)
    # A run that plans none leaves what was found where it is.
    later = "2024-03-06T20:00:00+00:00"
    assert days.run(["own/mart/days"], [], execution_time=later, ignore_cron=False).success
    assert shown(days, key) == ("SUCCEEDED", True)
    assert days.run(["own/mart/days"], [], execution_time=later, ignore_cron=False).up_to_date
    assert shown(days, key) == ("SUCCEEDED", True)
