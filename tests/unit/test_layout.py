"""Where tests and their helpers are, and how long a file may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.folders import REPOSITORY

CODE = ("tests", "bench", "matrix", "example_project")
MOST_LINES = 400
MOST_ATTRIBUTES = 12
SCRIPTS = ("tests/soak", "tests/crash")
"""Tests that are run by their names, `make soak` and the like, and not with the others."""
TYPED = "tests/typing"
"""What mypy is to look at, and nobody runs."""
PACKAGES = {file.parent.name for file in REPOSITORY.glob("dagster_transform/*/__init__.py")}
# Each had two to four meanings once; docs/glossary.md has what is said instead.
AMBIGUOUS = re.compile(
    r"\b(let_go|session|setting|Flight|ground|hands|manner|crew|late|gone|turn)\b"
)
ALLOWED = {
    # The name of a column in the databases of those who have one already.
    ("dagster_transform/claims/store/schema.py", "session"),
}


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for file in sorted((REPOSITORY / folder).rglob("*.py")):
            inside = file.relative_to(REPOSITORY)
            if inside.parts[:2] == ("bench", "results"):
                continue  # projects that benchmarks have made
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
        if not str(file).startswith(("tests/support/", TYPED, *SCRIPTS))
        and not (file.name.startswith("test_") or file.name == "conftest.py")
    ]
    assert elsewhere == []
    tests_there = [str(file) for file in files("tests/support") if file.name.startswith("test_")]
    assert tests_there == []


def test_no_file_is_long() -> None:
    every = files("dagster_transform", *CODE)
    lines = {str(f): len((REPOSITORY / f).read_bytes().splitlines()) for f in every}
    assert lines
    assert {file: n for file, n in lines.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("sort", ["unit", "integration", "contract"])
def test_folders_are_called_like_packages(sort: str) -> None:
    folders = {file.relative_to(f"tests/{sort}").parts[0] for file in files(f"tests/{sort}")}
    assert {folder for folder in folders if not folder.endswith(".py")} <= PACKAGES


def test_words_that_had_several_meanings_do_not_come_back() -> None:
    found = {
        (str(file), word)
        for file in files("dagster_transform")
        for word in AMBIGUOUS.findall((REPOSITORY / file).read_text(encoding="utf-8"))
    }
    assert found - ALLOWED == set()


def test_no_class_has_many_attributes_without_a_reason_beside_it() -> None:
    for file in files("dagster_transform"):
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and len(attributes(node)) > MOST_ATTRIBUTES:
                source = ast.get_source_segment(text, node) or ""
                assert "# More than twelve attributes: " in source, f"{file}: {node.name}"


def attributes(node: ast.ClassDef) -> set[str]:
    """Fields of a dataclass or model, and what methods set on `self`."""
    fields = {
        inside.target.id
        for inside in node.body
        if isinstance(inside, ast.AnnAssign) and isinstance(inside.target, ast.Name)
    }
    return fields | {
        inside.attr
        for inside in ast.walk(node)
        if isinstance(inside, ast.Attribute)
        and isinstance(inside.ctx, ast.Store)
        and isinstance(inside.value, ast.Name)
        and inside.value.id == "self"
    }


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", text))
    assert len(named) > 30
    missing = [name for name in named if not (REPOSITORY / "dagster_transform" / name).is_file()]
    assert missing == []
