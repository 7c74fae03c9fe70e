"""The example's lineage in Dagster's UI, as README and docs/index.md show it.

With SCREENSHOTS=folder the picture is written there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.folders import REPOSITORY

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

LEFT_BEHIND = ("data", "target", "logs", ".cache", ".dagster_transform", "__pycache__")
DOWNWARDS = "localStorage.setItem('asset-graph-direction', '\"vertical\"')"
"""As the button in the corner of the graph does: then it is narrow enough to be read on a page."""


@dataclass(frozen=True)
class Example:
    """A copy of the example that was built once.

    Attributes:
        folder: Where processes work.
        url: Of the UI.
    """

    folder: Path
    url: str = ""

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAGSTER", "FLIGHTS"))}
        return {**kept, "DAGSTER_HOME": str(self.folder / "home")}


@pytest.fixture(scope="module")
def example(
    tmp_path_factory: pytest.TempPathFactory,
    chromium: str,
    serving: Callable[..., AbstractContextManager[str]],
) -> Iterator[Example]:
    folder = tmp_path_factory.mktemp("example")
    ignored = shutil.ignore_patterns(*LEFT_BEHIND)
    shutil.copytree(REPOSITORY / "example_project", folder / "example_project", ignore=ignored)
    (folder / "home").mkdir()
    shutil.copy(REPOSITORY / "dagster_home.yaml", folder / "home" / "dagster.yaml")
    made = Example(folder)
    subprocess.run(
        [sys.executable, "-m", "example_project.demo"],
        cwd=folder, env=made.environment(), check=True, timeout=200, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    command = ["dagster_webserver", "-m", "example_project.definitions"]
    with serving(command, made, folder / "dagster.log") as url:
        yield Example(folder, url)


def test_one_lineage_goes_through_python_dbt_and_sqlmesh(
    example: Example, page: Page, picture: Callable[..., None]
) -> None:
    page.set_viewport_size({"width": 1400, "height": 1700})
    page.add_init_script(DOWNWARDS)
    page.goto(
        f"{example.url}/assets/delay_picture?view=lineage&lineageScope=upstream&lineageDepth=6"
    )
    graph = page.locator("svg foreignObject")
    makers = {"flights": "Python", "stg_flights": "dbt", "delay_by_hour": "SQLMesh",
              "delay_cells": "dbt", "delay_picture": "Python"}  # fmt: skip
    for name, maker in makers.items():
        node = graph.filter(has_text=re.compile(rf"^{name}(?![a-z_])"))
        expect(node.first).to_contain_text(maker)
        expect(node.first).to_contain_text("Materialized")
    picture("lineage", *graph.all(), around=8)
