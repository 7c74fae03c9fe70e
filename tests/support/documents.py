"""The pages of the documentation, and the code blocks in them.

What is to become of a block is said in comments before it, which readers of the rendered page do
not see:

    <!-- project: both -->      from here on the page's folder has a copy of a prepared project
    <!-- file: a/b.yaml -->     the block is written there, then treated like any other
    <!-- append: a/b.yaml -->   the same, at the end of what is there
    <!-- yaml: dbt -->          of which kind a YAML block is, where its keys do not say it
    <!-- exit: 1 -->            the exit code with which the commands end
    <!-- output -->             a `text` block: what the commands before it print
    <!-- shown: deploy/x -->    the block stands in this file of the repository, word for word
    <!-- checked by: tests/x.py::test_y -->   that test compares it
    <!-- not run: why -->       commands are only looked at: do they and their options exist?
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

from tests.support.folders import REPOSITORY

MARKERS = {
    "project", "file", "append", "yaml", "exit", "output", "shown", "checked by", "not run",
}  # fmt: skip
_COMMENT = re.compile(r"^\s*<!-- ([a-z ]+?)(?:: (.*))? -->\s*$")
_FENCE = re.compile(r"^(?P<indent>\s*)(?P<fence>```+)(?P<language>[\w-]*)(?P<more>.*)$")


class PageError(AssertionError):
    """A page is written wrongly, or what it says is not so."""


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        page: Its page, from the repository's folder.
        line: Where it begins.
        language: What stands behind its fence.
        text: What is in it, without the indentation that it has as a whole.
        markers: What the comments before it say; the value of one without a value is empty.
    """

    page: str
    line: int
    language: str
    text: str
    markers: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """`page:line`, as editors open it."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class NewProject:
    """From here on the page's folder has a copy of a prepared project."""

    name: str


def pages() -> list[Path]:
    """All pages: README, docs, and what stands beside code; not the changelog, which tells of
    versions that are past."""
    found = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    found += [REPOSITORY / "example_project" / "README.md"]
    return found + sorted((REPOSITORY / "deploy").rglob("*.md"))


def read_page(path: Path) -> list[Block | NewProject]:
    """What a page says, in its order.

    Raises:
        PageError: A fence is not closed, or a comment before a block is no marker.
    """
    return list(_read(path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8")))


def _read(page: str, text: str) -> Iterator[Block | NewProject]:
    lines = text.splitlines()
    markers: dict[str, str] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if comment := _COMMENT.match(line):
            name, value = comment[1], comment[2] or ""
            if name == "project":
                yield NewProject(value)
            elif name in MARKERS:
                markers[name] = value
        elif fence := _FENCE.match(line):
            begins = at
            closing = re.compile(rf"^\s*{fence['fence']}\s*$")
            while at < len(lines) and not closing.match(lines[at]):
                at += 1
            if at == len(lines):
                raise PageError(f"{page}:{begins}: the block is not closed")
            inside = dedent("\n".join(lines[begins:at])) + "\n"
            at += 1
            yield Block(page, begins, fence["language"], inside, markers)
            markers = {}
        elif line.strip() and markers:
            raise PageError(f"{page}:{at}: {', '.join(markers)}: no block comes after it")
