"""`make demo`: run the example headlessly through Dagster, and show what came of it.

It starts what a user would start (`dagster asset materialize --select '*'`), follows the run in
Dagster's event log while it goes on, and reads everything that it prints from there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

HERE = Path(__file__).resolve().parent
MODULE = "example_project.definitions"
CONFIG = {"resources": {"transform": {"config": {"ignore_cron": False}}}}
POLL_SECONDS = 0.3
STYLES = {"built": "green", "up_to_date": "cyan", "failed": "red", "not run": "yellow"}


@dataclass
class Row:
    """What is known of one asset."""

    outcome: str = "not run"
    rows: int | None = None
    seconds: float | None = None
    checks: Counter[str] = field(default_factory=Counter)
    failed_checks: list[str] = field(default_factory=list)


class Story:
    """What the event log of a run says, asset by asset."""

    def __init__(self) -> None:
        self.rows: dict[dg.AssetKey, Row] = {}
        self.failures: list[str] = []
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
    def done(self) -> int:
        """How many assets have come to an end."""
        return sum(row.outcome not in ("not run", "backfilled") for row in self.rows.values())

    def _take(self, event: dg.DagsterEvent, timestamp: float) -> None:
        kind = dg.DagsterEventType
        if event.event_type is kind.ASSET_MATERIALIZATION_PLANNED and event.asset_key:
            self.rows.setdefault(event.asset_key, Row())
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
                row.failed_checks.append(
                    f"{check.check_name} ({'blocking' if check.blocking else 'not blocking'}"
                    + (f", {found_rows.value} rows)" if found_rows is not None else ")")
                )
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
            self.failures.append(told or (data.error.message if data.error else "failed"))
        elif event.event_type in (kind.RUN_SUCCESS, kind.RUN_FAILURE, kind.RUN_CANCELED):
            self.ended = True
            self.succeeded = event.event_type is kind.RUN_SUCCESS

    def _told(self, key: dg.AssetKey, metadata: dict[str, Any]) -> Row:
        row = self.rows.setdefault(key, Row())
        row.outcome = str(metadata.get("dagster_transform/outcome", row.outcome))
        for name in ("dagster/row_count", "dagster_transform/rows_written"):
            row.rows = metadata.get(name, row.rows)
        row.seconds = metadata.get("dagster_transform/duration_seconds", row.seconds)
        return row


def main() -> int:
    """Prepare, materialise, report. Returns the exit code."""
    console = Console(highlight=False)
    if "DAGSTER_HOME" not in os.environ:
        console.print("DAGSTER_HOME is not set: run `make demo`, which sets it.")
        return 2
    began = time.time()
    console.rule("1. Reading the project")
    prepare = [sys.executable, "-m", "dagster_transform.cli", "prepare", "-c", str(HERE)]
    if subprocess.run(prepare, check=False).returncode:
        return 1

    console.rule("2. Materialising through Dagster")
    log = Path(os.environ["DAGSTER_HOME"]) / "demo.log"
    with dg.DagsterInstance.get() as instance, log.open("w", encoding="utf-8") as output:
        before = {run.run_id for run in instance.get_runs(limit=5)}
        command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*"]
        command += ["-m", MODULE, "--config-json", json.dumps(CONFIG)]
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            run_id, story = follow(instance, child, before, console)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if story is None or run_id is None:
        console.print(f"The run did not start. The last lines of {log}:", style="red")
        console.print("\n".join(log.read_text(encoding="utf-8").splitlines()[-20:]), markup=False)
        return 1
    show(story, console)
    for failure in story.failures:
        console.print(failure, style="red", markup=False)
    console.rule("3. Where to look next")
    outcome = "[green]succeeded[/]" if story.succeeded else "[red]failed[/]"
    console.print(f"Run {run_id} {outcome} after {time.time() - began:.1f} s in all.")
    console.print("  make dev           the same assets in Dagster's UI, http://localhost:3000")
    console.print("  make demo          once more: what is up to date stays as it is")
    console.print("  example_project/   transform.yaml, the SQLMesh project, the Python assets")
    console.print(f"  {log.relative_to(Path.cwd()) if log.is_relative_to(Path.cwd()) else log}"
                  "   what Dagster printed")  # fmt: skip
    return 0 if story.succeeded else 1


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


def show(story: Story, console: Console) -> None:
    """The table of assets, outcomes, rows, durations and checks."""
    table = Table(box=None)
    table.add_column("asset", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for heading in ("rows", "seconds", "checks passed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for key, row in sorted(story.rows.items(), key=lambda item: tuple(item[0].path)):
        style = STYLES.get(row.outcome, "yellow")
        table.add_row(
            ".".join(key.path[1:]),  # all of them are in the catalog `flights`
            f"[{style}]{row.outcome}[/]",
            f"{row.rows:,}" if row.rows is not None else "",
            f"{row.seconds:.2f}" if row.seconds is not None else "",
            f"{row.checks['passed']} of {row.checks.total()}" if row.checks else "",
        )
    console.print(table)
    outcomes = Counter(row.outcome for row in story.rows.values())
    checks = sum((row.checks for row in story.rows.values()), Counter[str]())
    console.print(
        ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        + f"; checks: {checks['passed']} passed, {checks['failed']} failed"
    )
    for key, row in sorted(story.rows.items(), key=lambda item: tuple(item[0].path)):
        for failed in row.failed_checks:
            console.print(f"  check failed on {'.'.join(key.path[1:])}: {failed}", style="yellow")


if __name__ == "__main__":
    sys.exit(main())
