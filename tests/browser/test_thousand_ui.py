"""Dagster's UI on a transform of a thousand models: docs/ui.md.

With SCREENSHOTS=folder the picture of that page is written there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing

import pytest
from playwright.sync_api import Page, expect

from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

LAYERS, EACH = 10, 100
MODULE = "from pathlib import Path\nfrom dagster_transform import build_transform_definitions\n\n"
MODULE += "defs = build_transform_definitions(Path(__file__).parent)\n"


def model(layer: int, number: int) -> str:
    """A model that reads two of the layer before it."""
    if layer == 0:
        return f"kind FULL\n---\nSELECT {number}::INT AS id"
    above = [f"layer_{layer - 1}.m_{layer - 1}_{n % EACH:02}" for n in (number, number * 7 + 1)]
    reads = " JOIN ".join(dict.fromkeys(above))
    using = " USING (id)" if len(set(above)) > 1 else ""
    return f"kind VIEW\n---\nSELECT id::INT AS id FROM {reads}{using}"


@pytest.fixture(scope="module")
def url(
    tmp_path_factory: pytest.TempPathFactory,
    chromium: str,
    serving: Callable[..., AbstractContextManager[str]],
) -> Iterator[str]:
    """Of the UI. Nothing of it is planned or built."""
    folder = tmp_path_factory.mktemp("thousand") / "wide"
    models = {
        f"layer_{layer}.m_{layer}_{number:02}": model(layer, number)
        for layer in range(LAYERS)
        for number in range(EACH)
    }
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), models)
    transform = Transform(folder, [project], module=MODULE, plan="never")
    with (transform.home / "dagster.yaml").open("a", encoding="utf-8") as dagster_yaml:
        dagster_yaml.write("nux: {enabled: false}\n")
    with closing(transform):
        transform.prepare()
        command = ["dagster_webserver", "-f", transform.module.name, "-a", "defs"]
        with serving(command, transform, folder / "dagster.log") as found:
            yield found


def test_the_whole_lineage_folds_into_groups(
    url: str, page: Page, picture: Callable[..., None]
) -> None:
    page.goto(f"{url}/asset-groups")
    for layer in range(LAYERS):
        group = page.locator("svg foreignObject").filter(has_text=f"layer_{layer}")
        expect(group.first).to_be_visible()
    picture("ui-thousand")


def test_a_node_is_found_by_its_name(url: str, page: Page) -> None:
    page.goto(f"{url}/assets/w/layer_5/m_5_42?view=lineage&lineageScope=neighbors&lineageDepth=1")
    graph = page.locator("svg foreignObject")
    for name in ("m_5_42", "m_4_42", "m_4_95"):  # it, and what it reads
        expect(graph.filter(has_text=re.compile(f"^{name}")).first).to_be_visible()
    page.get_by_role("button").filter(has_text="Search").first.click()
    page.get_by_role("textbox").last.fill("m_7_13")
    found = page.get_by_role("link").filter(has_text="m_7_13").first
    found.click()
    expect(page).to_have_url(re.compile("/assets/w/layer_7/m_7_13"))
