"""What all commands of job groups begin and end with: options, reading, printing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from dagster_transform.cli.job_groups.graphs import Prepared, prepared
from dagster_transform.cli.job_groups.progress import steps
from dagster_transform.cli.job_groups.situation import Situation
from dagster_transform.cli.job_groups.tables import print_groups, unscheduled_lines
from dagster_transform.cli.prepare import translator_named
from dagster_transform.config import TransformConfig, load_config
from dagster_transform.errors import TransformError
from dagster_transform.graph import NodeId
from dagster_transform.planning.job_groups.values import JobGroupPlan

_WIDTH_OF_FILES = 200
"""Characters of a line of a table in a file or a CI log."""

translator_option = click.option(
    "--translator",
    metavar="MODULE:CLASS",
    help="The translator that your definitions have, so that nodes are called by its asset keys.",
)
output_option = click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="A file to write to.  [standard output]"
)


class NoJobGroupFileError(TransformError):
    """There is no job group file."""


def situation_now(
    config_path: Path | None,
    translator: str | None,
    err: Console,
    *,
    needs_file: bool = False,
    timed: bool = False,
) -> Situation:
    """The situation now; `timed` with how long builds took. Raises TransformError."""
    config = load_config(config_path)
    if needs_file:
        path = config.job_group_file
        if not path.exists():
            raise NoJobGroupFileError(
                f"There is no job group file {path}.",
                remedy="Write it with `dagster-transform job-groups generate`.",
            )
    with steps(err, 2) as begin:
        begin("reading graph files")
        known = prepared(config, translator)
        begin("reading the job group file")
        durations = past_builds(config, known, translator) if timed else {}
        found = Situation.of(config, known, durations=durations)
    say_stale(config, known, err)
    return found


def past_builds(
    config: TransformConfig, known: Prepared, translator: str | None
) -> Mapping[NodeId, float]:
    """How long the last builds took, in seconds, as the Dagster instance of DAGSTER_HOME has it;
    nothing where that is not set. Raises TranslatorError."""
    if not os.environ.get("DAGSTER_HOME"):
        return {}
    # Here, because Dagster takes a second to import.
    from dagster_transform.dagster.jobs.durations import past_durations

    made = translator_named(config, translator)
    return past_durations(config, known.graph, translator=made)


def say_stale(config: TransformConfig, known: Prepared, err: Console) -> None:
    """Says which graph files do not fit their files any more."""
    for name, why in known.stale(config):
        command = f"dagster-transform prepare --project {name}"
        err.print(f"Warning: the graph file of {name} {why}: run `{command}`", markup=False)


def print_plan(plan: JobGroupPlan, now: Situation, out: Console, err: Console) -> None:
    """Shows the groups of a plan, what is in none, and its warnings."""
    print_groups(plan.groups, table_console())
    for line in unscheduled_lines(plan, now.graph):
        out.print(f"\n{line}", markup=False)
    for warning in plan.warnings:
        err.print(f"\nWarning: {warning}", markup=False)


def table_console() -> Console:
    """Standard output for tables: where it is no terminal, nothing is cut."""
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_FILES
    return Console(highlight=False, width=wide)


def write_output(text: str, output: Path | None) -> None:
    """Writes to a file, or to standard output."""
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} can't be written: {error.strerror}") from None
    click.echo(f"Wrote {output}", err=True)


def consoles() -> tuple[Console, Console]:
    """Standard output and standard error; lines are not broken."""
    out = Console(highlight=False, soft_wrap=True)
    return out, Console(stderr=True, highlight=False, soft_wrap=True)
