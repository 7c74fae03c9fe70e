"""Building one batch of a node.

The order is SQLMesh's own (`Scheduler.evaluate`): data, blocking audits, and only then the
interval's record, so that what a blocking audit finds wrong stays missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlmesh.core.snapshot.definition import parent_snapshots_by_name
from sqlmesh.utils.date import now_timestamp

from dagster_transform.sqlmesh.intervals import Interval, in_words
from dagster_transform.sqlmesh.runs.batches import BuiltBatch
from dagster_transform.sqlmesh.runs.blocking_audits import BlockingAudits, hold_back
from dagster_transform.sqlmesh.runs.failures import BatchError, Cancelled
from dagster_transform.sqlmesh.runs.row_counts import rows_written
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.work import Work
from dagster_transform.walk import CheckResult


class BatchBuilder:
    """Builds the batches of one node; from any thread.

    Args:
        work: What there is to do for it.
        evaluation: What the run's nodes share.
        audits: Its blocking audits.
        held: Whether the node is still this run's to build; if not, nothing is recorded.
    """

    def __init__(
        self,
        work: Work,
        evaluation: Evaluation,
        audits: BlockingAudits,
        held: Callable[[], bool],
    ) -> None:
        self._work = work
        self._evaluation = evaluation
        self._held = held
        self._audits = audits
        self._parents = parent_snapshots_by_name(work.snapshot, evaluation.scheduler.snapshots)

    def build(self, index: int) -> BuiltBatch:
        """Build a batch, by its number.

        Raises:
            Cancelled: The node is not this run's any more.
            BatchError: It failed, and the node is built by intervals.
            Exception: Whatever SQLMesh or the driver raised for another node.
        """
        snapshot, batch = self._work.snapshot, self._work.batches[index]
        try:
            checks, rows = self._evaluate(index, batch)
            recorded = not hold_back(checks)
            if recorded:
                self._record(batch)
        except BaseException as error:
            if snapshot.is_incremental or snapshot.is_scd_type_2:
                raise BatchError(in_words([batch])) from error
            raise
        return BuiltBatch(checks, rows, recorded)

    def _evaluate(self, index: int, batch: Interval) -> tuple[list[CheckResult], int | None]:
        evaluation, snapshot = self._evaluation, self._work.snapshot
        common: dict[str, Any] = {
            "start": batch[0],
            "end": batch[1],
            "execution_time": evaluation.execution_time,
            "snapshots": self._parents,
            "deployability_index": evaluation.deployability,
        }
        wap_id = evaluation.evaluator.evaluate(
            snapshot,
            batch_index=index,
            target_table_exists=not self._work.create or index > 0,
            **common,
            **evaluation.evaluate_kwargs,
        )
        rows = rows_written(snapshot, index, evaluation)
        if wap_id is not None:  # the audits judge a branch, and publishing it is part of them
            audited = evaluation.evaluator.audit(snapshot, wap_id=wap_id, **common)
            return self._audits.ran(audited), rows
        return self._audits.run(batch), rows

    def _record(self, batch: Interval) -> None:
        if not self._held():
            raise Cancelled
        snapshot = self._work.snapshot
        self._evaluation.scheduler.state_sync.add_interval(
            snapshot,
            *batch,
            is_dev=not self._evaluation.is_deployable(snapshot),
            last_altered_ts=now_timestamp(),
        )
