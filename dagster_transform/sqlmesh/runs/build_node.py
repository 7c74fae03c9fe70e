"""Building one node on the threads of a run, and what is reported of it."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from dagster_transform.graph import NodeId
from dagster_transform.planning import Outcome
from dagster_transform.sqlmesh.intervals import in_words
from dagster_transform.sqlmesh.runs.batches import Batches, concurrency
from dagster_transform.sqlmesh.runs.blocking_audits import BlockingAudits, merge
from dagster_transform.sqlmesh.runs.build_batch import BatchBuilder
from dagster_transform.sqlmesh.runs.build_callbacks import BuildCallbacks
from dagster_transform.sqlmesh.runs.physical_tables import make_table
from dagster_transform.sqlmesh.runs.row_counts import add, table_rows
from dagster_transform.sqlmesh.settings import PROD
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.work import Work
from dagster_transform.walk import Report


def build_node(
    node: NodeId, work: Work, evaluation: Evaluation, callbacks: BuildCallbacks
) -> Report:
    """Build what `work` says and run its blocking audits.

    Args:
        node: The node's id.
        work: What to build; its `recorded` gets every batch that is in the state.
        evaluation: What the run's nodes share.
        callbacks: What it may ask of its run.

    Returns:
        `built`, with the results of the blocking audits; a batch whose audit failed is the last.

    Raises:
        Cancelled: The run said so.
        BatchError: A batch of an incremental node failed.
        Exception: Whatever SQLMesh or the driver raised for another node.
    """
    began = perf_counter()
    snapshot = work.snapshot
    if work.prepare is not None:
        work.prepare()
    if work.create and not work.recorded and _needs_table_first(work):
        make_table(evaluation, snapshot)
        work.create = False
    audits = BlockingAudits(node, snapshot, evaluation, callbacks)
    builder = BatchBuilder(work, evaluation, audits, callbacks.held)
    batches = Batches(
        work, builder.build, callbacks.is_cancelled, callbacks.failed, callbacks.progressed
    )
    for _ in range(batches.at_once - 1):
        callbacks.help_with(batches.help_out)
    batches.do()
    built = batches.built
    done = [work.batches[index] for index, batch in built.items() if batch.recorded]
    judged = [work.batches[index] for index in built]
    rows: int | None = None
    for batch in built.values():
        rows = add(rows, batch.rows)
    return Report(
        node,
        Outcome.BUILT,
        checks=tuple(merge([c for batch in built.values() for c in batch.checks], judged)),
        seconds=perf_counter() - began,
        rows=rows,
        table_rows=table_rows(snapshot, evaluation),
        code_version=snapshot.fingerprint.data_hash,
        details={
            "intervals": in_words(done),
            "batches": len(done),
            "physical_table": evaluation.physical_table(snapshot),
            **({"shared_with": PROD} if snapshot.name in evaluation.shared else {}),
        },
    )


def _needs_table_first(work: Work) -> bool:
    """SQLMesh's rule for a create before the first evaluation (`Scheduler._dag`)."""
    snapshot: Any = work.snapshot
    in_parallel = concurrency(snapshot) != 1 and snapshot.node.batch_size
    return bool(snapshot.is_incremental_by_time_range or in_parallel or not work.batches)
