"""Which intervals are due: what nodes should have by now, by cron or at all, and have not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dagster_transform.sqlmesh.intervals import Interval, merged
from dagster_transform.sqlmesh.state.evaluation import Evaluation


def due_intervals(
    evaluation: Evaluation, names: Collection[str], *, ignore_cron: bool
) -> dict[Any, list[Interval]]:
    """Intervals that nodes lack, by snapshot; those that lack none are left out.

    Args:
        evaluation: With the snapshots of the nodes and of all their ancestors.
        names: Fully qualified names.
        ignore_cron: Whether to count also what their crons ask for only later: every interval that
            is over by the execution time.
    """
    found: dict[Any, list[Interval]] = evaluation.scheduler.merged_missing_intervals(
        end=evaluation.execution_time,
        execution_time=evaluation.execution_time,
        deployability_index=evaluation.deployability,
        ignore_cron=ignore_cron,
        selected_snapshots=set(names),
    )
    return found


def names_of_others(evaluation: Evaluation, names: Collection[str]) -> set[str]:
    """The models that were only read because others need them.

    Those that nobody builds owe nothing: an external model with audits has intervals too, which
    say until when it was audited.
    """
    built = {
        s.name for s in evaluation.scheduler.snapshots.values() if s.is_model and not s.is_symbolic
    }
    return built - set(names)


def interval_to_rebuild(snapshot: Any) -> Interval | None:
    """What is built again of a FULL, VIEW or SEED model that lacks nothing, where a person selects
    it: its last interval. None for other kinds, and for what was never built."""
    built = merged(snapshot.intervals) or merged(snapshot.dev_intervals)
    rebuilt = snapshot.is_full or snapshot.is_view or snapshot.is_seed
    return built[-1] if rebuilt and built else None
