"""What all commands of job groups begin and end with: options, reading, printing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from dagster_transform.cli.graphs import Prepared, prepared
from dagster_transform.cli.job_groups.progress import steps
from dagster_transform.cli.job_groups.situation import Situation
from dagster_transform.cli.job_groups.tables import print_groups, unscheduled_lines
from dagster_transform.cli.output import table_console
from dagster_transform.cli.prepare import translator_named
from dagster_transform.config import TransformConfig, load_config
from dagster_transform.errors import TransformError
from dagster_transform.graph import NodeId
from dagster_transform.planning.job_groups.values import JobGroupPlan


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
