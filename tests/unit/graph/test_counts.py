"""How many there are of something: one function says so, everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dagster_transform
from dagster_transform.graph.counts import counted

PACKAGE = Path(dagster_transform.__file__).parent
_MANY = re.compile(r"^ (rows|nodes|checks|models|assets|slots|jobs|errors|units)\b")


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("node",), "0 nodes"),
        (1, ("node",), "1 node"),
        (1155, ("row",), "1,155 rows"),
        (1, ("batch", "batches"), "1 batch"),
        (2, ("node waits", "nodes wait"), "2 nodes wait"),
    ],
)
def test_one_is_one_and_the_rest_are_many(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said


def uncounted(code: str) -> Iterator[str]:
    """Texts of code in which a number that is not known comes before several of something."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for before, after in zip(node.values, node.values[1:], strict=False):
            unknown = isinstance(before, ast.FormattedValue)
            if unknown and isinstance(after, ast.Constant) and _MANY.match(str(after.value)):
                yield ast.unparse(node)


def test_nobody_says_1_rows() -> None:
    assert list(uncounted('f"{n} rows"')), "it would find none"
    found = {
        f"{path.relative_to(PACKAGE)}: {text}"
        for path in PACKAGE.rglob("*.py")
        for text in uncounted(path.read_text(encoding="utf-8"))
    }
    assert not found
