"""Job groups in Dagster's UI, and what can be searched for: docs/ui.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.support.pages import button, one_run, section

if TYPE_CHECKING:
    from tests.support.face import Face

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

Picture = Callable[..., None]


def test_the_job_and_the_schedule_of_a_group(face: Face, page: Page, picture: Picture) -> None:
    page.goto(f"{face.location}/jobs/daily")
    expect(page.get_by_text("Marts that finance reads at eight.")).to_be_visible()
    page.goto(f"{face.location}/schedules/hourly_schedule")
    expect(page.get_by_text("Launches what is due of job group hourly.")).to_be_visible()
    expect(page.get_by_text("Every hour").first).to_be_visible()
    button(page, "Preview tick result").click()
    dialog = page.get_by_role("dialog")
    button(dialog, "Continue").click()
    expect(dialog).to_contain_text("1 run requests")
    with one_run(face.transform, face.log) as found:
        button(dialog, "Launch all & commit tick result").click()
    (story,) = found
    assert story.success, story.failures
    assert story.materialized == ["orders"]

    page.goto(f"{face.url}/runs?q[0]={quote('tag:dagster_transform/job_group=hourly')}")
    expect(page.get_by_text(story.run_id[:8])).to_be_visible()
    expect(page.get_by_text("hourly_schedule", exact=True).first).to_be_visible()
    tag = page.get_by_text(re.compile("^dagster_transform/job_group: ?hourly$"))
    expect(tag.first).to_be_visible()
    beginning, end = page.get_by_text("Tag is").first, page.get_by_text("View", exact=True)
    picture("ui-runs", beginning, tag.last, end.first, around=30)
    page.goto(f"{face.url}/runs?q[0]={quote('tag:dagster_transform/job_group=daily')}")
    expect(page.get_by_text(re.compile("No (matching )?runs", re.IGNORECASE)).first).to_be_visible()
    expect(page.get_by_text(story.run_id[:8])).to_have_count(0)


def test_the_sensor_says_why_it_launches_nothing(face: Face, page: Page) -> None:
    page.goto(f"{face.location}/sensors/transform_sensor")
    expect(page.get_by_text("Launches what could not go at its tick")).to_be_visible()
    page.get_by_text("0 runs requested", exact=True).first.hover()
    expect(page.get_by_text("Nothing is pending.").first).to_be_visible()


@pytest.mark.parametrize(
    ("selection", "assets"),
    [
        ('tag:"dagster_transform/job_group"="hourly"', {"warehouse / stage / orders"}),
        ('kind:"dbt"', {"reports / invoices", "reports / loyal"}),
        ('owner:"ada"', {"warehouse / mart / customers"}),
        ('tag:"finance"', {"warehouse / mart / customers"}),
        (
            'key:"warehouse/mart/rates"+',
            {"warehouse / mart / rates", "warehouse / mart / revenue", "reports / invoices"},
        ),
    ],
)
def test_what_can_be_selected(face: Face, page: Page, selection: str, assets: set[str]) -> None:
    page.goto(f"{face.url}/assets?asset-selection={quote(selection)}")
    names = page.get_by_role("link").filter(has_text=re.compile(r"^(warehouse|reports) / "))
    expect(names).to_have_count(len(assets))
    assert {name.inner_text().split("\n")[0] for name in names.all()} == assets


def test_outcomes_can_not_be_selected(face: Face, page: Page) -> None:
    """What docs/ui.md says can't be had: tags are of the definition, outcomes of runs."""
    selection = 'tag:"dagster_transform/outcome"="blocked"'
    page.goto(f"{face.url}/assets?asset-selection={quote(selection)}")
    expect(page.get_by_text("No assets").first).to_be_visible()
    page.goto(f"{face.url}/assets/warehouse/mart/rates")
    expect(section(page, "Tags").first).not_to_contain_text("outcome")
