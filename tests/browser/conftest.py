"""Dagster's UI on a small transform, and a Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.dbt_projects import DbtProject
from tests.integration.sqlmesh_projects import Database, Project, utc
from tests.integration.transforms import Transform, python_asset

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PLANNED = utc("2024-03-04 12:00")
READY_SECONDS = 90
PAGE_MS = 30_000

MODELS = {
    "stage.orders": """
        kind VIEW,
        description 'Orders as the shop wrote them.',
        audits (not_null(columns := (order_id)))
        ---
        SELECT order_id::INT AS order_id, customer::TEXT AS customer, amount::INT AS amount,
          day::DATE AS day /* When it was paid */
        FROM raw.orders
        """,
    "mart.days": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column day),
        description 'What came in, day by day.',
        ---
        SELECT day::DATE AS day, SUM(amount)::INT AS amount
        FROM stage.orders WHERE day BETWEEN @start_ds AND @end_ds GROUP BY 1
        """,
    "mart.customers": """
        kind FULL,
        owner ada,
        description 'One row for each customer.',
        column_descriptions (customer = 'Who paid', orders = 'How often'),
        audits (
          unique_values(columns := (customer)),
          number_of_rows(threshold := 1, blocking := false)
        )
        ---
        SELECT customer::TEXT AS customer, COUNT(*)::INT AS orders
        FROM stage.orders GROUP BY 1
        """,
    "mart.best": """
        kind FULL,
        description 'The best customer.',
        audits (not_null(columns := (customer)))
        ---
        SELECT customer::TEXT AS customer FROM mart.customers ORDER BY orders DESC LIMIT 1
        """,
}

DBT = {
    "models/loyal.sql": """
        {{ config(materialized='table', schema='reports', group='reports') }}
        select customer from {{ source('mart', 'customers') }} where orders > 1
        """,
    "models/loyal.yml": """
        sources:
          - name: mart
            schema: mart
            tables: [{name: customers}]
        groups:
          - name: reports
            owner: {name: ada, email: ada@example.com}
        models:
          - name: loyal
            description: Who came back.
            columns:
              - name: customer
                data_tests: [unique, {not_null: {config: {severity: warn}}}]
        """,
}
"""One model, on a view of SQLMesh's."""


@dataclass
class Shop:
    """What the tests look at: a running `dagster dev`.

    Attributes:
        url: Of the UI.
        transform: The projects that work, and the Dagster home.
        project: The SQLMesh project.
        log: What `dagster dev` printed.
    """

    url: str
    transform: Transform
    project: Project
    log: Path

    def asset_url(self, name: str, view: str = "overview") -> str:
        """The page of a model (`mart.customers`), or of an asset by its key (`reports/loyal`)."""
        key = name if "/" in name else "/".join(self.transform.key(name).path)
        return f"{self.url}/assets/{key}?view={view}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """`dagster dev` with two code locations: one that works, one with a project that is broken."""
    folder = tmp_path_factory.mktemp("shop")
    transform, project = _working(folder / "works")
    _half_broken(folder / "half")
    workspace = folder / "workspace.yaml"
    locations = [
        {"python_file": {"relative_path": str(file), "location_name": file.parent.name,
                         "working_directory": str(file.parent)}}
        for file in (transform.module, folder / "half" / "defs_half.py")
    ]  # fmt: skip
    workspace.write_text(yaml.safe_dump({"load_from": locations}), encoding="utf-8")
    port = _free_port()
    log = folder / "dagster.log"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-p", str(port)],
            cwd=folder,
            env=transform.environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(f"{url}/server_info", server, log)
        yield Shop(url, transform, project, log)
    finally:
        _end(server)
        transform.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not of the session: while it lives, no other test could use asyncio."""
    if CHROMIUM is None:
        pytest.fail("No Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage",
            ],
        )  # fmt: skip
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A tab of its own; how it looked when the test ended is in last.png of the test's folder."""
    expect.set_options(timeout=PAGE_MS)
    context = browser.new_context(viewport={"width": 1500, "height": 950})
    context.set_default_timeout(PAGE_MS)
    tab = context.new_page()
    yield tab
    tab.screenshot(path=tmp_path / "last.png")
    context.close()


@pytest.fixture
def shoot(page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Take a screenshot; with SCREENSHOTS=folder it is kept there too."""

    def take(name: str) -> None:
        file = tmp_path / f"{name}.png"
        page.screenshot(path=file)
        if keep := os.environ.get("SCREENSHOTS"):
            Path(keep).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, keep)

    return take


def _working(folder: Path) -> tuple[Transform, Project]:
    folder.mkdir()
    database = Database.in_file(folder / "warehouse.duckdb")
    database.execute(
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.orders (order_id INT, customer TEXT, amount INT, day DATE)",
        "INSERT INTO raw.orders VALUES (1, 'ada', 10, '2024-03-01'), (2, 'bob', 20, '2024-03-02')",
    )
    project = Project(folder / "shop", database, MODELS, name="shop")
    project.plan_natively(PLANNED)
    report = python_asset("report", ("warehouse", "mart", "best"), ("warehouse", "mart", "days"))
    transform = Transform(folder, [project], code=report, plan="never")
    DbtProject(folder / "reports", database, DBT)
    config = yaml.safe_load((folder / "transform.yaml").read_text(encoding="utf-8"))
    config["projects"]["reports"] = {
        "framework": "dbt",
        "path": "reports",
        "profiles_dir": "reports",
    }
    (folder / "transform.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    transform.prepare()
    dagster_yaml = transform.home / "dagster.yaml"
    text = dagster_yaml.read_text(encoding="utf-8")
    dagster_yaml.write_text(text + "nux: {enabled: false}\n", encoding="utf-8")
    return transform, project


def _half_broken(folder: Path) -> None:
    """Two projects; a model of the second can't be parsed."""
    folder.mkdir()
    kept = Project(
        folder / "kept",
        Database.in_file(folder / "kept_db.duckdb"),
        {"kept.numbers": "kind FULL\n---\nSELECT 1::INT AS number"},
        name="kept",
    )
    broken = Project(
        folder / "broken",
        Database.in_file(folder / "broken_db.duckdb"),
        {"broken.letters": "kind FULL\n---\nSELECT FROM WHERE 'a'"},
        name="broken",
    )
    Transform(folder, [kept, broken])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.3)
    pytest.fail(f"dagster dev did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """The whole group: web server, daemon and code servers, also if one of them hangs."""
    for number, seconds in ((signal.SIGINT, 15), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
        try:
            os.killpg(server.pid, 0)
        except ProcessLookupError:
            return
