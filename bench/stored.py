"""What Dagster has stored of a run, counted by sort; as a child process, so that the one that
measures stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.project import ROOT, environment

LINES = "log lines"
"""What is stored and is no event of Dagster's."""


@dataclass(frozen=True)
class Stored:
    """A run, as it is in Dagster's event log.

    Attributes:
        events: How many, by type; log lines too.
        materialised: How many assets have a materialisation.
        passed: How many checks were evaluated, and passed.
        failed: How many checks were evaluated, and did not.
    """

    events: dict[str, int]
    materialised: int
    passed: int
    failed: int

    def facts(self) -> dict[str, Any]:
        """To be written down beside a run's time."""
        return {"events": sum(self.events.values()), "materialised": self.materialised,
                "checks": self.passed + self.failed, "by_type": self.events}  # fmt: skip


def stored_of(home: Path, began: float, output: str) -> Stored:
    """The last run of a Dagster home.

    Args:
        home: Dagster's home.
        began: When the run began, at the earliest.
        output: What its process said.

    Raises:
        RuntimeError: There was no run, or it did not end well.
    """
    command = [sys.executable, "-m", "bench.stored", str(home), str(began)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{done.stderr}\n{output[-5000:]}")
    return Stored(**json.loads(done.stdout))


def count(entries: Iterable[Any]) -> Stored:
    """Count the entries of an event log."""
    events: Counter[str] = Counter()
    keys: set[Any] = set()
    results: dict[Any, bool] = {}
    for entry in entries:
        event = entry.dagster_event
        events[event.event_type_value if event else LINES] += 1
        if event and event.event_type_value == "ASSET_MATERIALIZATION":
            keys.add(event.asset_key)
        elif event and event.event_type_value == "ASSET_CHECK_EVALUATION":
            data = event.asset_check_evaluation_data
            results[data.asset_check_key] = data.passed
    passed = sum(results.values())
    return Stored(dict(events.most_common()), len(keys), passed, len(results) - passed)


def last_run(instance: Any, began: float, output: str = "") -> Any:
    """The last run. Raises RuntimeError, with what its process said, where there is none since
    `began`."""
    records = instance.get_run_records(limit=1)
    if not records or records[0].create_timestamp.timestamp() < began:
        raise RuntimeError(f"There was no run:\n{output}")
    return records[0].dagster_run


def main() -> None:
    """Arguments: the home, the moment. Prints JSON."""
    import dagster as dg

    home, began = sys.argv[1], float(sys.argv[2])
    with dg.DagsterInstance.from_config(home) as instance:
        run = last_run(instance, began)
        if run.status != dg.DagsterRunStatus.SUCCESS:
            sys.exit(f"The run ended with {run.status.value}.")
        print(json.dumps(vars(count(instance.all_logs(run.run_id)))))


if __name__ == "__main__":
    main()
