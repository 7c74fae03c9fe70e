"""Audits: which a model's version has, and running one of them."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

from sqlmesh.core.snapshot.definition import parent_snapshots_by_name
from sqlmesh.utils.date import now_timestamp

from dagster_transform.graph import Check
from dagster_transform.planning import Outcome
from dagster_transform.sqlmesh import _compat, names
from dagster_transform.sqlmesh.intervals import in_words
from dagster_transform.sqlmesh.settings import Setting, SqlmeshSettings
from dagster_transform.sqlmesh.state.environment import Assessment
from dagster_transform.walk import CheckResult, Report

STANDALONE = "standalone_audit"
"""The kind of the checks that are snapshots of their own."""


class Audit(NamedTuple):
    """An audit of a model's version: its check's name, SQLMesh's audit, and its arguments."""

    name: str
    audit: Any
    arguments: dict[str, Any]
    in_build: bool
    """Whether the build runs it: the same decision as `load` took for the graph."""


def audits_of(snapshot: Any, setting: Setting) -> list[Audit]:
    """The audits that a model's version has, skipped ones left out; of a standalone audit, itself.

    Like SQLMesh, audits of a development table that is no clone block nothing: it holds a part of
    the data, on which a row count, say, fails as a matter of course.
    """
    node = snapshot.node
    audits = [(a, args) for a, args in node.audits_with_args if not a.skip]
    texts = [(a.name, names.argument_texts(args, node.dialect)) for a, args in audits]
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


def judge(
    check: Check, reference: str, assessment: Assessment, settings: SqlmeshSettings
) -> Report:
    """Run a check that is apart from its node's build.

    Args:
        check: The check.
        reference: The snapshot that it is about, which the environment has.
        assessment: What the session knows.
        settings: What the run asks for.

    Returns:
        `checked`, or why it did not run: `up_to_date`, `not_promoted`, `waiting`.

    Raises:
        Exception: Whatever the audit's query raised.
    """
    setting = assessment.setting
    if check.kind == STANDALONE:
        snapshot = setting.scheduler.snapshots_by_name[reference]
        lacks = assessment.lacks.get(reference, [])
        if not lacks and not settings.ignore_cron:
            reason = f"nothing is due by its cron '{snapshot.node.cron}'"
            return Report(check.id, Outcome.UP_TO_DATE, reason)
        result = run_standalone(check.id, snapshot, setting, lacks)
        return Report(check.id, Outcome.CHECKED, checks=(result,))
    snapshot, batches = assessment.judged(reference)
    audits = {audit.name: audit for audit in audits_of(snapshot, setting)}
    if check.reference not in audits:
        reason = (
            f"environment {settings.environment} has a version of {snapshot.model.name} "
            "without this audit: apply a plan"
        )
        return Report(check.id, Outcome.NOT_PROMOTED, reason)
    if not batches:
        reason = "its node has no data yet: no interval was ever built"
        return Report(check.id, Outcome.WAITING, reason)
    result = run_check(check.id, audits[check.reference], snapshot, setting, batches)
    return Report(check.id, Outcome.CHECKED, checks=(result,))


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
    dialect = snapshot.node.dialect
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


def run_standalone(
    check: str, snapshot: Any, setting: Setting, lacks: Sequence[tuple[int, int]]
) -> CheckResult:
    """Run a standalone audit, which is a snapshot with a cron and intervals of its own.

    Args:
        check: The check's id.
        snapshot: The audit's snapshot.
        setting: What the run's nodes share.
        lacks: Intervals over which it has not run yet. They are recorded then, as SQLMesh does it
            also for an audit that did not pass. Empty: it runs again over all that it has.

    Raises:
        Exception: Whatever the audit's query raised.
    """
    deployable = setting.deployability.is_deployable(snapshot)
    had = list(snapshot.intervals if deployable else snapshot.dev_intervals)
    now = setting.execution_time
    (audit,) = audits_of(snapshot, setting)
    result = run_check(check, audit, snapshot, setting, [*lacks] or had or [(now, now)])
    for start, end in lacks:
        setting.scheduler.state_sync.add_interval(
            snapshot, start, end, is_dev=not deployable, last_altered_ts=now_timestamp()
        )
    return result


def published(unit: str, snapshot: Any, audited: Sequence[Any]) -> list[CheckResult]:
    """Results of the blocking ones among audits that SQLMesh ran itself (its AuditResult)."""
    ran = [r for r in audited if not r.skipped]
    texts = [
        (r.audit.name, names.argument_texts(r.audit_args, snapshot.model.dialect)) for r in ran
    ]
    return [
        CheckResult(f"{unit}:{name}", passed=not r.count, failed_rows=r.count)
        for name, r in zip(names.check_names(texts), ran, strict=True)
        if r.blocking
    ]


def merge(results: Sequence[CheckResult], judged: Sequence[tuple[int, int]]) -> list[CheckResult]:
    """One result for each check, over all the batches that were `judged`."""
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
