"""Links of README and docs lead somewhere: files are there, and so are headings. mkdocs looks at
its own pages only, and takes a while."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.documents import pages
from tests.support.folders import REPOSITORY

MOST_BYTES_OF_README = 6_000
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^\s*(```+).*?^\s*\1\s*$", re.MULTILINE | re.DOTALL)
_OURS = "https://github.com/dagster-transform/dagster-transform/"


@cache
def anchors(path: Path) -> set[str]:
    text = _CODE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())
        for heading in headings
    }


def broken(page: Path) -> list[str]:
    found = []
    for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(_OURS):
            inside = re.sub(r"^(blob|tree)/main/", "", link.removeprefix(_OURS)).rstrip("/")
            if "/" in link.removeprefix(_OURS) and not (REPOSITORY / inside).exists():
                found.append(link)
            continue
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading\n[x](#a-heading) [y](#none) [z](none.md)\n"
        f"[a]({_OURS}blob/main/Makefile) [b]({_OURS}blob/main/none)\n",
        encoding="utf-8",
    )
    assert broken(page) == ["#none", "none.md", f"{_OURS}blob/main/none"]


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_bytes()) < MOST_BYTES_OF_README


def test_every_picture_is_shown_somewhere() -> None:
    shown = "\n".join(page.read_text(encoding="utf-8") for page in pages())
    images = {path.name for path in (REPOSITORY / "docs" / "images").iterdir()}
    assert {name for name in images if f"images/{name}" not in shown} == set()
