"""A plan that somebody else applies while a run goes on.

Nodes in flight finish. Before each further node the environment's plan is looked at; where it is
another one by now, nodes whose version has not changed go on with their new snapshots, and changed
or removed ones are not built: their tables are no longer, or not yet, what readers see.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from time import monotonic
from typing import Any

from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.intervals import Interval, merged
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.assessment import Assessment
from dagster_transform.sqlmesh.state.current_environment import PlannedEnvironment
from dagster_transform.sqlmesh.state.environment import read_snapshots
from dagster_transform.sqlmesh.state.work import Work

_POLL = 0.5
"""Seconds between two looks at a plan that is being applied."""


class PlanWatch:
    """Looks whether the environment still has the plan that a run was planned with.

    Args:
        context: A SQLMesh Context.
        settings: What the run asks for.
        assessment: Its environment is replaced after a new plan; a node's work is changed before
            the node is built, on the thread that is going to build it.
    """

    def __init__(self, context: Any, settings: SqlmeshSettings, assessment: Assessment) -> None:
        self._context = context
        self._settings = settings
        self._assessment = assessment
        self._reasons: Mapping[str, str] = {}  # reference -> why it is not built any more
        self._to_renew: set[str] = set()  # references whose work is of an older plan
        self._lock = threading.Lock()

    def why_not(self, reference: str, is_cancelled: Callable[[], bool]) -> str:
        """Why a node is not to be built any more; empty if it is.

        Args:
            reference: Its fully qualified name.
            is_cancelled: Whether to stop waiting for a plan that is being applied.
        """
        name = self._settings.environment
        with self._lock:
            plan_id = self._plan_id()
            if plan_id is None:
                return f"environment {name} is not there any more"
            known = self._assessment.environment.value.plan_id
            if plan_id != known and not self._take_over(is_cancelled):
                return f"plan {plan_id} of environment {name} is being applied"
            if reason := self._reasons.get(reference):
                return reason
            if reference in self._to_renew:
                self._to_renew.discard(reference)
                self._renew(reference)
            return ""

    def _plan_id(self) -> str | None:
        """The environment's plan now; None if there is no such environment any more."""
        summaries = self._context.state_sync.get_environments_summary()
        name = self._settings.environment
        return next((str(s.plan_id) for s in summaries if s.name == name), None)

    def _take_over(self, is_cancelled: Callable[[], bool]) -> bool:
        """Wait for the end of the new plan, then go on with what it has made of the environment;
        False: it does not end."""
        until = monotonic() + self._settings.plan_timeout
        while True:
            record = self._context.state_sync.get_environment(self._settings.environment)
            if record is not None and record.finalized_ts:
                break
            if is_cancelled() or monotonic() > until:
                return False
            threading.Event().wait(_POLL)
        assessment, works = self._assessment, self._assessment.work
        names = {s.name for s in assessment.evaluation.scheduler.snapshots.values()}
        _compat.forget_snapshots(self._context.state_sync)
        evaluation = read_snapshots(self._context, record, names, self._settings)
        assessment.environment.replace(PlannedEnvironment.of(record, evaluation))
        changed = versions_changed(
            {reference: work.snapshot.version for reference, work in works.items()},
            {info.name: info.version for info in record.snapshots},
        )
        self._reasons = {**self._reasons} | {
            reference: f"environment {self._settings.environment} has a new plan "
            f"({record.plan_id}), in which this model {what}: run again"
            for reference, what in changed.items()
        }
        self._to_renew = works.keys() - changed.keys()
        return True

    def _renew(self, reference: str) -> None:
        """Go on with the new snapshot; batches that somebody has built meanwhile are done."""
        work, evaluation = self._assessment.work[reference], self._assessment.evaluation
        if work.snapshot.is_seed:  # it carries its rows, which the state does not have
            return
        known = {*work.snapshot.intervals, *work.snapshot.dev_intervals}
        work.snapshot = evaluation.by_name[reference]
        work.recorded |= batches_built(work, known, evaluation.intervals_of(work.snapshot))


def versions_changed(built: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """What has become of nodes in an environment, in words; those whose version it has are left
    out.

    Args:
        built: The versions that a run is about to build, by reference.
        environment: The versions that the environment has.
    """
    return {
        reference: "has another version" if reference in environment else "is not in it any more"
        for reference, version in built.items()
        if environment.get(reference) != version
    }


def batches_built(
    work: Work, known: Collection[Interval], recorded: Sequence[Interval]
) -> set[int]:
    """Numbers of the batches that others have built.

    Args:
        work: With the batches.
        known: The intervals that were recorded when the batches were made.
        recorded: Those that are recorded now.
    """
    new = [interval for interval in merged(recorded) if interval not in known]
    return {
        index
        for index, (start, end) in enumerate(work.batches)
        if any(first <= start and end <= last for first, last in new)
    }
