"""Running an audit of a model's version."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

from sqlmesh.core.snapshot.definition import parent_snapshots_by_name

from dagster_transform.databases.samples import Sample, sample_of
from dagster_transform.graph import CheckId
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.check_names import is_blocking, named_audits
from dagster_transform.sqlmesh.intervals import Interval, in_words
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.walk import CheckResult


class Audit(NamedTuple):
    """An audit of a model's version: its check's name, SQLMesh's audit, and its arguments."""

    name: str
    audit: Any
    arguments: dict[str, Any]
    in_build: bool
    """Whether the build runs it: the same decision as `files.checks` took for the graph."""


def audits_of(snapshot: Any, evaluation: Evaluation) -> list[Audit]:
    """The audits that a model's version has, skipped ones left out; of a standalone audit, itself.

    Like SQLMesh, audits of a development table that is no clone block nothing: it holds a part of
    the data, on which a row count, say, fails as a matter of course.
    """
    adapter = evaluation.adapter_of(snapshot)
    partial = not evaluation.is_deployable(snapshot) and not adapter.SUPPORTS_CLONING
    found = [
        Audit(named.name, named.audit, named.arguments, in_build=named.blocks)
        for named in named_audits(snapshot.node)
    ]
    return [_not_blocking(audit) for audit in found] if partial else found


def run_audit(
    check: CheckId,
    audit: Audit,
    snapshot: Any,
    evaluation: Evaluation,
    batches: Sequence[Interval],
    *,
    sample_rows: int = 0,
    adapter: Any = None,
) -> CheckResult:
    """Run one audit over each batch.

    Args:
        check: The check's id.
        audit: What it calls; one of `audits_of(snapshot, evaluation)`.
        snapshot: The model's snapshot.
        evaluation: What the run's nodes share.
        batches: Time ranges that it judges; not empty.
        sample_rows: How many of the rows that it finds wrong are read.
        adapter: The engine adapter with which its query is rendered; None: the one that carries it
            out.

    Raises:
        Exception: Whatever the audit's query raised.
    """
    scheduler = evaluation.scheduler
    began = perf_counter()
    results = [
        _compat.run_audit(
            evaluation.evaluator,
            audit.audit,
            audit.arguments,
            snapshot=snapshot,
            snapshots=parent_snapshots_by_name(snapshot, scheduler.snapshots),
            start=start,
            end=end,
            execution_time=evaluation.execution_time,
            deployability_index=evaluation.deployability,
            **({} if adapter is None else {"engine_adapter": adapter}),
        )
        for start, end in batches
    ]
    failed = sum(result.count or 0 for result in results)
    shown = next((result for result in results if result.count), results[-1])
    seconds = round(perf_counter() - began, 3)
    dialect = snapshot.node.dialect
    sample: Sample = ()
    if failed and sample_rows:
        reading = evaluation.adapter_of(snapshot)
        sample = sample_of(*_compat.first_rows(reading, shown.query, sample_rows), sample_rows)
    return CheckResult(
        check,
        passed=not failed,
        failed_rows=failed,
        blocking=is_blocking(audit.audit, audit.arguments),
        details={
            "query": shown.query.sql(dialect=dialect, pretty=True),
            "interval": in_words(batches),
            "seconds": seconds,
            **({"code_version": snapshot.fingerprint.data_hash} if snapshot.is_model else {}),
        },
        sample=sample,
    )


def _not_blocking(audit: Audit) -> Audit:
    return audit._replace(
        audit=audit.audit.model_copy(update={"blocking": False}),
        arguments={k: v for k, v in audit.arguments.items() if k != "blocking"},
    )
