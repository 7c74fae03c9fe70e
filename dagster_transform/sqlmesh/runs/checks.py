"""Checks that no build runs: audits that do not block, or not in band, those that stand
alone, those of external models."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from sqlmesh.utils.date import now_timestamp

from dagster_transform.graph import Check, Graph, UnknownIdError
from dagster_transform.planning import Outcome
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.check_names import EXTERNAL_AUDIT, STANDALONE_AUDIT
from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.runs.audited_time import audited_time
from dagster_transform.sqlmesh.runs.audits import Audit, audits_of, run_audit
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.assessment import Assessment
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.walk import CheckResult, Report


class Checks:
    """Runs checks of one project; from any thread.

    Args:
        assessment: What is known of the project.
        settings: What the run asks for.

    Raises:
        AuditedTimeError: The time over which audits are asked for is none.
    """

    def __init__(self, assessment: Assessment, settings: SqlmeshSettings) -> None:
        self._assessment = assessment
        self._settings = settings
        self._passed: dict[str, set[str]] = {}  # snapshot -> its audits that hold nothing back
        self._lock = threading.Lock()
        self._audits: dict[Any, list[Audit]] = {}  # snapshot -> its audits
        self._adapters: dict[int, Any] = {}  # id of the adapter -> the one for rendering
        between = settings.audit_between
        self._between = [] if between is None else [audited_time(*between, settings.now)]

    def run(self, check: Check, reference: str) -> Report:
        """Run a check.

        Args:
            check: The check.
            reference: The snapshot that it is about, which the environment has.

        Returns:
            `checked`, or why it did not run: `up_to_date`, `not_promoted`, `waiting`.

        Raises:
            Exception: Whatever the audit's query raised.
        """
        evaluation = self._assessment.evaluation
        snapshot, batches = self._assessment.judged(reference, evaluation)
        audits = self._audits_of(snapshot, evaluation)
        audit = _called(check, audits)
        if audit is None:
            called = self._settings.called(snapshot.name)
            reason = (
                f"environment {self._settings.environment} has a version of {called} "
                "without this audit: apply a plan"
            )
            return Report(check.id, Outcome.NOT_PROMOTED, reason)
        if _own_snapshot(check) is not None:
            if not self._assessment.lacks.get(reference) and not self._settings.ignore_cron:
                reason = f"nothing is due by its cron '{snapshot.node.cron}'"
                return Report(check.id, Outcome.UP_TO_DATE, reason)
            result = self._run_own(check, audit, snapshot, evaluation, of=len(audits))
            return Report(check.id, Outcome.CHECKED, checks=(result,))
        if not batches:
            reason = "its node has no data yet: no interval was ever built"
            return Report(check.id, Outcome.WAITING, reason)
        result = self._audit(check, audit, snapshot, self._between or batches)
        return Report(check.id, Outcome.CHECKED, checks=(result,))

    def _audits_of(self, snapshot: Any, evaluation: Evaluation) -> list[Audit]:
        """What `audits_of` says, once: it writes all their arguments as SQL."""
        with self._lock:
            if snapshot.snapshot_id not in self._audits:
                self._audits[snapshot.snapshot_id] = audits_of(snapshot, evaluation)
            return self._audits[snapshot.snapshot_id]

    def _rendering(self, adapter: Any) -> Any:
        """The adapter with which queries are rendered: where nothing is built, no table changes."""
        if self._assessment.work:
            return adapter
        with self._lock:
            if id(adapter) not in self._adapters:
                self._adapters[id(adapter)] = _compat.asking_for_columns_once(adapter)
            return self._adapters[id(adapter)]

    def _audit(
        self, check: Check, audit: Audit, snapshot: Any, batches: Sequence[Interval]
    ) -> CheckResult:
        evaluation = self._assessment.evaluation
        return run_audit(
            check.id,
            audit,
            snapshot,
            evaluation,
            batches,
            sample_rows=self._settings.sample_rows,
            adapter=self._rendering(evaluation.adapter_of(snapshot)),
        )

    def _run_own(
        self, check: Check, audit: Audit, snapshot: Any, evaluation: Evaluation, *, of: int
    ) -> CheckResult:
        """Run an audit of a snapshot that nobody builds: a standalone audit or an external model.

        SQLMesh gives such a snapshot a cron, and intervals that say until when it was audited.
        Those of a standalone audit are recorded also where it fails; those of an external model
        when all `of` its audits have run, and none that blocks has failed. If nothing is due, it
        runs again over all that it has.

        Raises:
            Exception: Whatever the audit's query raised.
        """
        lacks = self._assessment.lacks.get(snapshot.name, [])
        deployable = evaluation.is_deployable(snapshot)
        had = list(snapshot.intervals if deployable else snapshot.dev_intervals)
        now = evaluation.execution_time
        judged = self._between or [*lacks] or had or [(now, now)]
        result = self._audit(check, audit, snapshot, judged)
        with self._lock:
            passed = self._passed.setdefault(snapshot.name, set())
            if result.passed or not result.blocking:
                passed.add(audit.name)
            complete = check.kind == STANDALONE_AUDIT or len(passed) == of
        if complete and not self._between:
            for start, end in lacks:
                evaluation.scheduler.state_sync.add_interval(
                    snapshot, start, end, is_dev=not deployable, last_altered_ts=now_timestamp()
                )
        return result


def snapshot_judged(check: Check, graph: Graph) -> str:
    """The name of the snapshot that a check is about.

    Raises:
        UnknownIdError: The check is of nothing that SQLMesh has a snapshot of.
    """
    if own := _own_snapshot(check):
        return own
    node = graph.node(check.target)
    if node is None:
        raise UnknownIdError(check.target)
    return node.reference


def _called(check: Check, audits: Sequence[Audit]) -> Audit | None:
    """The audit that a check is, among those of the snapshot that it is about."""
    if check.kind == STANDALONE_AUDIT:
        return next(iter(audits), None)
    name = check.reference.rpartition(":")[2]
    return next((audit for audit in audits if audit.name == name), None)


def _own_snapshot(check: Check) -> str | None:
    """The snapshot of a check that has intervals of its own: those over which it has run."""
    if check.kind == STANDALONE_AUDIT:
        return check.reference
    if check.kind == EXTERNAL_AUDIT:
        return check.reference.rpartition(":")[0]
    return None
