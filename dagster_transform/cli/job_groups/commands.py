"""The commands of `dagster-transform job-groups`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from dagster_transform.cli.drift_texts import drift_lines
from dagster_transform.cli.graphs import Prepared, prepared, prepared_elsewhere
from dagster_transform.cli.job_groups.as_json import differences_as_json
from dagster_transform.cli.job_groups.costs import cost_of_jobs
from dagster_transform.cli.job_groups.nothing import nothing_to_group
from dagster_transform.cli.job_groups.progress import steps
from dagster_transform.cli.job_groups.reading import (
    past_builds,
    print_plan,
    say_stale,
    situation_now,
)
from dagster_transform.cli.job_groups.showing import show, simulate
from dagster_transform.cli.job_groups.situation import ENVIRONMENT, FILES, Situation
from dagster_transform.cli.job_groups.tables import (
    difference_lines,
)
from dagster_transform.cli.options import config_option, translator_option
from dagster_transform.cli.output import consoles
from dagster_transform.config import load_config
from dagster_transform.config.job_group_file import (
    read_job_group_file,
    write_job_group_file,
)
from dagster_transform.errors import TransformError
from dagster_transform.graph.counts import counted
from dagster_transform.planning.job_groups.differences import Difference, Planned, differences
from dagster_transform.planning.job_groups.settings import not_in_environment
from dagster_transform.planning.job_groups.values import JobGroupPlan

_DIFFERENT = _INVALID = 1
_UNREADABLE = 2
_SHOWN = 10
"""How many names of one sort are listed of what differs between files and environment."""
_MOST_LINES = 40
"""How many differences `generate` lists; `diff` lists all."""

_from_option = click.option(
    "--from",
    "source",
    type=click.Choice([ENVIRONMENT, FILES]),
    default=ENVIRONMENT,
    show_default=True,
    help="Which models of SQLMesh are in groups: those that the environment has, or all that the "
    "files have.",
)


@click.group("job-groups")
def job_groups() -> None:
    """Split all models into groups that are launched together.

    A job group has one cron, which becomes a schedule in Dagster, and nodes that are due at some
    or all of its ticks. Nodes that do not depend on each other can be in different groups: these
    run side by side. No two groups wait for each other.

    \b
      generate   makes the groups and writes them to a file
      check      says whether the file is valid and has all nodes
      diff       says what differs: from what would be generated,
                 or from another branch
      show       shows the groups and what depends on what
      simulate   says what happens at the next ticks

    The file is job_groups.yaml beside transform.yaml (`job_groups: {file: ...}` says another
    one); edit it, and commit it. Nodes come from the graph files that `prepare` writes.
    """


job_groups.add_command(show)
job_groups.add_command(simulate)


@job_groups.command()
@config_option
@_from_option
@click.option("--dry-run", is_flag=True, help="Show what would be, and write nothing.")
@click.option("--fresh", is_flag=True, help="Begin anew: names and groups of the file don't count.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@translator_option
def generate(
    *,
    config_path: Path | None,
    source: str,
    dry_run: bool,
    fresh: bool,
    yes: bool,
    translator: str | None,
) -> None:
    """Make job groups and write them to the file.

    Where there is a file, its groups are kept with their names and with all that you wrote of
    them, as far as they can be: nodes that are new are added, nodes that are no more are taken out,
    and a node is moved where its cron or its dependencies make it necessary. A file that was
    edited since it was generated is replaced only after a question, since comments get lost.

    Models that only the files have are left out until a plan has brought them into the
    environment; what differs between the two is listed.

    \b
    Examples:
      dagster-transform job-groups generate --dry-run
      dagster-transform job-groups generate --from files --yes

    \b
    Exit codes:
      0  the file is written, or was right already
      1  it is not: an error, no node that could be in a group,
         or the answer to the question was no
    """
    out, err = consoles()
    config = load_config(config_path)
    with steps(err, 3) as begin:
        begin("reading graph files")
        known = prepared(config, translator)
        say_stale(config, known, err)
        begin("reading the job group file")
        durations = past_builds(config, known, translator)
        now = Situation.of(config, known, ignore_file=fresh, durations=durations)
        begin("planning job groups")
        plan = now.generated(source)
        text = now.text_of(plan)
    print_plan(plan, now, out, err)
    out.print(f"\n{cost_of_jobs(plan.groups, config.job_groups.jobs)}", markup=False)
    _print_drift(known, out)
    if source == ENVIRONMENT and not_in_environment(config, now.graph):
        out.print("\nWhat only the files have comes with a plan; `--from files` takes it at once.")
    path = config.job_group_file
    if not plan.groups:
        raise nothing_to_group(config, known, source)
    if now.file is not None and now.file.text == text:
        out.print(f"\n{path} is as it should be.", markup=False)
        return
    edited = _print_changes(now, plan, out)
    if dry_run:
        out.print("\nNothing was written: --dry-run.", markup=False)
        return
    if path.exists() and (edited or fresh) and not yes:
        what = "replaced" if fresh else "changed since it was generated; comments in it get lost"
        click.confirm(f"{path} is {what}. Go on?", abort=True)
    write_job_group_file(path, text)
    out.print(f"\nWrote {path}: {counted(len(plan.groups), 'job group')}.", markup=False)


@job_groups.command()
@config_option
@click.option("--strict", is_flag=True, help="Nodes that are new or are no more are errors, too.")
@translator_option
def check(config_path: Path | None, strict: bool, translator: str | None) -> None:
    """Say whether the file is valid for the models that there are.

    Errors, each with its line: a node in two groups; groups that wait for each other; a node that
    is due when its group does not tick, with the first tick that it would miss; a cron that ticks
    more often than every five minutes; time zones that are mixed.

    Nodes that are new, or that are no more, are warnings: a new one goes to the group where it
    fits, as long as the file does not say another. With --strict they are errors, for a CI job.

    Your definitions are not read: whether a job of your own is called like a group, with which
    Dagster loads nothing, `dagster-transform doctor` says.

    \b
    Examples:
      dagster-transform job-groups check --strict   # in CI

    \b
    Exit codes:
      0  valid
      1  errors
      2  the file, a graph file or transform.yaml can't be read
    """

    def checked(out: Console, err: Console) -> int:
        now = situation_now(config_path, translator, err, needs_file=True)
        written = now.written()
        if written is not None and written.errors:
            for problem in written.errors:
                err.print(str(problem), markup=False)
            err.print(counted(len(written.errors), "error"), markup=False)
            return _INVALID
        loaded = now.loaded()
        for problem in loaded.drift:
            err.print(f"{'' if strict else 'Warning: '}{problem}", markup=False)
        for warning in loaded.plan.warnings:
            err.print(f"Warning: {warning}", markup=False)
        if strict and loaded.drift:
            remedy = "`dagster-transform job-groups generate` brings the file up to date."
            err.print(f"{counted(len(loaded.drift), 'error')}: {remedy}", markup=False)
            return _INVALID
        nodes = sum(len(group.nodes) for group in loaded.plan.groups)
        groups = counted(len(loaded.plan.groups), "job group")
        out.print(f"{groups} with {counted(nodes, 'node')}: valid", markup=False)
        return 0

    sys.exit(_coded(checked))


@job_groups.command()
@click.argument("other", required=False, type=click.Path(exists=True, path_type=Path))
@config_option
@_from_option
@click.option(
    "--as",
    "shape",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="table: a line for each difference; json: for programs.",
)
@translator_option
def diff(
    other: Path | None,
    config_path: Path | None,
    source: str,
    shape: str,
    translator: str | None,
) -> None:
    """Say which nodes move, appear, vanish or change their cadence.

    Without OTHER: what `generate` would change in the file. With OTHER: what has changed since,
    for a pull request. OTHER is of the branch to compare with:

    \b
      a graph file            in the place of the one of its project
      a folder                with graph files, and perhaps the
                              job_groups.yaml of that branch
      a job group file        over the same models (.yaml)

    \b
    Examples:
      dagster-transform job-groups diff
      dagster-transform job-groups diff ../main/.dagster_transform --as json

    \b
    Exit codes:
      0  nothing differs
      1  something does
      2  a file can't be read, or is not valid
    """

    def compared(out: Console, err: Console) -> int:
        now = situation_now(config_path, translator, err, needs_file=other is None)
        if other is None:
            written = now.written()
            before = Planned(written.plan if written else JobGroupPlan((), {}), now.graph)
            after = Planned(now.generated(source), now.graph)
        else:
            before = _elsewhere(now, other, translator)
            after = Planned(now.loaded().plan, now.graph)
        found = differences(before, after)
        if shape == "json":
            click.echo(json.dumps(differences_as_json(found), indent=2))
        else:
            _print_differences(found, out)
        return _DIFFERENT if found else 0

    sys.exit(_coded(compared))


def _elsewhere(now: Situation, other: Path, translator: str | None) -> Planned:
    """The job groups of another branch. Raises TransformError."""
    if other.suffix in {".yaml", ".yml"}:
        return Planned(now.loaded(read_job_group_file(other)).plan, now.graph)
    known = prepared_elsewhere(now.config, other, translator)
    there = Situation.of(now.config, known)
    beside = other / now.config.job_group_file.name
    file = read_job_group_file(beside) if other.is_dir() and beside.is_file() else None
    return Planned(there.loaded(file).plan, known.graph)


def _print_drift(known: Prepared, out: Console) -> None:
    for name, file in known.files.items():
        if file.plan_id is not None and file.drift:
            out.print(f"\n{name}: its files differ from environment {file.environment}")
            for line in drift_lines(file.drift, _SHOWN):
                out.print(f"  {line}", markup=False)


def _print_changes(now: Situation, plan: JobGroupPlan, out: Console) -> bool:
    """What the file says else. Returns whether somebody has changed it since it was generated."""
    written = now.written()
    if written is None or now.file is None:
        return False
    for problem in written.errors:
        out.print(f"\nCan't stay as it is: {problem}", markup=False)
    before, after = Planned(written.plan, now.graph), Planned(plan, now.graph)
    found = differences(before, after)
    if found:
        out.print("")
        _print_differences(found[:_MOST_LINES], out)
        if len(found) > _MOST_LINES:
            out.print(f"and {len(found) - _MOST_LINES} more: `dagster-transform job-groups diff`")
    return now.file.edited


def _print_differences(found: Sequence[Difference], out: Console) -> None:
    for line in difference_lines(found):
        out.print(Text(line))
    if not found:
        out.print("Nothing differs.")


def _coded(done: Callable[[Console, Console], int]) -> int:
    """The exit code of a command for which 1 means something else than an error."""
    out, err = consoles()
    try:
        return done(out, err)
    except TransformError as error:
        err.print(f"Error: {error}", markup=False)
        return _UNREADABLE
