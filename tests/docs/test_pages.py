"""Every code block of the documentation is run, or held to what it is a block of.

A page is carried out from top to bottom in a folder of its own: files are written, commands and
Python are executed, configuration is validated by what reads it. tests/support/documents.py has the
comments by which a page says what becomes of a block.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.document_commands import problems
from tests.support.document_runs import NOT_RUN, blocks_of, carry_out, rule_of
from tests.support.documents import NewProject, pages, read_page
from tests.support.folders import REPOSITORY

AT_LEAST = 80
"""Blocks that are run or checked; a page that is taken away takes the number down."""


def is_slow(path: Path) -> bool:
    return any(
        isinstance(each, NewProject) or rule_of(each) in {"commands", "python"}
        for each in read_page(path)
    )


def parameters() -> list[object]:
    return [
        pytest.param(
            path,
            id=path.relative_to(REPOSITORY).as_posix(),
            marks=[pytest.mark.slow] if is_slow(path) else [],
        )
        for path in pages()
    ]


@pytest.mark.timeout(600)  # a page is many processes, one after the other
@pytest.mark.parametrize("page", parameters())
def test_what_a_page_says_is_so(page: Path, tmp_path: Path) -> None:
    carry_out(page, tmp_path)


def test_blocks_have_a_rule_and_most_are_run() -> None:
    assert blocks_of(pages(), lambda block: rule_of(block) is None) == []
    assert len(blocks_of(pages(), lambda block: rule_of(block) not in NOT_RUN)) >= AT_LEAST
    left_out = blocks_of(pages(), lambda block: "not run" in block.markers)
    assert [block.place for block in left_out if len(block.markers["not run"]) < 10] == []


def page(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tests.support.documents.REPOSITORY", folder)
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("```\nx\n```\n", "no rule says"),
        ("```text\nx\n```\n", "no rule says"),
        ("```sh\nexit 3\n```\n", "exit code 3, not 0"),
        ("<!-- exit: 1 -->\n```sh\ntrue\n```\n", "exit code 0, not 1"),
        ("```sh\nif\n```\n", "syntax error"),
        ("```sh\nmake no-such-target\n```\n", "there is no make no-such-target"),
        ("```sh\nmake test NOPE=1\n```\n", "there is no make NOPE=1"),
        ("```sh\npip install 'dagster-transform[oracle]'\n```\n", "there is no oracle"),
        (
            "<!-- not run: it is a test -->\n```sh\ndagster-transform prepare --nope\n```\n",
            "there is no prepare --nope",
        ),
        ("```sh\ndagster dev --nope\n```\n", "there is no dev --nope"),
        ("```sh\necho one\n```\n<!-- output -->\n```text\ntwo\n```\n", "not printed: 'two'"),
        ("```python\nraise SystemExit('no')\n```\n", "no"),
        ("```yaml\nfoo: 1\n```\n", "of which kind is it"),
        ("```yaml\ntags: {heavy: none}\n```\n", "as transform:"),
        ("```yaml\njob_groups: {a: {nodes: [x], crom: x}}\n```\n", "as job groups:"),
        ("```json\n{]\n```\n", "Expecting"),
        ("```sql\nSELECT FROM WHERE\n```\n", "Expected"),
        ("<!-- shown: Makefile -->\n```text\nno such line\n```\n", "not in Makefile"),
        ("<!-- checked by: tests/conftest.py::nope -->\n```text\nx\n```\n", "there is no tests/"),
        ("<!-- file: x -->\n\nNo block.\n", "no block comes after it"),
        ("```sh\ntrue\n", "the block is not closed"),
    ],
)
def test_what_is_not_so_is_found(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Exception, match=says) as raised:
        carry_out(page(tmp_path, text, monkeypatch), tmp_path)
    assert not isinstance(raised.value, TypeError | AttributeError | NameError)


def test_what_is_so_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "<!-- file: a/said.py -->\n```python\nprint('x')\n```\n"
        "- in a list\n\n  ```sh\n  python a/said.py\n  echo took 1.5 s\n  ```\n\n"
        "<!-- output -->\n```text\nx\ntook 7.25 s\n```\n"
        "```console\n$ cat a/said.py\nprint('x')\n```\n"
    )
    carry_out(page(tmp_path, text, monkeypatch), tmp_path)


def test_options_of_commands_that_are_only_looked_at() -> None:
    assert problems("dagster-transform job-groups generate --dry-run") == []
    assert problems("DAGSTER_HOME=/x dagster dev -w workspace.yaml --port 3001") == []
    assert problems("make test ARGS=-x WORKERS=0") == []
    assert problems("dagster-transform job-groups nope") == ["job-groups nope"]
