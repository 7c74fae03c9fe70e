"""The reference has everything that is public, and the site builds."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import dagster_transform
from dagster_transform.config.fields import Model
from tests.support.folders import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference"


def named(page: str) -> list[str]:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)


def test_all_public_names_are_there() -> None:
    names = {name.rsplit(".", 1)[1] for name in named("python.md")}
    assert set(dagster_transform.__all__) == names


def below(kind: type[Model]) -> list[type[Model]]:
    return [each for k in kind.__subclasses__() for each in (k, *below(k))]


def test_all_configuration_is_there() -> None:
    import_module("dagster_transform.config.job_group_file")

    names = {name.rsplit(".", 1)[1] for name in named("configuration.md")}
    assert {kind.__name__ for kind in below(Model)} - {"_File"} == names


@pytest.mark.parametrize("page", ["python.md", "configuration.md"])
def test_what_is_named_exists(page: str) -> None:
    for name in named(page):
        module, _, attribute = name.rpartition(".")
        assert getattr(import_module(module), attribute).__doc__, name


def test_configuration_is_headed_by_what_people_write() -> None:
    text = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    for each in text.split("\n::: ")[1:]:
        heading, label = re.findall(r'^      (?:heading|toc_label): "(.+)"$', each, re.MULTILINE)
        assert heading == label
        assert not re.search(r"[A-Z][a-z]", heading), "a class, not a key"


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run_config = (tmp_path / "reference" / "run-config" / "index.html").read_text(encoding="utf-8")
    assert "<code>max_concurrent_models</code>" in run_config
    assert "<code>full_refresh</code>" in run_config
    configuration = tmp_path / "reference" / "configuration" / "index.html"
    text = configuration.read_text(encoding="utf-8")
    assert "freshness_grace" in text
    assert "projects.NAME.watch, framework: dbt" in text
    for page in tmp_path.rglob("index.html"):
        written = page.read_text(encoding="utf-8")
        assert "```" not in written, f"a block of code is taken for text on {page.parent}"
        # A Returns that is cut into lines has a row for each.
        for table in re.findall(r"Returns:.*?</table>", written, re.DOTALL):
            assert table.count('class="doc-section-item"') <= 1, f"Returns on {page.parent}"
    for page in (tmp_path / "reference").glob("*/index.html"):
        shown = re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8"))
        assert not re.findall(r"(?<![\w.])_[A-Z]\w+", shown), (
            f"private classes on {page.parent.name}"
        )
