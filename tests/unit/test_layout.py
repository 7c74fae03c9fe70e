"""Where tests and their helpers are, and how long a file may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.folders import REPOSITORY

CODE = ("tests", "bench", "example_project")
MOST_LINES = 400
SCRIPTS = ("tests/soak", "tests/crash")
"""Tests that are run by their names, `make soak` and the like, and not with the others."""
# Packages that the code is on its way to; this goes once they are all there.
COMING = {"process", "databases", "config", "runs"}
PACKAGES = COMING | {
    file.parent.name for file in REPOSITORY.glob("dagster_transform/*/__init__.py")
}


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for file in sorted((REPOSITORY / folder).rglob("*.py")):
            inside = file.relative_to(REPOSITORY)
            if not any(part == "golden" or part.startswith(".") for part in inside.parts):
                yield inside


# Code that a test writes for another process is code too: so not by the syntax tree.
NOT_FROM_SUPPORT = re.compile(r"^\s*(?:from|import) +(?:test_|tests(?!\.support\b))", re.MULTILINE)


def test_helpers_are_imported_from_support_and_nothing_from_a_test_file() -> None:
    wrong = {
        str(file): found
        for file in files(*CODE)
        if (found := NOT_FROM_SUPPORT.findall((REPOSITORY / file).read_text(encoding="utf-8")))
    }
    assert wrong == {}


def test_helpers_are_in_support_only() -> None:
    elsewhere = [
        str(file)
        for file in files("tests")
        if not str(file).startswith(("tests/support/", *SCRIPTS))
        and not (file.name.startswith("test_") or file.name == "conftest.py")
    ]
    assert elsewhere == []
    tests_there = [str(file) for file in files("tests/support") if file.name.startswith("test_")]
    assert tests_there == []


def test_no_file_is_long() -> None:
    lines = {str(f): len((REPOSITORY / f).read_bytes().splitlines()) for f in files(*CODE)}
    assert lines
    assert {file: n for file, n in lines.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("sort", ["unit", "integration", "contract"])
def test_folders_are_called_like_packages(sort: str) -> None:
    folders = {file.relative_to(f"tests/{sort}").parts[0] for file in files(f"tests/{sort}")}
    assert {folder for folder in folders if not folder.endswith(".py")} <= PACKAGES
