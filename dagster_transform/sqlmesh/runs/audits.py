"""Audits: which a model's version has, and running one of them."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

from sqlmesh.core.snapshot.definition import parent_snapshots_by_name
from sqlmesh.utils.date import now_timestamp

from dagster_transform.graph import Check, Graph
from dagster_transform.planning import Outcome
from dagster_transform.sqlmesh import _compat, names
from dagster_transform.sqlmesh.intervals import in_words
from dagster_transform.sqlmesh.settings import Setting, SqlmeshSettings
from dagster_transform.sqlmesh.state.environment import Assessment
from dagster_transform.walk import CheckResult, Report


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
    snapshot, batches = assessment.judged(reference)
    audits = {audit.name: audit for audit in audits_of(snapshot, setting)}
    if check.kind == names.STANDALONE_AUDIT:
        audit = next(iter(audits.values()), None)
    else:
        audit = audits.get(check.reference.rpartition(":")[2])
    if audit is None:
        reason = (
            f"environment {settings.environment} has a version of {snapshot.node.name} "
            "without this audit: apply a plan"
        )
        return Report(check.id, Outcome.NOT_PROMOTED, reason)
    if _own_snapshot(check) is not None:
        if not assessment.lacks.get(reference) and not settings.ignore_cron:
            reason = f"nothing is due by its cron '{snapshot.node.cron}'"
            return Report(check.id, Outcome.UP_TO_DATE, reason)
        result = _judge_own(check, audit, snapshot, assessment, of=len(audits))
        return Report(check.id, Outcome.CHECKED, checks=(result,))
    if not batches:
        reason = "its node has no data yet: no interval was ever built"
        return Report(check.id, Outcome.WAITING, reason)
    result = run_check(check.id, audit, snapshot, setting, batches)
    return Report(check.id, Outcome.CHECKED, checks=(result,))


def snapshot_judged(check: Check, graph: Graph) -> str:
    """The name of the snapshot that a check is about."""
    return _own_snapshot(check) or graph.nodes[check.target].reference


def _own_snapshot(check: Check) -> str | None:
    """The snapshot of a check that has intervals of its own: those over which it has run."""
    if check.kind == names.STANDALONE_AUDIT:
        return check.reference
    if check.kind == names.EXTERNAL_AUDIT:
        return check.reference.rpartition(":")[0]
    return None


def _judge_own(
    check: Check, audit: Audit, snapshot: Any, assessment: Assessment, *, of: int
) -> CheckResult:
    """Run an audit of a snapshot that nobody builds: a standalone audit or an external model.

    SQLMesh gives such a snapshot a cron, and intervals that say until when it was audited. Those of
    a standalone audit are recorded also where it fails; those of an external model when all `of`
    its audits have run, and none that blocks has failed. If nothing is due, it runs again over all
    that it has.

    Raises:
        Exception: Whatever the audit's query raised.
    """
    setting, lacks = assessment.setting, assessment.lacks.get(snapshot.name, [])
    deployable = setting.deployability.is_deployable(snapshot)
    had = list(snapshot.intervals if deployable else snapshot.dev_intervals)
    now = setting.execution_time
    result = run_check(check.id, audit, snapshot, setting, [*lacks] or had or [(now, now)])
    passed = assessment.audited.setdefault(snapshot.name, set())
    if result.passed or not result.blocking:
        passed.add(audit.name)
    if check.kind == names.STANDALONE_AUDIT or len(passed) == of:
        for start, end in lacks:
            setting.scheduler.state_sync.add_interval(
                snapshot, start, end, is_dev=not deployable, last_altered_ts=now_timestamp()
            )
    return result


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
