"""What a person sees and clicks in Dagster's UI, with everything real behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.support.pages import button, one_run, section

if TYPE_CHECKING:
    from tests.support.shop import Shop

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

Shoot = Callable[[str], None]


def test_lineage_and_asset_pages_show_what_the_models_say(
    shop: Shop, page: Page, shoot: Shoot
) -> None:
    page.goto(f"{shop.url}/locations/__repository__@works/asset-groups/mart/lineage")
    graph = page.locator("svg foreignObject")
    customers = graph.filter(has_text="customers").filter(has_text="Asset checks")
    expect(customers).to_contain_text(re.compile(r"0\s*/\s*2 Passed"))
    expect(graph.filter(has_text="SQLMesh").first).to_be_visible()
    expect(graph.filter(has_text="DuckDB").first).to_be_visible()
    for model in ("days", "best"):
        expect(graph.filter(has_text=re.compile(f"^{model}"))).to_be_visible()
    for outside in ("orders", "report"):  # of other groups: what is read, and what reads
        expect(page.get_by_role("link", name=outside).or_(graph.filter(has_text=outside)).first
               ).to_be_visible()  # fmt: skip
    shoot("lineage")

    page.goto(shop.asset_url("mart.customers"))
    expect(page.get_by_text("One row for each customer.")).to_be_visible()
    expect(page.get_by_text("Raw SQL:")).to_be_visible()
    expect(page.locator("pre").filter(has_text="COUNT(*)::INT AS orders")).to_be_visible()
    columns = page.get_by_role("table").filter(has_text="Column name")
    expect(columns).to_contain_text(re.compile(r"customer\s*TEXT\s*Who paid"))
    expect(columns).to_contain_text(re.compile(r"orders\s*INT\s*How often"))
    for heading, text in {
        "Group": "mart", "Owners": "ada", "Storage": "warehouse.mart.customers",
        "Source code": "mart.customers.sql",
    }.items():  # fmt: skip
        expect(section(page, heading)).to_contain_text(text)
    expect(section(page, "Kinds")).to_contain_text("SQLMesh")
    expect(section(page, "Kinds")).to_contain_text("DuckDB")
    metadata = page.get_by_role("table").filter(has_text="dagster-sqlmesh/kind")
    expect(metadata).to_contain_text("FULL")
    shoot("asset")

    page.goto(shop.asset_url("mart.customers", "checks"))
    expect(page.get_by_text("Checks (2)")).to_be_visible()
    for check in ("number_of_rows", "unique_values"):
        expect(page.get_by_text(check).first).to_be_visible()
    expect(page.get_by_text("SQLMesh audit number_of_rows(threshold := 1)")).to_be_visible()
    expect(page.locator("pre").filter(has_text="COUNT(*)").first).to_be_visible()
    shoot("checks")


def test_one_lineage_shows_the_nodes_of_both_frameworks(
    shop: Shop, page: Page, shoot: Shoot
) -> None:
    page.goto(shop.asset_url("reports/loyal", "lineage") + "&lineageScope=upstream&lineageDepth=3")
    graph = page.locator("svg foreignObject")
    for name, maker in {"orders": "SQLMesh", "customers": "SQLMesh", "loyal": "dbt"}.items():
        node = graph.filter(has_text=re.compile(f"^{name}")).filter(has_text="Asset checks")
        expect(node).to_contain_text(maker)
    expect(graph.filter(has_text=re.compile("^loyal"))).to_contain_text(re.compile("/ 2 Passed"))
    expect(graph.filter(has_text=re.compile("^days"))).to_have_count(0)  # loyal does not read it
    shoot("both")

    page.goto(shop.asset_url("reports/loyal"))
    expect(page.get_by_text("Who came back.")).to_be_visible()
    for heading, text in {
        "Group": "reports", "Owners": "ada@example.com", "Kinds": "dbt",
        "Storage": "warehouse.main_reports.loyal", "Source code": "loyal.sql",
    }.items():  # fmt: skip
        expect(section(page, heading)).to_contain_text(text)

    page.goto(shop.asset_url("reports/loyal", "checks"))
    expect(page.get_by_text("Checks (2)")).to_be_visible()
    for check in ("unique_loyal_customer", "not_null_loyal_customer"):
        expect(page.get_by_text(check).first).to_be_visible()
    expect(page.get_by_text("dbt test not_null(column_name := customer)")).to_be_visible()
    shoot("dbt_checks")


def test_pressing_materialize_builds_exactly_this_asset(
    shop: Shop, page: Page, shoot: Shoot
) -> None:
    query = "SELECT customer, orders FROM mart.customers ORDER BY customer"
    assert shop.project.database.rows(query) == [("ada", 1), ("bob", 1)]
    shop.project.database.execute("INSERT INTO raw.orders VALUES (3, 'ada', 5, '2024-03-03')")
    page.goto(shop.asset_url("mart.customers"))

    with one_run(shop.transform, shop.log) as found:
        button(page, "Materialize").click()
        # What it reads was built by SQLMesh's own command line: Dagster has not seen it and asks.
        expect(page.get_by_role("dialog")).to_contain_text("warehouse / stage / orders")
        button(page, "Confirm").click()
    (story,) = found

    assert story.success, story.failures
    assert story.materialized == ["customers"]
    assert story.checks == {"customers:unique_values": True, "customers:number_of_rows": True}
    assert shop.project.database.rows(query) == [("ada", 2), ("bob", 1)]
    assert shop.project.database.rows("SELECT * FROM mart.best") in ([("ada",)], [("bob",)])

    status = page.get_by_text("Latest materialization", exact=True).locator("xpath=../..")
    expect(status).not_to_contain_text("Never materialized")
    page.reload()  # the page takes in a new materialization, not its metadata
    metadata = page.get_by_role("table").filter(has_text="dagster_transform/outcome")
    expect(metadata).to_contain_text("built")
    shoot("materialized")

    page.goto(f"{shop.url}/runs/{story.run_id}")
    expect(page.get_by_text("warehouse/mart/customers: built in").first).to_be_visible()
    shoot("run")


def test_one_check_runs_alone(shop: Shop, page: Page, shoot: Shoot) -> None:
    page.goto(shop.asset_url("mart.customers", "checks") + "&checkDetail=unique_values")
    expect(page.get_by_text("SQLMesh audit unique_values", exact=False)).to_be_visible()

    with one_run(shop.transform, shop.log) as found:
        button(page, "Execute").click()
    (story,) = found

    assert story.success, story.failures
    assert story.checks == {"customers:unique_values": True}
    assert story.materialized == []
    page.reload()  # it would refresh by itself, ten seconds later
    expect(page.get_by_text("Passed").first).to_be_visible()
    shoot("check")


def test_a_broken_project_shows_why_and_the_others_load(
    shop: Shop, page: Page, shoot: Shoot
) -> None:
    page.goto(f"{shop.url}/deployment/locations")
    expect(page.get_by_text("Loaded", exact=True)).to_have_count(2)

    page.goto(f"{shop.url}/assets/broken/not_loaded")
    expect(page.get_by_text("Project broken could not be loaded.")).to_be_visible()
    why = page.get_by_text("Failed to load model from file")
    expect(why).to_contain_text("broken.letters.sql")
    shoot("broken")
    with one_run(shop.transform, shop.log) as found:
        button(page, "Materialize").click()
    (story,) = found
    assert not story.success
    assert story.materialized == []
    assert "broken.letters.sql" in str(story.failures)

    page.goto(f"{shop.url}/assets/kept_db/kept/numbers")
    expect(button(page, "Materialize")).to_be_enabled()
    expect(section(page, "Group")).to_contain_text("kept")
