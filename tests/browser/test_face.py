"""What a person sees and does in Dagster's UI, page by page: docs/ui.md, with its pictures.

With SCREENSHOTS=folder the pictures of that page are written there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.face import REPOSITORY_URL, RETURNS
from tests.support.pages import (
    button,
    listed,
    one_run,
    press_launch,
    section,
    type_config,
    without_folder,
)

if TYPE_CHECKING:
    from tests.support.face import Face
    from tests.support.stories import Story

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

CUSTOMERS = "warehouse/mart/customers"
RATES, REVENUE = "warehouse/mart/rates", "warehouse/mart/revenue"
NONSENSE = "the source sends nonsense"
Picture = Callable[..., None]


def latest(page: Page) -> Locator:
    """The sign that says how it stands with an asset."""
    return page.get_by_text("Latest materialization", exact=True).locator("xpath=..")


def colour(sign: Locator) -> str:
    """Of the words of a sign: red or green."""
    words = sign.get_by_text(re.compile(r"ago|now|Failed")).last
    found = str(words.evaluate("words => getComputedStyle(words).color"))
    red, green, _ = (int(part) for part in re.findall(r"\d+", found)[:3])
    return "green" if green > red else "red"


def metadata(page: Page) -> Locator:
    """The table of an asset's or event's metadata that has the outcome."""
    return page.get_by_role("table").filter(has_text="dagster_transform/outcome")


@contextmanager
def paused(face: Face, node: str) -> Iterator[None]:
    """A node is paused meanwhile, by the command line."""
    claims = ("dagster_transform.cli", "claims")
    done = face.transform.command(*claims, "pause", node, "--reason", NONSENSE, LOGNAME="ada")
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    face.transform.command(*claims, "resume", node)


def materialize(face: Face, page: Page, key: str) -> Story:
    """Press the button on an asset's page; what it reads may never have been materialised."""
    page.goto(face.asset_url(key))
    with one_run(face.transform, face.log) as found:
        button(page, "Materialize").click()
        confirm = button(page, "Confirm")
        launched = page.get_by_text(
            re.compile("Launched run|Started run|Materializing|Run in progress")
        )
        expect(confirm.or_(launched).first).to_be_visible()
        if confirm.is_visible():
            confirm.click()
    assert found[0].success, found[0].failures
    return found[0]


def test_an_asset_turns_green_without_a_reload(face: Face, page: Page, picture: Picture) -> None:
    page.goto(face.asset_url(CUSTOMERS))
    expect(latest(page)).to_contain_text("Never materialized")
    page.evaluate("window.notLoadedAgain = true")
    with one_run(face.transform, face.log) as found:
        button(page, "Materialize").click()
        # What it reads was built by SQLMesh's own command line: Dagster has not seen it and asks.
        expect(page.get_by_role("dialog")).to_contain_text("warehouse / stage / orders")
        button(page, "Confirm").click()
    (story,) = found
    assert story.success, story.failures
    assert story.materialized == ["customers"]
    expect(latest(page)).to_contain_text(re.compile("ago|now"))
    assert colour(latest(page)) == "green"
    assert page.evaluate("window.notLoadedAgain") is True

    page.get_by_role("tab").or_(page.get_by_role("link")).filter(
        has_text=re.compile("^Checks$")
    ).click()
    for check in ("number_of_rows", "unique_values"):
        expect(listed(page, check)).to_contain_text("Succeeded")


def test_the_page_of_an_asset(face: Face, page: Page, picture: Picture) -> None:
    for customer in ("eve", "dan"):
        face.project.database.execute(
            f"INSERT INTO raw.orders VALUES (3, '{customer}', 5, '2024-03-03')"
        )
        assert materialize(face, page, CUSTOMERS).materialized == ["customers"]
    page.set_viewport_size({"width": 1300, "height": 1420})
    page.goto(face.asset_url(CUSTOMERS))
    for heading, text in {
        "Group": "mart", "Owners": "ada", "Kinds": "SQLMesh", "Tags": "finance",
        "Storage": "warehouse.mart.customers", "Schedules": "At 12:00 AM UTC",
    }.items():  # fmt: skip
        expect(section(page, heading).first).to_contain_text(text)
    expect(section(page, "Tags").first).to_contain_text("dagster_transform/job_group: daily")
    icon = section(page, "Kinds").locator("img, svg, [style*=background-image], [class*=icon]")
    expect(icon.first).to_be_visible()
    address = f"{REPOSITORY_URL}/shop/models/mart.customers.sql"
    expect(page.locator(f'a[href^="{address}"]').first).to_be_visible()
    expect(page.locator("pre").filter(has_text="COUNT(*)::INT AS orders")).to_be_visible()
    columns = page.get_by_role("table").filter(has_text="Column name")
    expect(columns).to_contain_text(re.compile(r"customer\s*TEXT\s*Who paid"))
    read = page.get_by_role("row").filter(has_text="dagster_transform/computed_from")
    expect(read).to_contain_text("warehouse/stage/orders.customer")
    expect(metadata(page)).to_contain_text("built")
    picture("ui-asset")

    button(page, "Plots").click()
    for plotted in ("dagster/row_count", "dagster_transform/duration_seconds"):
        expect(page.get_by_text(plotted, exact=True)).to_be_visible()
    canvas = page.locator("canvas")
    expect(canvas.nth(2)).to_be_visible()
    plot = page.get_by_text("dagster/row_count", exact=True)
    picture("ui-plots", plot, canvas.nth(1), canvas.nth(2))


def test_pausing_and_resuming_by_their_forms(face: Face, page: Page, picture: Picture) -> None:
    launchpad = "{}/jobs/transform_{}/playground"
    page.goto(launchpad.format(face.location, "pause"))
    # The form says by itself what is missing.
    expect(page.get_by_text('Missing required config entry "reason"')).to_be_visible()
    type_config(
        page,
        f"""\
ops:
  pause_transform:
    config:
      nodes: [warehouse/stage/orders]
      reason: {NONSENSE}
      until: 2h
      by: ada
""",
    )
    with one_run(face.transform, face.log) as found:
        press_launch(page)
    (story,) = found
    assert story.success, story.failures
    page.goto(face.asset_url("warehouse/stage/orders", "events"))
    said = page.get_by_role("table").filter(has_text="dagster_transform/paused")
    for text in (NONSENSE, "ada", "true"):
        expect(said).to_contain_text(text)

    page.goto(f"{face.location}/schedules/hourly_schedule")
    button(page, "Preview tick result").click()
    dialog = page.get_by_role("dialog")
    button(dialog, "Continue").click()
    expect(dialog).to_contain_text("Skipped")
    expect(dialog).to_contain_text("warehouse/stage/orders: paused by ada since")
    expect(dialog).to_contain_text(f"({NONSENSE})")
    picture("ui-tick", dialog)

    page.goto(launchpad.format(face.location, "resume"))
    type_config(page, "ops: {resume_transform: {config: {nodes: [warehouse/stage/orders]}}}")
    with one_run(face.transform, face.log) as found:
        press_launch(page)
    assert found[0].success, found[0].failures
    page.goto(face.asset_url("warehouse/stage/orders", "events"))
    expect(said).to_contain_text("false")


def test_a_failure_says_why_of_each_node(face: Face, page: Page, picture: Picture) -> None:
    materialize(face, page, "warehouse/mart/days")  # from now on Dagster knows it, too
    face.project.database.execute("UPDATE raw.rates SET rate = 'unknown'")
    with paused(face, CUSTOMERS), one_run(face.transform, face.log) as found:
        page.goto(f"{face.location}/jobs/daily/playground")
        type_config(page, "resources: {transform: {config: {on_claimed: skip}}}")
        press_launch(page)
    face.project.database.execute("UPDATE raw.rates SET rate = '1.07'")
    (story,) = found
    assert not story.success
    assert story.up_to_date == ["days"]
    assert story.materialized == ["totals"]

    page.goto(face.asset_url(REVENUE))
    expect(latest(page)).to_contain_text(re.compile(rf"Failed in\s*{story.run_id[:8]}"))
    expect(metadata(page)).to_contain_text("blocked")
    expect(metadata(page)).to_contain_text(f"upstream failed: {RATES}")
    for key, outcome, reason in (
        (RATES, "failed", "Could not convert string 'unknown' to DOUBLE"),
        (CUSTOMERS, "claimed", "ada has paused it since"),
        ("reports/loyal", "waiting", f"its upstream {CUSTOMERS} is claimed"),
        ("reports/invoices", "blocked", f"upstream failed: {RATES}"),
    ):
        page.goto(face.asset_url(key, "events"))
        expect(metadata(page)).to_contain_text(outcome)
        expect(metadata(page)).to_contain_text(reason)
    for key in ("warehouse/mart/totals", "warehouse/mart/days"):  # built; up to date
        page.goto(face.asset_url(key))
        expect(latest(page)).to_contain_text(re.compile("ago|now"))
        assert colour(latest(page)) == "green"

    page.goto(f"{face.url}/runs/{story.run_id}")
    page.get_by_placeholder("Filter…").fill("Execution of step")
    failed = page.get_by_text("1 failed, 2 blocked", exact=False).first
    expect(failed).to_be_visible()
    page.get_by_text("[Show Markdown]").first.click()
    dialog = page.get_by_role("dialog")
    items = dialog.get_by_role("listitem")
    expect(items.nth(0)).to_contain_text(f"failed {RATES}")
    expect(items.nth(1)).to_contain_text(f"blocked {REVENUE}, reports/invoices")
    expect(dialog).to_contain_text(f"claimed {CUSTOMERS}")
    expect(dialog).to_contain_text("waiting reports/loyal")
    without_folder(page, face.transform.folder)
    picture("ui-failure", dialog)
    button(dialog, "Close").click()

    page.get_by_placeholder("Filter…").fill("Timeline")
    page.get_by_text("[Show Markdown]").first.click()
    expect(page.get_by_role("dialog").get_by_alt_text("timeline")).to_be_visible()


def test_a_plan_by_its_form(face: Face, page: Page, picture: Picture) -> None:
    face.project.model("mart.returns", RETURNS)
    launchpad = f"{face.location}/jobs/shop_plan/playground"
    page.goto(launchpad)
    type_config(page, "ops: {plan_shop: {config: {apply: false}}}")
    with one_run(face.transform, face.log) as found:
        press_launch(page)
    assert found[0].success, found[0].failures
    page.get_by_placeholder("Filter…").fill("Yielded output")
    page.get_by_text("[Show Markdown]").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Plan of shop for environment prod")).to_be_visible()
    expect(dialog.get_by_role("listitem")).to_contain_text("warehouse/mart/returns (FULL)")
    expect(dialog.get_by_role("table")).to_contain_text("the whole table")
    picture("ui-plan", dialog)
    shown = dialog.get_by_text(re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]+$")).inner_text()

    page.goto(launchpad)
    type_config(page, f"ops: {{plan_shop: {{config: {{apply: true, digest: {shown}}}}}}}")
    with one_run(face.transform, face.log) as found:
        press_launch(page)
    assert found[0].success, found[0].failures
    assert "returns" in found[0].materialized  # others too, where midnight has made them due

    page.goto(f"{face.location}/asset-groups/mart/list")
    button(page, "Reload definitions").click()
    # Not in the graph: that draws only what is in sight.
    expect(page.get_by_role("link", name="returns").first).to_be_visible()
