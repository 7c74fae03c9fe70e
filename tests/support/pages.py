"""What tests do with the pages of Dagster's UI."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.stories import Story
from tests.support.transforms import Transform

RUN_SECONDS = 120


@contextmanager
def one_run(transform: Transform, log: Path) -> Iterator[list[Story]]:
    """Gives the story of the one run that is launched inside, once it has ended.

    Args:
        transform: Of which transform.
        log: What `dagster dev` prints.
    """
    instance = transform.instance
    before = {run.run_id for run in instance.get_runs()}
    found: list[Story] = []
    yield found
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        runs = [run for run in instance.get_runs() if run.run_id not in before]
        if runs and all(run.is_finished for run in runs):
            assert len(runs) == 1
            found.append(transform.story(runs[0].run_id))
            return
        time.sleep(0.2)
    pytest.fail(f"no run ended; dagster dev said:\n{log.read_text(encoding='utf-8')[-4000:]}")


def section(page: Page, heading: str) -> Locator:
    """A line of the definition, beside an asset's page: its heading with what is under it."""
    return page.get_by_text(heading, exact=True).locator("xpath=..")


def button(page: Page | Locator, text: str) -> Locator:
    """By what is written on it: its accessible name has the icon's too."""
    return page.get_by_role("button").filter(has_text=re.compile(f"^{text}$"))


def listed(page: Page, check: str) -> Locator:
    """A check with its status, in the list beside the details of one."""
    return page.locator("[class*=checkRow]").filter(has_text=check)


def type_config(page: Page, text: str) -> None:
    """Type run config into the Launchpad that the page shows, in the place of what it suggests."""
    lines = page.locator(".CodeMirror-code")
    expect(lines).to_contain_text(re.compile(r"(ops|resources):"))  # what it suggests is there
    lines.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)
    expect(lines).to_contain_text(text.rsplit(maxsplit=1)[-1])


def press_launch(page: Page) -> None:
    """Launch what the Launchpad has, once it has found it right; the page becomes the run's."""
    launch = page.get_by_role("button").filter(has_text=re.compile("^(Launch Run|Materialize)"))
    expect(launch.last).to_be_enabled()
    launch.last.click()
    page.wait_for_url(re.compile("/runs/"))


def without_folder(page: Page, folder: Path) -> None:
    """Show `/data` in the place of a test's folder, which means nothing to whoever reads a page of
    the documentation."""
    page.evaluate(
        """([folder, shown]) => {
            const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
                const text = texts.currentNode;
                if (text.data.includes(folder)) text.data = text.data.replaceAll(folder, shown);
            }
        }""",
        [str(folder), "/data"],
    )
