"""`make demo`: run the example headlessly through Dagster, and show what came of it.

It starts what a user would start (`dagster asset materialize --select '*'`), follows the run in
Dagster's event log while it goes on, and reads everything that it prints from there.

`make demo ARGS=--break` runs it once more, with a dbt model that fails on purpose, and compares
what was held back with what the lineage says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dagster_transform.graph.counts import counted

HERE = Path(__file__).resolve().parent
MODULE = "example_project.definitions"
AS_A_TICK = {"ignore_cron": False, "dbt": {"fetch_row_counts": True}}
"""SQLMesh builds what is due by its cron, as in a schedule's run; dbt knows no such thing. dbt on
DuckDB does not say how many rows it made, so they are counted."""
BROKEN = dg.AssetKey(["staging", "stg_carriers"])
"""The dbt model that fails with --break: dbt, SQLMesh and Python assets are downstream of it."""
WITH_A_FAILURE = {
    "ignore_cron": True,
    "dbt": {"fetch_row_counts": True, "vars": {"fail": BROKEN.path[-1]}},
}
TRUE_OF_THE_DATA = frozenset(
    {
        "flights_are_of_registered_planes", "airports_are_where_they_could_be",
        "departures_at_most_12_hours_late", "wind_is_possible", "share_at_most",
        "distances_agree_tolerance_0_005",
    }
)  # fmt: skip
"""Checks that are there to fail on this data: what they say is true, and none of them blocks."""
POLL_SECONDS = 0.3
MAKERS = {"dbt": "dbt", "sqlmesh": "SQLMesh", "python": "Python"}
STYLES = {"built": "green", "up_to_date": "cyan", "failed": "red", "not run": "yellow"}


@dataclass
class Row:
    """What is known of one asset."""

    outcome: str = "not run"
    rows: int | None = None
    seconds: float | None = None
    checks: Counter[str] = field(default_factory=Counter)
    failed_checks: dict[str, str] = field(default_factory=dict)
    planned_checks: int = 0

    def is_up_to_date(self) -> bool:
        """Whether nothing of it was due, so that nothing of it was judged again either."""
        return self.outcome == "up_to_date"


class Story:
    """What the event log of a run says, asset by asset."""

    def __init__(self) -> None:
        self.rows: dict[dg.AssetKey, Row] = {}
        self.failures: dict[str, str] = {}  # by step: Dagster has one more for each Python asset
        self.ended = False
        self.succeeded = False
        self._cursor: str | None = None
        self._step_began: dict[str, float] = {}

    def read_on(self, instance: dg.DagsterInstance, run_id: str) -> None:
        """Take in the events that are new."""
        while True:
            page = instance.get_records_for_run(run_id, cursor=self._cursor, limit=500)
            self._cursor = page.cursor
            for record in page.records:
                event = record.event_log_entry.dagster_event
                if event is not None:
                    self._take(event, record.event_log_entry.timestamp)
            if not page.has_more:
                return

    @property
    def steps(self) -> int:
        """How many steps have begun."""
        return len(self._step_began)

    @property
    def done(self) -> int:
        """How many assets have come to an end."""
        return sum(row.outcome not in ("not run", "backfilled") for row in self.rows.values())

    def _take(self, event: dg.DagsterEvent, timestamp: float) -> None:
        kind = dg.DagsterEventType
        if event.event_type is kind.ASSET_MATERIALIZATION_PLANNED and event.asset_key:
            self.rows.setdefault(event.asset_key, Row())
        elif event.event_type is kind.ASSET_CHECK_EVALUATION_PLANNED:
            planned = event.asset_check_planned_data.asset_key
            self.rows.setdefault(planned, Row()).planned_checks += 1
        elif event.event_type is kind.STEP_START and event.step_key:
            self._step_began[event.step_key] = timestamp
        elif event.event_type is kind.ASSET_MATERIALIZATION:
            found = event.step_materialization_data.materialization
            row = self._told(found.asset_key, {k: v.value for k, v in found.metadata.items()})
            row.outcome = "built"
            if row.seconds is None and event.step_key:
                row.seconds = timestamp - self._step_began.get(event.step_key, timestamp)
        elif event.event_type is kind.ASSET_OBSERVATION:
            seen = event.asset_observation_data.asset_observation
            self._told(seen.asset_key, {k: v.value for k, v in seen.metadata.items()})
        elif event.event_type is kind.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            row = self.rows.setdefault(check.asset_key, Row())
            row.checks["passed" if check.passed else "failed"] += 1
            if not check.passed:
                found_rows = check.metadata.get("dagster_transform/failed_rows")
                rows = ""
                if isinstance(found_rows, dg.IntMetadataValue):
                    rows = counted(found_rows.value or 0, "row")
                blocking = "blocking" if check.blocking else "not blocking"
                said = ", ".join(filter(None, [blocking, rows]))
                row.failed_checks[check.check_name] = f"{check.check_name} ({said})"
        elif event.event_type is kind.STEP_EXPECTATION_RESULT:
            result = event.step_expectation_result_data.expectation_result
            nodes = result.metadata.get("dagster_transform/up_to_date")
            keys: Any = nodes.value if nodes is not None else ()
            for key in keys:
                self.rows.setdefault(
                    dg.AssetKey.from_user_string(key), Row()
                ).outcome = "up_to_date"
        elif event.event_type is kind.STEP_FAILURE:
            data = event.step_failure_data
            told = data.user_failure_data.description if data.user_failure_data else None
            said = told or (data.error.message if data.error else "failed")
            self.failures[event.step_key or ""] = said
        elif event.event_type in (kind.RUN_SUCCESS, kind.RUN_FAILURE, kind.RUN_CANCELED):
            self.ended = True
            self.succeeded = event.event_type is kind.RUN_SUCCESS

    def _told(self, key: dg.AssetKey, metadata: dict[str, Any]) -> Row:
        row = self.rows.setdefault(key, Row())
        row.outcome = str(metadata.get("dagster_transform/outcome", row.outcome))
        for name in ("dagster/row_count", "dagster_transform/rows_written"):
            row.rows = metadata.get(name, row.rows)
        for name in ("seconds", "dagster_transform/duration_seconds"):
            row.seconds = metadata.get(name, row.seconds)
        return row


@dataclass(frozen=True)
class Lineage:
    """The assets of the example.

    Attributes:
        makers: What makes each asset, in an order in which each comes after what it reads.
        reads: What each asset reads.
    """

    makers: Mapping[dg.AssetKey, str]
    reads: Mapping[dg.AssetKey, frozenset[dg.AssetKey]]

    def downstream(self, key: dg.AssetKey) -> list[dg.AssetKey]:
        """All that reads an asset, directly or not."""
        found = {key}
        for each in self.makers:
            if self.reads[each] & found:
                found.add(each)
        return [each for each in self.makers if each in found - {key}]


def read_lineage() -> Lineage:
    """The lineage as Dagster's definitions have it."""
    from example_project.definitions import defs  # it reads the graph files that `prepare` writes

    specs = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
    reads = {key: frozenset(dep.asset_key for dep in spec.deps) for key, spec in specs.items()}
    order = TopologicalSorter({key: sorted(reads[key]) for key in sorted(specs)}).static_order()
    makers = {
        key: next((name for kind, name in MAKERS.items() if kind in specs[key].kinds), "")
        for key in order
        if key in specs
    }
    return Lineage(makers, reads)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare, materialise, report. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--break",
        dest="breaks",
        action="store_true",
        help=f"then run once more, with {'.'.join(BROKEN.path)} failing on purpose",
    )
    breaks: bool = parser.parse_args(arguments).breaks
    console = Console(highlight=False)
    if "DAGSTER_HOME" not in os.environ:
        console.print("DAGSTER_HOME is not set: run `make demo`, which sets it.")
        return 2
    began = time.time()
    console.rule("1. Reading the two projects")
    prepare = [sys.executable, "-m", "dagster_transform.cli", "prepare", "-c", str(HERE)]
    if subprocess.run(prepare, check=False).returncode:
        return 1
    lineage = read_lineage()

    console.rule("2. Materialising through Dagster")
    log = Path(os.environ["DAGSTER_HOME"]) / "demo.log"
    log.write_text("", encoding="utf-8")
    story = materialise(AS_A_TICK, log, console)
    if story is None:
        return 1
    show(story, lineage, console)
    good = story.succeeded
    if good and breaks:
        console.rule(f"3. Once more, and {name_of(BROKEN)} fails on purpose")
        broken = materialise(WITH_A_FAILURE, log, console)
        if broken is None:
            return 1
        show(broken, lineage, console)
        good = compare(broken, lineage, console)
    console.rule(f"{4 if breaks else 3}. Who launches what, in Dagster's schedules")
    groups = [sys.executable, "-m", "dagster_transform.cli", "job-groups", "show", "-c", str(HERE)]
    good = subprocess.run(groups, check=False).returncode == 0 and good
    console.rule(f"{5 if breaks else 4}. Where to look next")
    outcome = "[green]succeeded[/]" if story.succeeded else "[red]failed[/]"
    console.print(f"The {'first ' * breaks}run {outcome}; {time.time() - began:.1f} s in all.")
    shown = log.relative_to(Path.cwd()) if log.is_relative_to(Path.cwd()) else log
    for what, why in {
        "make dev": "the same assets in Dagster's UI, http://localhost:3000",
        "make demo": "once more: SQLMesh's models are up to date; dbt keeps no state and builds",
        "make demo ARGS=--break": "then once more, with a dbt model that fails",
        "example_project/job_groups.yaml": "the job groups; docs/job-groups.md says more",
        "example_project/": "transform.yaml, the dbt and SQLMesh projects, the Python assets",
        str(shown): "what Dagster printed",
    }.items():
        console.print(f"  {what:<32}{why}", markup=False, soft_wrap=True)
    return 0 if good else 1


def materialise(options: Mapping[str, Any], log: Path, console: Console) -> Story | None:
    """Materialise everything in a process of its own; None, and the reason printed, if no run came.

    Args:
        options: Of the resource `transform`.
        log: What Dagster prints is appended to it.
        console: Where progress is shown.
    """
    config = {"resources": {"transform": {"config": dict(options)}}}
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*"]
    command += ["-m", MODULE, "--config-json", json.dumps(config)]
    with dg.DagsterInstance.get() as instance, log.open("a", encoding="utf-8") as output:
        before = {run.run_id for run in instance.get_runs(limit=5)}
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            run_id, story = follow(instance, child, before, console)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if run_id is None:
        console.print(f"The run did not start. The last lines of {log}:", style="red")
        console.print("\n".join(log.read_text(encoding="utf-8").splitlines()[-20:]), markup=False)
    return story


def follow(
    instance: dg.DagsterInstance, child: subprocess.Popen[bytes], before: set[str], console: Console
) -> tuple[str | None, Story | None]:
    """Follow the run that the child launches, until both have ended."""
    run_id: str | None = None
    story = Story()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting Dagster", total=None)
        while True:
            alive = child.poll() is None
            if run_id is None:
                new = [r.run_id for r in instance.get_runs(limit=1) if r.run_id not in before]
                run_id = new[0] if new else None
            else:
                story.read_on(instance, run_id)
                progress.update(
                    task, description="assets", completed=story.done, total=len(story.rows) or None
                )
            if not alive:
                break
            time.sleep(POLL_SECONDS)
    return run_id, story if run_id is not None else None


def name_of(key: dg.AssetKey) -> str:
    """An asset as the table shows it: by schema and name."""
    return ".".join(key.path[-2:])


def show(story: Story, lineage: Lineage, console: Console) -> None:
    """The table of assets, outcomes, rows, durations and checks, and what went wrong."""
    table = Table(box=None)
    for heading in ("asset", "made by", "outcome"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rows", "seconds", "checks passed"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = {key: story.rows[key] for key in lineage.makers if key in story.rows}
    for key, row in rows.items():
        style = STYLES.get(row.outcome, "yellow")
        table.add_row(
            name_of(key),
            lineage.makers[key],
            f"[{style}]{row.outcome}[/]",
            f"{row.rows:,}" if row.rows is not None else "",
            f"{row.seconds:.2f}" if row.seconds is not None else "",
            f"{row.checks['passed']} of {row.checks.total()}" if row.checks else "",
        )
    console.print(table)
    outcomes = Counter(row.outcome for row in rows.values())
    checks = sum((row.checks for row in rows.values()), Counter[str]())
    # Planned, and not evaluated.
    idle, held = (
        sum(max(row.planned_checks - row.checks.total(), 0) for row in rows.values() if keep(row))
        for keep in (Row.is_up_to_date, lambda row: not row.is_up_to_date())
    )
    console.print(
        ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        + f"; checks: {checks['passed']} passed, {checks['failed']} failed"
        + f", {held} not run (something that they read was not built)" * bool(held)
        + f", {idle} not run again (what they judge is up to date)" * bool(idle),
        soft_wrap=True,
    )
    failing = [name for row in rows.values() for name in row.failed_checks]
    meant = sum(name in TRUE_OF_THE_DATA for name in failing)
    if meant:
        which = "These checks fail" if meant == len(failing) else f"{meant} of these checks fail"
        console.print(
            f"{which} on purpose: they say what is true of the real data (a wind of 1,048 mph, "
            "airports in the Arctic), and none of them blocks. What each has found: "
            'example_project/README.md, "Checks that fail, truthfully".',
            soft_wrap=True,
        )
    for key, row in rows.items():
        for failed in row.failed_checks.values():
            said = f"  check failed on {name_of(key)}: {failed}"
            console.print(said, style="yellow", markup=False, soft_wrap=True)
    for step, failure in story.failures.items():
        of = f"Step {step}, one of the {story.steps} that ran"
        console.print(f"\n{of}, has failed, and counts its own:", markup=False, soft_wrap=True)
        console.print(failure, style="red", markup=False, soft_wrap=True)


def compare(story: Story, lineage: Lineage, console: Console) -> bool:
    """Whether the failure held back what depends on it, and nothing else; says so."""
    reached = ("built", "up_to_date")
    downstream = lineage.downstream(BROKEN)
    held = [key for key in lineage.makers if story.rows[key].outcome not in reached]
    apart = [
        key
        for key in lineage.makers
        if story.rows[key].outcome == "built" and lineage.makers[key] == "SQLMesh"
    ]
    right = story.rows[BROKEN].outcome == "failed" and held == [BROKEN, *downstream]
    for said, keys in (
        ("The lineage says that these depend on it:", downstream),
        ("Not built in this run, besides itself:", [key for key in held if key != BROKEN]),
        ("Built in the same run by SQLMesh:", apart),
    ):
        console.print(said, style="bold")
        listed = ", ".join(f"{name_of(key)} ({lineage.makers[key]})" for key in keys)
        console.print(f"  {listed}", soft_wrap=True)
    if right:
        console.print("Exactly its descendants were held back. They have the data of before.")
    else:
        console.print("That is not what should have happened.", style="red")
    return right


if __name__ == "__main__":
    sys.exit(main())
