"""What every page of Dagster's UI says of checks: docs/checks-in-the-ui.md, with its pictures.

With SCREENSHOTS=folder the pictures of that page are written there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from dagster import DagsterEventType as Kind
from playwright.sync_api import Locator, Page, expect

from tests.support.pages import listed

if TYPE_CHECKING:
    from tests.support.stories import Story
    from tests.support.two_days import Shown

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

VISITS, DAYS, REPORT = "w/web/visits", "own/mart/days", "reports/report"
RUN_SECONDS = 60
Picture = Callable[..., None]


def node(page: Page, name: str) -> Locator:
    """A node of the lineage graph."""
    graph = page.locator("svg foreignObject").filter(has_text="Asset checks")
    return graph.filter(has_text=re.compile(f"^{name}"))


def button(page: Page, text: str) -> Locator:
    return page.get_by_role("button").filter(has_text=re.compile(f"^{text}$")).first


def launched(days: Shown, before: set[str]) -> Story:
    """The run that the UI has launched, once it has ended."""
    instance = days.transform.instance
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        new = [run for run in instance.get_runs() if run.run_id not in before]
        if new and new[0].is_finished:
            return days.transform.story(new[0].run_id)
        time.sleep(0.2)
    pytest.fail("no run has ended")


def runs(days: Shown, job: str | None = None) -> list[Any]:
    """Runs, latest first."""
    found = days.transform.instance.get_runs()
    return [run for run in found if job is None or run.job_name == job]


def test_badges_of_the_lineage_graph(days: Shown, page: Page, picture: Picture) -> None:
    page.goto(days.asset_url(VISITS, "lineage"))
    # Judged at six, built since: a failure is behind this, and the tick is green.
    expect(node(page, "visits")).to_contain_text(re.compile(r"0\s*/\s*3 Passed"))
    expect(node(page, "report")).to_contain_text(re.compile(r"2\s*/\s*3 Passed"))
    picture("checks-lineage", node(page, "visits"), node(page, "report"), around=24)
    page.goto(days.asset_url(DAYS, "lineage"))
    expect(node(page, "days")).to_contain_text(re.compile(r"0\s*/\s*2 Passed"))


def test_the_list_of_assets_and_the_definitions_say_nothing_of_checks(
    days: Shown, page: Page
) -> None:
    page.goto(f"{days.url}/assets")
    row = page.get_by_text("w / web / visits").first
    expect(row).to_be_visible()
    expect(page.get_by_text("Materialized").first).to_be_visible()
    expect(page.get_by_text(re.compile("passed|failed|checks", re.IGNORECASE))).to_have_count(0)


def test_the_asset_of_checks_that_run_apart(days: Shown, page: Page, picture: Picture) -> None:
    page.goto(days.asset_url(VISITS, "overview"))
    status = page.get_by_text("Latest check results", exact=True).locator("xpath=../..")
    expect(status).to_contain_text("3")
    metadata = page.get_by_role("table").filter(has_text="dagster_transform/checks_apart")
    expect(metadata).to_contain_text("before this: failed few (")
    (failed,) = [run for run in runs(days, "web_checks") if not run.is_success]
    expect(metadata).to_contain_text(failed.run_id)
    said = metadata.get_by_role("row").filter(has_text="dagster_transform/")
    expect(said.last).to_be_visible()
    picture("checks-metadata", *said.all()[-3:])

    page.goto(days.asset_url(VISITS, "checks") + "&checkDetail=few")
    for check in ("few", "not_null", "number_of_rows"):
        expect(listed(page, check)).to_contain_text("Not evaluated")
    expect(page.get_by_text("non-blocking")).to_be_visible()
    expect(page.get_by_text("dagster_transform/failed_rows")).to_be_visible()  # of the plot
    few = page.get_by_text("Latest execution", exact=True)
    picture("checks-not-evaluated", listed(page, "few"), few, page.locator("canvas").first)
    page.get_by_text("Execution history").click()
    history = page.get_by_role("table").filter(has_text="Target materialization")
    expect(history).to_contain_text("Failed")
    expect(history).to_contain_text("Passed")
    expect(history).not_to_contain_text("Skipped")
    picture("checks-history", listed(page, "few"), history)
    history.get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("dagster_transform/sample")
    expect(dialog).to_contain_text("dagster_transform/query")
    expect(dialog).to_contain_text("most=20")
    picture("checks-sample", dialog.get_by_role("table").first)


def test_checks_of_what_was_up_to_date(days: Shown, page: Page, picture: Picture) -> None:
    page.goto(days.asset_url(DAYS, "checks") + "&checkDetail=not_null")
    for check in ("not_null", "unique_values"):
        expect(listed(page, check)).to_contain_text("Skipped")
    page.get_by_text("Execution history").click()
    history = page.get_by_role("table").filter(has_text="Target materialization")
    expect(history).to_contain_text("Skipped")
    expect(history).to_contain_text("Passed")
    picture("checks-skipped", listed(page, "not_null"), history)


def test_checks_in_band(days: Shown, page: Page) -> None:
    page.goto(days.asset_url(REPORT, "checks"))
    expect(listed(page, "not_null_report_id")).to_contain_text("Succeeded")
    expect(listed(page, "accepted_value")).to_contain_text("Failed")
    for text in ("dagster_transform/failed_rows", re.compile(r"Got \d+ results")):
        expect(page.get_by_text(text).first).to_be_visible()


def test_runs_jobs_and_schedules(days: Shown, page: Page) -> None:
    (failed,) = [run for run in runs(days, "web_checks") if not run.is_success]
    page.goto(f"{days.url}/runs/{failed.run_id}")
    expect(page.get_by_text("3 checks", exact=True)).to_be_visible()
    expect(page.get_by_text("check failed: w/web/visits:few").first).to_be_visible()
    page.goto(f"{days.url}/runs/{failed.run_id}?logs=Asset%20check")
    expect(page.get_by_text("failed for materialization of").first).to_be_visible()
    expect(page.get_by_text("check failed: w/web/visits:few")).to_have_count(0)

    location = f"{days.url}/locations/{days.transform.module.name}:defs"
    page.goto(f"{location}/jobs/web_checks")
    expect(page.get_by_text("Runs checks of web, all at once, and builds nothing.")
           ).to_be_visible()  # fmt: skip
    for check in ("few", "not_null", "number_of_rows"):  # its page names none
        expect(page.get_by_text(check, exact=True)).to_have_count(0)
    page.goto(f"{location}/schedules/web_checks_schedule")
    expect(page.get_by_text("At 06:00 AM UTC").first).to_be_visible()


def test_pressing_materialize_plans_no_check_that_runs_apart(days: Shown, page: Page) -> None:
    before = {run.run_id for run in runs(days)}
    page.goto(days.asset_url(VISITS, "overview"))
    button(page, "Materialize").click()
    story = launched(days, before)
    assert story.success
    assert story.materialized == ["visits"]
    assert story.of(Kind.ASSET_CHECK_EVALUATION_PLANNED) == []
    assert story.checks == {}

    before.add(story.run_id)
    page.goto(days.asset_url(VISITS, "checks") + "&checkDetail=few")
    expect(listed(page, "few")).to_contain_text("Not evaluated")
    button(page, "Execute").click()
    story = launched(days, before)
    assert story.checks == {"visits:few": False}
    assert runs(days)[0].job_name == "web_checks"
    page.reload()
    expect(listed(page, "few")).to_contain_text("Failed")
    page.goto(days.asset_url(VISITS, "lineage"))
    expect(node(page, "visits")).to_contain_text(re.compile(r"0\s*/\s*3 Passed"))
