"""What the documents say of commands and of the doctor's codes is what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from dagster_transform.cli import main
from dagster_transform.planning.findings import Code
from tests.support.folders import REPOSITORY

DOCS = REPOSITORY / "docs"


def commands(group: click.Group = main, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(commands())


def help_of(command: click.Command, name: str) -> str:
    return command.get_help(click.Context(command, info_name=f"dagster-transform {name}"))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_exit_codes_and_a_place_in_the_document(name: str) -> None:
    text = help_of(COMMANDS[name], name)
    assert "Examples:" in text
    assert f"  dagster-transform {name}" in text
    assert "Exit codes" in text
    assert re.search(rf"`{name}[ `]", (DOCS / "command-line.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_name_options_that_there_are(name: str) -> None:
    lines = [
        line.partition("   #")[0] for line in help_of(COMMANDS[name], name).splitlines()
        if line.startswith("    dagster-transform ")
    ]  # fmt: skip
    assert lines
    for line in lines:
        command = next(c for n, c in COMMANDS.items() if f"dagster-transform {n}" in line)
        known = {option for p in command.params for option in p.opts}
        assert {*re.findall(r" (--?[a-z][a-z-]*)", line.partition("|")[0])} <= known, line


def test_every_command_that_prints_a_table_prints_json_too() -> None:
    without = [
        name
        for name, command in COMMANDS.items()
        if not any(
            "--json" in p.opts or "json" in getattr(p.type, "choices", ()) for p in command.params
        )
    ]
    assert without == [
        "init", "claims pause", "claims resume", "claims release",
        "job-groups generate", "job-groups check",
    ]  # fmt: skip


def test_the_document_has_each_code_of_the_doctor_and_no_other() -> None:
    text = (DOCS / "doctor.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert sorted(code for code, *_ in rows) == sorted(code.value for code in Code)
    assert all(cause.strip() and remedy.strip() for _, cause, remedy in rows)
