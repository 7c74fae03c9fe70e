"""The commands of job groups that show them: what they are, and what they will do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dagster_transform.cli.job_groups.as_json import plan_as_json
from dagster_transform.cli.job_groups.mermaid import mermaid
from dagster_transform.cli.job_groups.progress import steps
from dagster_transform.cli.job_groups.reading import (
    print_plan,
    situation_now,
)
from dagster_transform.cli.job_groups.situation import Situation
from dagster_transform.cli.job_groups.tables import print_groups
from dagster_transform.cli.job_groups.words import duration
from dagster_transform.cli.options import config_option, translator_option
from dagster_transform.cli.output import (
    consoles,
    output_option,
    printed_text,
    table_console,
    write_output,
)
from dagster_transform.graph.counts import counted
from dagster_transform.planning import DEFAULT_MODELS
from dagster_transform.planning.job_groups.simulated import COLUMNS, Simulation
from dagster_transform.planning.job_groups.simulation import simulate as simulated
from dagster_transform.planning.job_groups.values import JobGroupPlan

_LONG = ("builds", "waits for")
"""Columns that may take several lines."""


@click.command()
@config_option
@click.option(
    "--as",
    "shape",
    type=click.Choice(["table", "mermaid", "svg", "json"]),
    default="table",
    show_default=True,
    help="table: for reading; mermaid: a chart for a Markdown document; svg: a picture; json: for "
    "programs.",
)
@output_option
@translator_option
def show(config_path: Path | None, shape: str, output: Path | None, translator: str | None) -> None:
    """Show the job groups, what each is for, and what depends on what.

    They are those of the file, with new nodes where Dagster has them; without a file, those that
    would be generated.

    \b
    Examples:
      dagster-transform job-groups show
      dagster-transform job-groups show --as svg -o groups.svg

    \b
    Exit codes:
      0  they are shown
      1  a graph file, the job group file or transform.yaml can't be used
    """
    out, err = consoles()
    now = situation_now(config_path, translator, err, timed=True)
    plan = now.loaded().plan
    if now.file is None:
        err.print("There is no job group file yet: this is what `generate` makes.", markup=False)
    if shape == "table" and output is None:
        print_plan(plan, now, out, err)
        return
    write_output(_shaped(shape, plan, now), output)


def _shaped(shape: str, plan: JobGroupPlan, now: Situation) -> str:
    if shape == "json":
        return json.dumps(plan_as_json(plan, now.graph), indent=2) + "\n"
    if shape == "mermaid":
        return mermaid(plan.groups) + "\n"
    if shape == "svg":
        # Here, because no other command needs the library.
        from dagster_transform.cli.job_groups.svg import picture

        return picture(plan.groups)
    return printed_text(lambda console: print_groups(plan.groups, console))


@click.command()
@config_option
@click.option(
    "--from",
    "start",
    metavar="TIME",
    help="From when on: 2026-03-29, or 2026-03-29T02:00+01:00; in UTC where nothing else is said.  "
    "[now]",
)
@click.option(
    "--hours", type=click.IntRange(1, 24 * 366), default=48, show_default=True, help="How long."
)
@click.option(
    "--as",
    "shape",
    type=click.Choice(["table", "json", "svg"]),
    default="table",
    show_default=True,
    help="table: for reading; json: for programs; svg: a picture with a row for each group.",
)
@output_option
@translator_option
def simulate(
    *,
    config_path: Path | None,
    start: str | None,
    hours: int,
    shape: str,
    output: Path | None,
    translator: str | None,
) -> None:
    """Say what happens at the ticks to come, without doing anything.

    For each tick of each group: which nodes it builds (those that are due since the tick before),
    for which other group it has to wait, and when it is done. Builds take as long as they did in
    the past, or as is usual for their kind; nothing fails.

    Look for long waits (a group that reads what is built much later), for ticks at which nothing
    is due, and for how many groups build at a time.

    \b
    Examples:
      dagster-transform job-groups simulate --hours 24
      dagster-transform job-groups simulate --from 2026-03-29 --as svg -o night.svg

    \b
    Exit codes:
      0  it is shown
      1  a graph file, the job group file or transform.yaml can't be used
    """
    _, err = consoles()
    now = situation_now(config_path, translator, err, timed=True)
    begin_at = _moment(start) if start else now.now.replace(second=0, microsecond=0)
    end = begin_at + timedelta(hours=hours)
    with steps(err, hours + 1) as begin:
        begin("placing nodes")
        plan = now.loaded().plan
        found = simulated(
            plan,
            now.graph,
            now.durations,
            begin_at,
            end,
            max_concurrent_models=now.config.max_concurrent_models or DEFAULT_MODELS,
            progress=_hourly(begin_at, lambda: begin("simulating")),
        )
    if now.file is None:
        err.print("There is no job group file yet: this is of what `generate` makes.", markup=False)
    if shape == "json":
        write_output(json.dumps(found.as_json(now.graph), indent=2) + "\n", output)
    elif shape == "svg":
        # Here, because no other command needs the library.
        from dagster_transform.cli.job_groups.timeline import timeline

        write_output(timeline(found, plan.groups, list(_summary(found))), output)
    elif output is None:
        _print_simulation(found, now, table_console())
    else:
        text = printed_text(lambda console: _print_simulation(found, now, console))
        write_output(text, output)


def _hourly(start: datetime, call: Callable[[], None]) -> Callable[[datetime], None]:
    """What calls something once for each hour that a simulation has come to."""
    done = -1

    def moment(now: datetime) -> None:
        nonlocal done
        while done < (now - start) // timedelta(hours=1):
            done += 1
            call()

    return moment


def _print_simulation(found: Simulation, now: Situation, console: Console) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in COLUMNS:
        table.add_column(name, no_wrap=name not in _LONG, overflow="fold")
    for row in found.as_rows(now.graph):
        table.add_row(*map(Text, row))
    console.print(table)
    for line in _summary(found):
        console.print(Text(line))


def _summary(found: Simulation) -> Iterator[str]:
    """What there is to know of it at a glance."""
    hours = round((found.end - found.start) / timedelta(hours=1))
    yield f"{counted(hours, 'hour')} from {found.start:%a %Y-%m-%d %H:%M} UTC"
    yield (
        f"{counted(len(found.launches), 'tick')}, nothing is due at {len(found.idle):,} of them; "
        f"at most {counted(found.peak_groups, 'job group')} and "
        f"{counted(found.peak_nodes, 'node')} at a time"
    )
    wait = found.longest_wait
    if wait is None:
        yield "No group waits for another."
        return
    yield (
        f"The longest wait: {duration(wait.seconds)}, {wait.group} of {wait.tick:%a %H:%M} for "
        f"{wait.on_group} of {wait.on_tick:%a %H:%M}"
    )


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no ISO 8601 time", param_hint="--from") from None
    found = found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found
    return found.astimezone(timezone.utc)
