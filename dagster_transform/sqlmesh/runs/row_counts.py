"""Row counts after a build: what it has written, and what its table has."""

from __future__ import annotations

from typing import Any

from sqlmesh.core.snapshot import SnapshotIdBatch

from dagster_transform.sqlmesh.state.evaluation import Evaluation


def rows_written(snapshot: Any, index: int, evaluation: Evaluation) -> int | None:
    """Rows that a batch has written; None where the engine does not report them.

    Args:
        snapshot: The node's.
        index: The batch's number.
        evaluation: What the run's nodes share.
    """
    batch = SnapshotIdBatch(snapshot_id=snapshot.snapshot_id, batch_id=index)
    stats = evaluation.evaluator.execution_tracker.get_execution_stats(batch)
    return stats.total_rows_processed if stats else None


def table_rows(snapshot: Any, evaluation: Evaluation) -> int | None:
    """Rows in a node's table, where counting costs nothing: DuckDB knows it without a scan."""
    adapter = evaluation.adapter_of(snapshot)
    if adapter.dialect != "duckdb" or not snapshot.is_materialized:
        return None
    row = adapter.fetchone(f"SELECT COUNT(*) FROM {evaluation.physical_table(snapshot)}")
    return int(row[0]) if row else None


def add(total: int | None, more: int | None) -> int | None:
    """The sum of what is known."""
    return more if total is None else total + (more or 0)
