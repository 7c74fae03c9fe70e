"""Where commands print: without colours where it is no terminal, or where NO_COLOR is set."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

_WIDTH_OF_FILES = 200
"""Characters of a line of a table in a file or a CI log."""

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
output_option = click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="A file to write to.  [standard output]"
)


def consoles() -> tuple[Console, Console]:
    """Standard output and standard error; lines are not broken."""
    out = Console(highlight=False, soft_wrap=True)
    return out, Console(stderr=True, highlight=False, soft_wrap=True)


def table_console() -> Console:
    """Standard output for tables: where it is no terminal, nothing is cut."""
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_FILES
    return Console(highlight=False, width=wide)


def print_table(table: Table) -> None:
    """Print a table to standard output."""
    table_console().print(table)


def table_text(table: Table) -> str:
    """A table as text, for a file."""
    console = Console(width=_WIDTH_OF_FILES, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def print_json(value: object) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2))


def write_output(text: str, output: Path | None) -> None:
    """Write to a file, or to standard output."""
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} can't be written: {error.strerror}") from None
    click.echo(f"Wrote {output}", err=True)
