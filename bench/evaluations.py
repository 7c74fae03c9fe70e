"""What Dagster has stored of checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from bench.stored import last_run


class Evaluation(NamedTuple):
    """A check that ran."""

    passed: bool
    severity: str
    failed_rows: int


def evaluations_of_run(home: Path, began: float, output: str) -> dict[Any, Evaluation]:
    """The evaluations of the last run, by the check's key.

    Args:
        home: Dagster's home.
        began: When the run began, at the earliest.
        output: What its process said.

    Raises:
        RuntimeError: There was no run, or it has a check twice.
    """
    import dagster as dg

    found: dict[Any, Evaluation] = {}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run_id = last_run(instance, began, output).run_id
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        for entry in instance.all_logs(run_id, of_type=kind):
            event = entry.get_dagster_event().asset_check_evaluation_data
            if event.asset_check_key in found:
                raise RuntimeError(f"{event.asset_check_key} was evaluated twice")
            rows = event.metadata.get("dagster_transform/failed_rows")
            found[event.asset_check_key] = Evaluation(
                event.passed, event.severity.value, 0 if rows is None else int(rows.value)
            )
    return found
