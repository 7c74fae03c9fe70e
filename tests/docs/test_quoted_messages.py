"""Every message that docs/troubleshooting.md quotes is one that the code makes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import dagster as dg
import pytest

import dagster_transform
from dagster_transform import transform_executor
from tests.support.folders import REPOSITORY

PACKAGE = Path(dagster_transform.__file__).parent
PAGE = REPOSITORY / "docs" / "troubleshooting.md"
QUOTED = re.findall(r"^### (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def texts(node: ast.AST) -> Iterator[str]:
    """What a string of the code may be, with `…` for what is known only when it is made."""
    match node:
        case ast.Constant(value=str() as value):
            yield value
        case ast.JoinedStr(values=values):
            yield "".join(v.value if isinstance(v, ast.Constant) else "…" for v in values)


@cache
def said() -> str:
    """All strings of the package, a line each."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found |= {normal(text) for text in texts(node)}
    return "\n".join(sorted(found))


def normal(text: str) -> str:
    """`…` once for each run of unknown parts and the quotes around them."""
    return re.sub(r"['\"]?…+['\"]?", "…", " ".join(text.split()))


def is_said(quoted: str) -> bool:
    return normal(quoted) in said()


@pytest.mark.parametrize("quoted", QUOTED)
def test_the_code_makes_the_message(quoted: str) -> None:
    assert is_said(quoted)


def test_what_dagster_says_of_two_executors() -> None:
    two = [dg.Definitions(executor=each) for each in (dg.in_process_executor, transform_executor())]
    with pytest.raises(dg.DagsterInvariantViolationError) as raised:
        dg.Definitions.merge(*two)
    assert f"| `{raised.value}` |" in PAGE.read_text(encoding="utf-8")


def test_messages_are_quoted_and_others_are_found_out() -> None:
    assert len(QUOTED) > 20
    assert not is_said("Project …: its environment … was never, ever planned.")
