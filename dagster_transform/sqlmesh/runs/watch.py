"""A plan that somebody else applies while a run goes on.

Nodes in flight finish. Before each further node the environment's plan is looked at; where it is
another one by now, nodes whose version has not changed go on with their new snapshots, and changed
or removed ones are not built: their tables are no longer, or not yet, what readers see.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.intervals import merged
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.environment import Assessment, read_snapshots

_POLL = 0.5
"""Seconds between two looks at a plan that is being applied."""


class PlanWatch:
    """Looks whether the environment still has the plan that a run was planned with.

    Args:
        context: A SQLMesh Context.
        settings: What the run asks for.
        assessment: Its `setting`, and the snapshots of its `work`, are replaced after a new plan.
    """

    def __init__(self, context: Any, settings: SqlmeshSettings, assessment: Assessment) -> None:
        self._context = context
        self._settings = settings
        self._assessment = assessment
        self._gone: dict[str, str] = {}  # reference -> why it is not built any more
        self._begun: set[str] = set()
        self._to_renew: set[str] = set()
        self._lock = threading.Lock()

    def why_not(self, reference: str, cancelled: Callable[[], bool]) -> str:
        """Why a node is not to be built any more; empty if it is.

        Args:
            reference: Its fully qualified name.
            cancelled: Whether to stop waiting for a plan that is being applied.
        """
        with self._lock:
            summary = self._summary()
            if summary is None or (
                summary.plan_id != self._assessment.plan_id and not self._settle(cancelled)
            ):
                name = self._settings.environment
                return (
                    f"environment {name} is gone"
                    if summary is None
                    else f"plan {summary.plan_id} of environment {name} is being applied"
                )
            if reason := self._gone.get(reference):
                return reason
            if reference in self._to_renew:
                self._to_renew.discard(reference)
                self._renew(reference)
            self._begun.add(reference)
            return ""

    def _summary(self) -> Any | None:
        summaries = self._context.state_sync.get_environments_summary()
        return next((s for s in summaries if s.name == self._settings.environment), None)

    def _settle(self, cancelled: Callable[[], bool]) -> bool:
        """Wait for the end of the new plan, then go on with what it has left; False: no end."""
        until = monotonic() + self._settings.plan_timeout
        while True:
            record = self._context.state_sync.get_environment(self._settings.environment)
            if record is not None and record.finalized_ts:
                break
            if cancelled() or monotonic() > until:
                return False
            threading.Event().wait(_POLL)
        self._take_over(record)
        return True

    def _take_over(self, record: Any) -> None:
        assessment = self._assessment
        versions = {info.name: info.version for info in record.snapshots}
        names = {s.name for s in assessment.setting.scheduler.snapshots.values()}
        _compat.forget_snapshots(self._context.state_sync)
        setting = read_snapshots(self._context, record, names, self._settings)
        assessment.setting = setting
        assessment.infos, assessment.plan_id = list(record.snapshots), str(record.plan_id)
        for reference, work in assessment.work.items():
            if versions.get(reference) != work.snapshot.version:
                what = "has another version" if reference in versions else "is not in it any more"
                self._gone[reference] = (
                    f"environment {self._settings.environment} has a new plan "
                    f"({record.plan_id}), in which this model {what}: run again"
                )
            elif reference in self._begun:
                self._to_renew.add(reference)  # should it be tried again: now it may be in flight
            else:
                self._renew(reference)

    def _renew(self, reference: str) -> None:
        """Go on with the new snapshot; batches that somebody has built meanwhile are done."""
        work, setting = self._assessment.work[reference], self._assessment.setting
        if work.snapshot.is_seed:  # it carries its rows, which the state does not have
            return
        known = {*work.snapshot.intervals, *work.snapshot.dev_intervals}
        work.snapshot = setting.scheduler.snapshots_by_name[reference]
        fresh = [i for i in merged(setting.intervals_of(work.snapshot)) if i not in known]
        work.recorded |= {
            index
            for index, (start, end) in enumerate(work.batches)
            if any(s <= start and end <= e for s, e in fresh)
        }
