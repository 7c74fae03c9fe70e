"""Building one node on the threads of a session.

The order is SQLMesh's own (`Scheduler.evaluate`): data, blocking audits, and only then the
interval's record, so that what a blocking audit finds wrong stays missing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from sqlmesh.core.snapshot import SnapshotIdBatch
from sqlmesh.core.snapshot.definition import parent_snapshots_by_name
from sqlmesh.utils.date import now_timestamp

from dagster_transform.errors import redact
from dagster_transform.planning import Outcome
from dagster_transform.sqlmesh.intervals import Interval, in_words
from dagster_transform.sqlmesh.project import first_error, words_of
from dagster_transform.sqlmesh.runs.audits import Audit, audits_of, merge, published, run_check
from dagster_transform.sqlmesh.settings import PROD, Setting, Work
from dagster_transform.walk import CheckResult, Report

_MAX_MESSAGE = 2_000


class Cancelled(Exception):
    """The unit was cancelled between two statements."""


class BatchError(Exception):
    """Building one batch of a node failed; the cause says how.

    Args:
        interval: The batch, in words.
    """

    def __init__(self, interval: str) -> None:
        super().__init__(interval)
        self.interval = interval


@dataclass(frozen=True, slots=True)
class Hands:
    """What a build may ask of its session.

    Attributes:
        cancelled: Whether to stop before the next batch.
        held: Whether the node is still this run's to build; if not, nothing is recorded.
        spread: Lets another thread of the session do a part of the unit, once one is free.
        failed: Told of an error, on the thread on which it happened.
    """

    cancelled: Callable[[], bool]
    held: Callable[[], bool]
    spread: Callable[[Callable[[], None]], None]
    failed: Callable[[BaseException], None]


def build_node(unit: str, work: Work, setting: Setting, hands: Hands) -> Report:
    """Build what `work` says and run its blocking audits.

    Args:
        unit: The node's id.
        work: What to build; its `recorded` gets every batch that is in the state.
        setting: What the run's nodes share.
        hands: What it may ask of its session.

    Returns:
        `built`, with the results of the blocking audits; a batch whose audit failed is the last.

    Raises:
        Cancelled: The session said so.
        BatchError: A batch of an incremental node failed.
        Exception: Whatever SQLMesh or the driver raised for another node.
    """
    began = perf_counter()
    snapshot = work.snapshot
    if work.create and not work.recorded and _needs_table_first(snapshot, work):
        _create_table(work, setting)
    batches = _Batches(unit, work, setting, hands)
    for _ in range(batches.at_once - 1):
        hands.spread(batches.help)
    batches.do()
    deployable = setting.deployability.is_deployable(snapshot)
    done = [work.batches[index] for index in sorted(batches.done)]
    results = [batches.results[index] for index in sorted(batches.results)]
    return Report(
        unit,
        Outcome.BUILT,
        checks=tuple(merge([r for found in results for r in found], _judged(work, batches))),
        seconds=perf_counter() - began,
        rows=batches.rows,
        table_rows=_table_rows(setting.scheduler.snapshot_evaluator, snapshot, deployable),
        details={
            "intervals": in_words(done),
            "batches": len(done),
            "physical_table": snapshot.table_name(is_deployable=deployable),
            **({"shared_with": PROD} if snapshot.name in setting.shared else {}),
        },
    )


@dataclass
class _Batches:
    """The batches of one node, which one or several threads take one after the other.

    SQLMesh starts batch i when batch i - batch_concurrency is done; taking them in order with as
    many threads is the same bound.
    """

    unit: str
    work: Work
    setting: Setting
    hands: Hands
    done: set[int] = field(default_factory=set)
    results: dict[int, list[CheckResult]] = field(default_factory=dict)
    rows: int | None = None
    _todo: deque[int] = field(default_factory=deque)
    _busy: int = 0
    _error: BaseException | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _in_build: list[Audit] = field(default_factory=list)
    _parents: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        snapshot, scheduler = self.work.snapshot, self.setting.scheduler
        self._todo.extend(i for i in range(len(self.work.batches)) if i not in self.work.recorded)
        self._in_build = [a for a in audits_of(snapshot, self.setting) if a.in_build]
        self._parents = parent_snapshots_by_name(snapshot, scheduler.snapshots)

    @property
    def at_once(self) -> int:
        """How many batches may be built at the same moment, at least 1."""
        return max(1, min(len(self._todo), _concurrency(self.work.snapshot) or len(self._todo)))

    def do(self) -> None:
        """Build batches until none is left, then wait for those of the other threads.

        Raises:
            Exception: The first error of any thread.
        """
        self.help()
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
        if self._error is not None:
            raise self._error

    def help(self) -> None:
        """Build batches until none is left."""
        while (index := self._take()) is not None:
            try:
                self._build(index)
            except BaseException as error:  # noqa: BLE001 - a Python model may call sys.exit
                self.hands.failed(error)
                with self._changed:
                    self._error = self._error or error
                    self._leave_the_rest()
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _take(self) -> int | None:
        with self._changed:
            if not self._todo:
                return None
            self._busy += 1
            return self._todo.popleft()

    def _leave_the_rest(self) -> None:
        """After a batch that failed: as in SQLMesh, batches that need not wait for one another go
        on without it, others don't."""
        if _concurrency(self.work.snapshot) is not None:
            self._todo.clear()

    def _build(self, index: int) -> None:
        if self.hands.cancelled():
            raise Cancelled
        work, setting = self.work, self.setting
        snapshot, scheduler = work.snapshot, setting.scheduler
        start, end = batch = work.batches[index]
        try:
            found, rows = self._evaluate(index, batch)
            stop = any(result.blocking and not result.passed for result in found)
            if not stop:
                if not self.hands.held():
                    raise Cancelled
                scheduler.state_sync.add_interval(
                    snapshot,
                    start,
                    end,
                    is_dev=not setting.deployability.is_deployable(snapshot),
                    last_altered_ts=now_timestamp(),
                )
        except BaseException as error:
            if snapshot.is_incremental or snapshot.is_scd_type_2:
                raise BatchError(in_words([batch])) from error
            raise
        with self._changed:
            self.results[index] = found
            self.rows = _add(self.rows, rows)
            if stop:
                self._leave_the_rest()
            else:
                work.recorded.add(index)
                self.done.add(index)

    def _evaluate(self, index: int, batch: Interval) -> tuple[list[CheckResult], int | None]:
        setting, snapshot = self.setting, self.work.snapshot
        evaluator = setting.scheduler.snapshot_evaluator
        common = {
            "start": batch[0],
            "end": batch[1],
            "execution_time": setting.execution_time,
            "snapshots": self._parents,
            "deployability_index": setting.deployability,
        }
        wap_id = evaluator.evaluate(
            snapshot,
            batch_index=index,
            target_table_exists=not self.work.create or index > 0,
            **common,
            **setting.plan,
        )
        rows = _rows_written(evaluator, snapshot, index)
        if wap_id is not None:  # the audits judge a branch, and publishing it is part of them
            audited = evaluator.audit(snapshot, wap_id=wap_id, **common)
            return published(self.unit, snapshot, audited), rows
        return [
            run_check(f"{self.unit}:{audit.name}", audit, snapshot, setting, [batch])
            for audit in self._in_build
        ], rows


def why(error: BaseException) -> str:
    """An engine's or SQLMesh's error in words, without passwords and not endless."""
    where = ""
    if isinstance(error, BatchError) and error.__cause__ is not None:
        where, error = f"{error.interval}: ", error.__cause__
    error = first_error(error)
    text = redact(words_of(error)) or "no message"
    if len(text) > _MAX_MESSAGE:
        text = f"{text[:_MAX_MESSAGE]}..."
    return f"{where}{type(error).__name__}: {text}"


def _judged(work: Work, batches: _Batches) -> list[Interval]:
    return [work.batches[index] for index in sorted(batches.results)]


def _create_table(work: Work, setting: Setting) -> None:
    setting.scheduler.snapshot_evaluator.create_snapshot(
        snapshot=work.snapshot,
        snapshots=setting.scheduler.snapshots_by_name,
        deployability_index=setting.deployability,
        allow_destructive_snapshots=setting.plan.get("allow_destructive_snapshots") or set(),
        allow_additive_snapshots=setting.plan.get("allow_additive_snapshots") or set(),
    )
    work.create = False


def _concurrency(snapshot: Any) -> int | None:
    """Batches at the same moment that SQLMesh allows; None: any number (`Scheduler._dag`)."""
    return 1 if snapshot.depends_on_past else snapshot.node.batch_concurrency


def _needs_table_first(snapshot: Any, work: Work) -> bool:
    """SQLMesh's rule for a create before the first evaluation (`Scheduler._dag`)."""
    in_parallel = _concurrency(snapshot) != 1 and snapshot.node.batch_size
    return bool(snapshot.is_incremental_by_time_range or in_parallel or not work.batches)


def _rows_written(evaluator: Any, snapshot: Any, index: int) -> int | None:
    batch = SnapshotIdBatch(snapshot_id=snapshot.snapshot_id, batch_id=index)
    stats = evaluator.execution_tracker.get_execution_stats(batch)
    return stats.total_rows_processed if stats else None


def _table_rows(evaluator: Any, snapshot: Any, deployable: bool) -> int | None:
    """Rows in the table, where counting costs nothing: DuckDB knows it without a scan."""
    adapter = evaluator.get_adapter(snapshot.model_gateway)
    if adapter.dialect != "duckdb" or not snapshot.is_materialized:
        return None
    table = snapshot.table_name(is_deployable=deployable)
    row = adapter.fetchone(f"SELECT COUNT(*) FROM {table}")
    return int(row[0]) if row else None


def _add(total: int | None, more: int | None) -> int | None:
    return more if total is None else total + (more or 0)
