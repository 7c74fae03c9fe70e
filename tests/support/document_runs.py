"""A page of the documentation, carried out from top to bottom in a folder of its own."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.support.document_commands import commands_of, problems
from tests.support.document_kinds import CHECKED
from tests.support.document_projects import make_home, prepared_project, run
from tests.support.documents import Block, NewProject, PageError, read_page
from tests.support.folders import REPOSITORY

SHELL = {"sh", "bash", "console"}
_NUMBER = re.compile(r"\d+\.\d+")
_ANY = re.compile(r"\.\.\.|…")


def rule_of(block: Block) -> str | None:
    """What is done with a block: its rule in a word; None where there is none.

    `not run` and `looked at` count as no run.
    """
    if "shown" in block.markers:
        return "shown"
    if "checked by" in block.markers:
        return "checked by"
    if block.language in SHELL:
        return "commands" if commands_of(block).script else "looked at"
    if "not run" in block.markers:
        return "not run"
    if block.language == "python":
        return "python"
    if block.language in CHECKED:
        return block.language
    if block.language == "text" and "output" in block.markers:
        return "output"
    return "file" if "file" in block.markers or "append" in block.markers else None


NOT_RUN = {"not run", "looked at", None}


def carry_out(path: Path, folder: Path) -> None:
    """Do what a page says.

    Args:
        path: The page.
        folder: An empty folder.

    Raises:
        PageError: Something is not so; the message says where.
    """
    make_home(folder)
    printed = ""
    for each in read_page(path):
        if isinstance(each, NewProject):
            shutil.copytree(
                prepared_project(each.name), folder, dirs_exist_ok=True, copy_function=shutil.copy2
            )
            continue
        _write(each, folder)
        match rule_of(each):
            case None:
                raise PageError(
                    f"{each.place}: no rule says what is done with a block of language "
                    f"{each.language!r}; tests/support/documents.py has the comments that do"
                )
            case "commands":
                printed = _run(each, folder)
            case "python":
                _run_python(each, folder)
            case "looked at":
                _run(each, folder)
            case "output":
                _compare(each, printed)
            case "shown":
                _is_shown(each)
            case "checked by":
                _is_checked(each)
            case rule if rule in CHECKED:
                CHECKED[rule](each)


def _write(block: Block, folder: Path) -> None:
    for marker, mode in (("file", "w"), ("append", "a")):
        if marker in block.markers:
            target = folder / block.markers[marker]
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open(mode, encoding="utf-8") as file:
                file.write(block.text)


def _run(block: Block, folder: Path) -> str:
    commands = commands_of(block)
    if wrong := [problem for line in commands.looked_at for problem in problems(line)]:
        raise PageError(f"{block.place}: there is no {', '.join(wrong)}")
    if not commands.script:
        return ""
    done = run(commands.script, folder)
    wanted = int(block.markers.get("exit", 0))
    if done.returncode != wanted:
        raise PageError(
            f"{block.place}: exit code {done.returncode}, not {wanted}\n{block.text}\n{done.stdout}"
        )
    return done.stdout


def _run_python(block: Block, folder: Path) -> None:
    name = block.markers.get("file")
    if name is None:
        name = "_block.py"
        (folder / name).write_text(block.text, encoding="utf-8")
    done = run(f"{sys.executable} -W error::DeprecationWarning:__main__ {name}", folder)
    if done.returncode:
        raise PageError(f"{block.place}: {done.stdout}")


def _compare(block: Block, printed: str) -> None:
    """Each line that is shown is printed, in this order; `...` stands for anything, and numbers
    with a point, which are mostly seconds, for any other."""
    lines = [_normal(line) for line in printed.splitlines()]
    at = 0
    for shown in block.text.splitlines():
        if not _normal(shown) or _normal(shown) == "...":
            continue
        wanted = re.compile(
            ".*".join(re.escape(part) for part in _ANY.split(_normal(shown))), re.DOTALL
        )
        found = next((n for n in range(at, len(lines)) if wanted.fullmatch(lines[n])), None)
        if found is None:
            raise PageError(f"{block.place}: not printed: {shown!r}\n--- printed:\n{printed}")
        at = found + 1


def _normal(line: str) -> str:
    return _NUMBER.sub("#", " ".join(line.split()))


def _is_shown(block: Block) -> None:
    file = REPOSITORY / block.markers["shown"]
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    missing = [
        line for line in block.text.splitlines() if line.strip() and line.strip() not in lines
    ]
    if missing:
        raise PageError(f"{block.place}: not in {block.markers['shown']}: {missing}")


def _is_checked(block: Block) -> None:
    file, _, name = block.markers["checked by"].partition("::")
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    if not re.search(rf"^\s*def {name}\b", text, re.MULTILINE):
        raise PageError(f"{block.place}: there is no {block.markers['checked by']}")


def blocks_of(paths: Iterable[Path], wanted: Callable[[Block], bool]) -> list[Block]:
    """The blocks of pages for which something is so."""
    return [
        each
        for path in paths
        for each in read_page(path)
        if isinstance(each, Block) and wanted(each)
    ]
