"""Building one node and running one check, on a worker's thread.

The order is SQLMesh's own (`Scheduler.evaluate`): data, blocking audits, and only then the
interval's record, so that what a blocking audit finds wrong stays missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from sqlmesh.core.snapshot import SnapshotIdBatch
from sqlmesh.core.snapshot.definition import parent_snapshots_by_name
from sqlmesh.utils.date import now_timestamp

from dagster_transform.errors import redact
from dagster_transform.planning import Outcome
from dagster_transform.sqlmesh import _compat, names
from dagster_transform.sqlmesh.intervals import in_words
from dagster_transform.sqlmesh.project import first_error, words_of
from dagster_transform.sqlmesh.settings import Setting, Work
from dagster_transform.walk import CheckResult, Report

_MAX_MESSAGE = 2_000


class Cancelled(Exception):
    """The unit was cancelled between two statements."""


def build_node(unit: str, work: Work, setting: Setting, cancelled: Callable[[], bool]) -> Report:
    """Build what `work` says and run its blocking audits.

    Args:
        unit: The node's id.
        work: What to build; its `recorded` is raised with every batch that is in the state.
        setting: What the run's nodes share.
        cancelled: Whether to stop before the next batch.

    Returns:
        `built`, with the results of the blocking audits; a batch whose audit failed is the last.

    Raises:
        Cancelled: `cancelled` said so.
        Exception: Whatever SQLMesh or the driver raised.
    """
    began = perf_counter()
    scheduler, snapshot = setting.scheduler, work.snapshot
    evaluator = scheduler.snapshot_evaluator
    deployable = setting.deployability.is_deployable(snapshot)
    parents = parent_snapshots_by_name(snapshot, scheduler.snapshots)
    results: list[CheckResult] = []
    rows: int | None = None
    if work.create and not work.recorded and _needs_table_first(snapshot, work):
        evaluator.create_snapshot(
            snapshot=snapshot,
            snapshots=scheduler.snapshots_by_name,
            deployability_index=setting.deployability,
            allow_destructive_snapshots=setting.plan.get("allow_destructive_snapshots") or set(),
            allow_additive_snapshots=setting.plan.get("allow_additive_snapshots") or set(),
        )
        work.create = False
    in_build = [audit for audit in audits_of(snapshot, setting) if audit.in_build]
    judged: list[tuple[int, int]] = []
    done: list[tuple[int, int]] = []
    for index in range(work.recorded, len(work.batches)):
        if cancelled():
            raise Cancelled
        start, end = batch = work.batches[index]
        common = {
            "start": start,
            "end": end,
            "execution_time": setting.execution_time,
            "snapshots": parents,
            "deployability_index": setting.deployability,
        }
        wap_id = evaluator.evaluate(
            snapshot,
            batch_index=index,
            target_table_exists=not work.create or index > 0,
            **common,
            **setting.plan,
        )
        rows = _add(rows, _rows_written(evaluator, snapshot, index))
        if wap_id is not None:  # the audits judge a branch, and publishing it is part of them
            audited = evaluator.audit(snapshot, wap_id=wap_id, **common)
            found = _blocking_of(unit, snapshot, audited)
        else:
            found = [
                run_check(f"{unit}:{audit.name}", audit, snapshot, setting, [batch])
                for audit in in_build
            ]
        results.extend(found)
        judged.append(batch)
        if any(result.blocking and not result.passed for result in found):
            break
        scheduler.state_sync.add_interval(
            snapshot, start, end, is_dev=not deployable, last_altered_ts=now_timestamp()
        )
        work.recorded = index + 1
        done.append(batch)
    seconds = perf_counter() - began
    return Report(
        unit,
        Outcome.BUILT,
        checks=tuple(_merge(results, judged)),
        seconds=seconds,
        rows=rows,
        table_rows=_table_rows(evaluator, snapshot, deployable),
        details={
            "intervals": in_words(done),
            "batches": len(done),
            "physical_table": snapshot.table_name(is_deployable=deployable),
        },
    )


def run_check(
    check: str,
    audit: Audit,
    snapshot: Any,
    setting: Setting,
    batches: Sequence[tuple[int, int]],
) -> CheckResult:
    """Run one audit over each batch.

    Args:
        check: The check's id.
        audit: What it calls; one of `audits_of(snapshot, setting)`.
        snapshot: The model's snapshot.
        setting: What the run's nodes share.
        batches: Time ranges that it judges; not empty.

    Raises:
        Exception: Whatever the audit's query raised.
    """
    scheduler = setting.scheduler
    began = perf_counter()
    results = [
        _compat.run_audit(
            scheduler.snapshot_evaluator,
            audit.audit,
            audit.arguments,
            snapshot=snapshot,
            snapshots=parent_snapshots_by_name(snapshot, scheduler.snapshots),
            start=start,
            end=end,
            execution_time=setting.execution_time,
            deployability_index=setting.deployability,
        )
        for start, end in batches
    ]
    failed = sum(result.count or 0 for result in results)
    dialect = snapshot.model.dialect
    return CheckResult(
        check,
        passed=not failed,
        failed_rows=failed,
        blocking=names.is_blocking(audit.audit, audit.arguments),
        details={
            "query": results[-1].query.sql(dialect=dialect, pretty=True),
            "interval": in_words(batches),
            "seconds": round(perf_counter() - began, 3),
        },
    )


class Audit(NamedTuple):
    """An audit of a model's version: its check's name, SQLMesh's audit, and its arguments."""

    name: str
    audit: Any
    arguments: dict[str, Any]
    in_build: bool
    """Whether the build runs it: the same decision as `load` took for the graph."""


def audits_of(snapshot: Any, setting: Setting) -> list[Audit]:
    """The audits that a model's version has, skipped ones left out.

    Like SQLMesh, audits of a development table that is no clone block nothing: it holds a part of
    the data, on which a row count, say, fails as a matter of course.
    """
    model = snapshot.model
    audits = [(a, args) for a, args in model.audits_with_args if not a.skip]
    texts = [(a.name, names.argument_texts(args, model.dialect)) for a, args in audits]
    adapter = setting.scheduler.snapshot_evaluator.get_adapter(snapshot.model_gateway)
    partial = not setting.deployability.is_deployable(snapshot) and not adapter.SUPPORTS_CLONING
    found = [
        Audit(name, audit, arguments, in_build=names.is_blocking(audit, arguments))
        for name, (audit, arguments) in zip(names.check_names(texts), audits, strict=True)
    ]
    return [_not_blocking(audit) for audit in found] if partial else found


def _not_blocking(audit: Audit) -> Audit:
    return audit._replace(
        audit=audit.audit.model_copy(update={"blocking": False}),
        arguments={k: v for k, v in audit.arguments.items() if k != "blocking"},
    )


def why(error: BaseException) -> str:
    """An engine's or SQLMesh's error in words, without passwords and not endless."""
    error = first_error(error)
    text = redact(words_of(error)) or "no message"
    if len(text) > _MAX_MESSAGE:
        text = f"{text[:_MAX_MESSAGE]}..."
    return f"{type(error).__name__}: {text}"


def _needs_table_first(snapshot: Any, work: Work) -> bool:
    """SQLMesh's rule for a create before the first evaluation (`Scheduler._dag`)."""
    node = snapshot.node
    concurrency = 1 if snapshot.depends_on_past else node.batch_concurrency
    in_parallel = (not concurrency or concurrency > 1) and node.batch_size
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


def _blocking_of(unit: str, snapshot: Any, audited: Sequence[Any]) -> list[CheckResult]:
    ran = [r for r in audited if not r.skipped]
    texts = [
        (r.audit.name, names.argument_texts(r.audit_args, snapshot.model.dialect)) for r in ran
    ]
    return [
        CheckResult(f"{unit}:{name}", passed=not r.count, failed_rows=r.count)
        for name, r in zip(names.check_names(texts), ran, strict=True)
        if r.blocking
    ]


def _merge(results: Sequence[CheckResult], judged: Sequence[tuple[int, int]]) -> list[CheckResult]:
    """One result for each check, over all the batches that it judged."""
    together: dict[str, list[CheckResult]] = {}
    for result in results:
        together.setdefault(result.check, []).append(result)
    merged: list[CheckResult] = []
    for check, parts in together.items():
        worst = next((part for part in parts if not part.passed), parts[0])
        seconds = sum(part.details.get("seconds", 0.0) for part in parts)
        merged.append(
            CheckResult(
                check,
                passed=worst.passed,
                failed_rows=sum(part.failed_rows or 0 for part in parts),
                blocking=worst.blocking,
                details={
                    **worst.details,
                    "interval": in_words(judged),
                    "seconds": round(seconds, 3),
                },
            )
        )
    return merged
