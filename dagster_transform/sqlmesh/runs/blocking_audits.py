"""Blocking audits: a build runs them between the data and the interval's record.

So an interval of which one fails is not recorded: the data is in the table, and the interval stays
missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dagster_transform.graph import NodeId, check_id
from dagster_transform.sqlmesh.check_names import argument_texts, check_names
from dagster_transform.sqlmesh.intervals import Interval, in_words
from dagster_transform.sqlmesh.runs.audits import audits_of, run_audit
from dagster_transform.sqlmesh.runs.build_callbacks import BuildCallbacks
from dagster_transform.sqlmesh.runs.failures import Cancelled
from dagster_transform.sqlmesh.runs.shared_work import SharedWork
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.walk import CheckResult


class BlockingAudits:
    """The audits that the build of a node runs after each batch.

    Args:
        node: The node's id.
        snapshot: Its snapshot.
        evaluation: What the run's nodes share.
        callbacks: What the build may ask of its run.
    """

    def __init__(
        self, node: NodeId, snapshot: Any, evaluation: Evaluation, callbacks: BuildCallbacks
    ) -> None:
        self._node = node
        self._snapshot = snapshot
        self._evaluation = evaluation
        self._callbacks = callbacks
        self._audits = [
            audit
            for audit in audits_of(snapshot, evaluation)
            if audit.in_build and callbacks.audits(audit.name)
        ]

    def run(self, batch: Interval) -> list[CheckResult]:
        """Run them over a batch, side by side where the run has threads to spare.

        Raises:
            Exception: Whatever an audit's query raised.
        """
        found: dict[int, CheckResult] = {}

        def run_one(index: int) -> None:
            audit = self._audits[index]
            if self._callbacks.is_cancelled():
                raise Cancelled
            found[index] = run_audit(
                check_id(self._node, audit.name),
                audit,
                self._snapshot,
                self._evaluation,
                [batch],
                sample_rows=self._callbacks.sample_rows,
            )

        work = SharedWork(range(len(self._audits)), run_one, self._callbacks.failed)
        for _ in self._audits[1:]:
            self._callbacks.help_with(work.help_out)
        work.do()
        return [result for _, result in sorted(found.items())]

    def ran(self, audited: Iterable[Any]) -> list[CheckResult]:
        """Their results where SQLMesh ran a model's audits itself (its AuditResult of each)."""
        results = [result for result in audited if not result.skipped]
        dialect = self._snapshot.model.dialect
        names = check_names(
            [(r.audit.name, argument_texts(r.audit_args, dialect)) for r in results]
        )
        return [
            CheckResult(check_id(self._node, name), passed=not r.count, failed_rows=r.count)
            for name, r in zip(names, results, strict=True)
            if r.blocking
        ]


def hold_back(results: Iterable[CheckResult]) -> bool:
    """Whether an interval with these results is not recorded: a blocking audit has failed."""
    return any(result.blocking and not result.passed for result in results)


def merge(results: Sequence[CheckResult], judged: Sequence[Interval]) -> list[CheckResult]:
    """One result for each check, over all the batches that were `judged`."""
    together: dict[str, list[CheckResult]] = {}
    for result in results:
        together.setdefault(result.check, []).append(result)
    return [_merged(parts, judged) for parts in together.values()]


def _merged(parts: Sequence[CheckResult], judged: Sequence[Interval]) -> CheckResult:
    worst = next((part for part in parts if not part.passed), parts[0])
    seconds = sum(part.details.get("seconds", 0.0) for part in parts)
    return CheckResult(
        worst.check,
        passed=worst.passed,
        failed_rows=sum(part.failed_rows or 0 for part in parts),
        blocking=worst.blocking,
        details={**worst.details, "interval": in_words(judged), "seconds": round(seconds, 3)},
        sample=worst.sample,
    )
