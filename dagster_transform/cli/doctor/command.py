"""The command itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from dagster_transform.cli.doctor.examining import examine
from dagster_transform.cli.options import config_option
from dagster_transform.cli.output import consoles, json_option, print_json
from dagster_transform.graph.counts import counted
from dagster_transform.planning.findings import Finding, Severity

_NOTHING, _WARNINGS, _ERRORS = 0, 1, 2
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}


@click.command()
@config_option
@click.option(
    "--definitions",
    "-d",
    metavar="FILE-OR-MODULE",
    help="What Dagster loads, to see whether it does, and with which executor; it is imported.  "
    "[definitions.py beside transform.yaml, or the module that pyproject.toml names there]",
)
@json_option
def doctor(config_path: Path | None, definitions: str | None, as_json: bool) -> None:
    """Say what is wrong, or will be, with its cause and what to do.

    Looks at installed versions, transform.yaml and the files beside it, each project (its files,
    its connections, its environment), the Dagster instance of DAGSTER_HOME with its daemons,
    sensors, schedules and claims, and the definitions. Nothing is changed. Call it with the
    environment that Dagster has: its user, its variables, its DAGSTER_HOME.

    \b
    Examples:
      dagster-transform doctor
      dagster-transform doctor --definitions my_package.definitions
      dagster-transform doctor --json | jq -r '.[].code'

    \b
    Exit codes:
      0  nothing was found
      1  warnings: it works, and will go wrong, or surprise
      2  errors: something does not work (or the command line
         is wrong)

    docs/doctor.md has each code with its cause and remedy.
    """
    _, err = consoles()
    # SQLMesh, and what a project's config or the definitions import, may print.
    with redirect_stdout(sys.stderr), err.status("Examining") as status:
        found = examine(config_path, definitions, lambda what: status.update(f"Examining {what}"))
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        _print(found)
    sys.exit(_exit_code(found))


def _exit_code(found: Sequence[Finding]) -> int:
    if not found:
        return _NOTHING
    return _ERRORS if any(f.severity is Severity.ERROR for f in found) else _WARNINGS


def _print(found: Sequence[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in found:
        head = Text(finding.severity.value, style=_STYLES[finding.severity])
        console.print(head.append(f"  {finding.code.value}", style="bold"))
        where = f"  [{finding.where}]" if finding.where else ""
        console.print(Text(f"  {finding.what}{where}"))
        console.print(Text(_indented("why: ", finding.cause)))
        console.print(Text(_indented("do:  ", finding.remedy)))
        console.print()
    errors = sum(f.severity is Severity.ERROR for f in found)
    console.print(
        "Nothing is wrong that the doctor knows of."
        if not found
        else f"{counted(errors, 'error')}, {counted(len(found) - errors, 'warning')}"
    )


def _indented(head: str, text: str) -> str:
    return f"  {head}" + text.replace("\n", "\n" + " " * (2 + len(head)))
