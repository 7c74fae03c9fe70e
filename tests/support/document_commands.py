"""The shell blocks of the documentation: which lines are run, which are only looked at, and whether
what a line names exists."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any

import click
from packaging.requirements import Requirement

from tests.support.documents import Block, PageError
from tests.support.folders import REPOSITORY

LOOKED_AT = {
    "make", "pip", "uv", "uvx", "git", "docker", "helm", "kubectl", "create-dagster",
}  # fmt: skip
"""Programs that would change the machine, or need another one."""
SERVERS = {"dagster dev", "dg dev", "dagster-webserver", "dagster-daemon", "dagster code-server"}
"""Commands that go on until somebody ends them."""
_OPTION = re.compile(r"^--?[a-zA-Z][\w-]*$")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")


@dataclass(frozen=True)
class Commands:
    """A shell block, taken apart.

    Attributes:
        script: What is run; empty where nothing is.
        looked_at: What is only looked at, line by line.
    """

    script: str
    looked_at: tuple[str, ...]


def commands_of(block: Block) -> Commands:
    """What is to be run of a block. Raises PageError: bash does not understand it."""
    text = _without_prompts(block.text)
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PageError(f"{block.place}: {done.stderr}")
    script, looked_at = [], []
    for line in text.replace("\\\n", " ").splitlines():
        aside = "not run" in block.markers or _is_only_looked_at(line)
        (looked_at if aside else script).append(line)
    kept = [line for line in script if line.strip() and not line.lstrip().startswith("#")]
    return Commands("\n".join(script) if kept else "", tuple(looked_at))


def _without_prompts(text: str) -> str:
    lines = text.splitlines()
    if any(line.startswith("$ ") for line in lines):
        return "\n".join(line[2:] for line in lines if line.startswith("$ ")) + "\n"
    return text


def _is_only_looked_at(line: str) -> bool:
    words = _words(line)
    return bool(words) and (
        words[0] in LOOKED_AT or any(" ".join(words).startswith(server) for server in SERVERS)
    )


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    return words


def problems(line: str) -> list[str]:
    """What a line names and does not exist: targets of make, extras of ours, our commands and their
    options, those of Dagster's servers."""
    words = _words(line)
    match words:
        case ["make", *rest]:
            return _problems_of_make(rest)
        case ["pip", "install", *rest] | ["uv", "pip", "install", *rest]:
            return _problems_of_install(rest)
        case ["dagster-transform", *rest]:
            from dagster_transform.cli import main

            return _problems_of_command(main, rest)
        case ["dagster", "dev", *rest]:
            from dagster._cli import create_dagster_cli

            return _problems_of_command(create_dagster_cli(), ["dev", *rest])
    return []


@cache
def _makefile() -> str:
    return (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def _problems_of_make(words: list[str]) -> list[str]:
    found = []
    for word in words:
        name, is_variable, _ = word.partition("=")
        known = rf"^{name} \?=|\$\({name}\)|if \$\({name}\)" if is_variable else rf"^{name}:"
        if not re.search(known, _makefile(), re.MULTILINE):
            found.append(f"make {word}")
    return found


@cache
def _extras() -> str:
    return (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")


def _problems_of_install(words: list[str]) -> list[str]:
    found, values = [], {"--override", "-r", "-c", "--python"}
    for before, word in zip(["", *words], words, strict=False):
        if before in values or word.startswith(("-", ".", "dist/")):
            continue
        requirement = Requirement(word)
        if requirement.name == "dagster-transform":
            found += [e for e in requirement.extras if f"\n{e} = [" not in _extras()]
    return found


def _problems_of_command(command: Any, words: list[str]) -> list[str]:
    while words and isinstance(command, click.Group):
        if words[0].startswith("-"):
            break
        inside = command.commands.get(words[0])
        if inside is None:
            return [f"{command.name} {words[0]}"]
        command, words = inside, words[1:]
    known = {"--help", "-h", "--version"}
    for parameter in command.params:
        known |= {*parameter.opts, *parameter.secondary_opts}
    options = [word.split("=")[0] for word in words]
    return [
        f"{command.name} {word}" for word in options if _OPTION.match(word) and word not in known
    ]
