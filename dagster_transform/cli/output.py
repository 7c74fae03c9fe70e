"""Where commands print: without colours where it is no terminal, or where NO_COLOR is set."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import get_terminal_size

import click
from rich.console import Console
from rich.table import Table

NOT_BROKEN = 1_000_000
"""Characters that a line can have in a file, a pipe or a CI log: as many as it takes."""

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
output_option = click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="A file to write to.  [standard output]"
)


def silence_missing_instance_file() -> None:
    """Dagster warns, each time it opens an instance, that DAGSTER_HOME has no dagster.yaml: nobody
    needs one, and `doctor` says where to make it when something has to be written there."""
    logging.getLogger("dagster").addFilter(_is_worth_a_line)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("No dagster instance configuration file")


def consoles() -> tuple[Console, Console]:
    """Standard output and standard error; lines are not broken."""
    out = Console(highlight=False, soft_wrap=True)
    return out, Console(stderr=True, highlight=False, soft_wrap=True)


def line_width() -> int:
    """Characters that a line of standard output can have: those of the terminal, or of COLUMNS;
    where it is no terminal, no line is broken or cut."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return get_terminal_size().columns
    return NOT_BROKEN


def table_console() -> Console:
    """Standard output for tables."""
    return Console(highlight=False, width=line_width())


def print_table(table: Table) -> None:
    """Print a table to standard output."""
    table_console().print(table)


def table_text(table: Table) -> str:
    """A table as text, for a file."""
    return printed_text(lambda console: console.print(table))


def printed_text(print_to: Callable[[Console], None]) -> str:
    """What something prints, as text for a file."""
    console = Console(width=NOT_BROKEN, no_color=True, highlight=False)
    with console.capture() as capture:
        print_to(console)
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
