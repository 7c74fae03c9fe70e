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
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from PIL import Image
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect, sync_playwright

from tests.support.face import Face, face_transform
from tests.support.shop import Shop, half_broken_shop, working_shop
from tests.support.transforms import Transform
from tests.support.two_days import Shown, TwoDays

NO_CHROMIUM = "No Chromium, for the browser tests: apt-get install chromium"
READY_SECONDS = 90
PAGE_MS = 30_000
HOURS = (1, 25, 36)
"""At which the hourly model is built."""


@pytest.fixture(scope="session", autouse=True)
def chromium() -> str:
    """The browser. On a machine of one's own tests go without; in CI they fail."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(NO_CHROMIUM, pytrace=False)
    if found is None:
        pytest.skip(NO_CHROMIUM)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tests that are skipped for want of a browser are one line: pytest folds equal places."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and NO_CHROMIUM in report.longrepr[2]:
        report.longrepr = (__file__, 1, report.longrepr[2])
    return report


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """`dagster dev` with two code locations: one that works, one with a project that is broken."""
    folder = tmp_path_factory.mktemp("shop")
    transform, project = working_shop(folder / "works")
    half_broken_shop(folder / "half")
    workspace = folder / "workspace.yaml"
    locations = [
        {"python_file": {"relative_path": str(file), "location_name": file.parent.name,
                         "working_directory": str(file.parent)}}
        for file in (transform.module, folder / "half" / "defs_half.py")
    ]  # fmt: skip
    workspace.write_text(yaml.safe_dump({"load_from": locations}), encoding="utf-8")
    log = folder / "dagster.log"
    command = ["dagster", "dev", "-w", str(workspace)]
    with closing(transform), _serving(command, transform, log) as url:
        yield Shop(url, transform, project, log)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """`dagster dev` on a transform with one of everything that the UI shows."""
    transform = face_transform(tmp_path_factory.mktemp("face") / "works")
    command = ["dagster", "dev", "-w", str(transform.folder / "workspace.yaml")]
    log = transform.folder / "dagster.log"
    with closing(transform), _serving(command, transform, log) as url:
        yield Face(url, transform, log)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Dagster's web server on two days of an hourly model whose audits run once a day."""
    transform = TwoDays(tmp_path_factory.mktemp("days") / "visits")
    transform.two_days(HOURS)
    command = ["dagster_webserver", "-f", transform.module.name, "-a", "defs"]
    log = transform.folder / "dagster.log"
    with closing(transform), _serving(command, transform, log) as url:
        yield Shown(url, transform)


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[str]]:
    """Serves the UI of what has a folder and an environment; gives its URL."""
    return _serving


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Not of the session: while it lives, no other test could use asyncio."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage",
            ],
        )  # fmt: skip
        yield running
        running.close()


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


@pytest.fixture
def picture(page: Page, tmp_path: Path) -> Callable[..., None]:
    """Keep what lies around things on the page, or all of it, as a small PNG, where SCREENSHOTS
    says."""

    def take(name: str, *things: Locator, around: int = 12) -> None:
        if not (folder := os.environ.get("SCREENSHOTS")):
            return
        page.wait_for_timeout(500)  # what fades in has come
        # Here, and not in a test: the page draws its rows anew while it loads, and a row that is
        # replaced in that moment fails the call, though it says nothing of what is shown.
        if things:
            things[-1].scroll_into_view_if_needed()
        clip = _around([box for thing in things if (box := thing.bounding_box())], around)
        file = tmp_path / f"{name}.png"
        page.screenshot(path=file, clip=clip)
        Path(folder).mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            small = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
            small.save(Path(folder) / f"{name}.png", optimize=True)

    return take


def _around(boxes: Sequence[FloatRect], around: int) -> FloatRect | None:
    """What holds all of the boxes, and so many pixels more."""
    if not boxes:
        return None
    left, top = (max(0, min(box[side] for box in boxes) - around) for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + around
    bottom = max(box["y"] + box["height"] for box in boxes) + around
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


@contextmanager
def _serving(command: list[str], transform: Transform, log: Path) -> Iterator[str]:
    """A module of Dagster's that serves the UI, and its URL."""
    port = _free_port()
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", *command, "-p", str(port)],
            cwd=transform.folder,
            env=transform.environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(f"{url}/server_info", server, log)
        yield url
    finally:
        _end(server)


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.3)
    pytest.fail(f"the UI did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")


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


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
