"""The second way of a run: it restates, that is, builds a time anew that is recorded as built.

The intervals are removed from the state before the first node is built: a run that is killed leaves
a gap that everybody sees and the next run fills.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlmesh.core.plan.common import identify_restatement_intervals_across_snapshot_versions

from dagster_transform.graph import UnitId
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from dagster_transform.sqlmesh.runs.hooks import Hooks
from dagster_transform.sqlmesh.runs.plan_watch import PlanWatch
from dagster_transform.sqlmesh.runs.promoted_run import read_intervals_again
from dagster_transform.sqlmesh.runs.restatement import PlannedRestatement
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.work import Work


class RestatingRun:
    """Builds anew what an environment has; see `way_of_run.WayOfRun`.

    Args:
        context: A SQLMesh Context.
        settings: What the run asks for.
        restatement: What there is to do.

    Attributes:
        assessment: That of the restatement.
        plans: It does not.
    """

    plans = False

    def __init__(
        self, context: Any, settings: SqlmeshSettings, restatement: PlannedRestatement
    ) -> None:
        self.assessment = restatement.assessment
        self._context = context
        self._settings = settings
        self._restatement = restatement
        self._watch = PlanWatch(context, settings, self.assessment)
        self._hooks = Hooks(context, settings, self.assessment.environment)

    def begin(self, building: Collection[str], _: ProjectBackends) -> None:
        """Carry out before_all, and remove what is built anew from the state, for the nodes that
        the run will build."""
        if not building:
            return
        self._hooks.before_all()
        evaluation, state = self.assessment.evaluation, self._context.state_sync
        intervals = self._restatement.intervals
        mine = [intervals[name] for name in building if name in intervals]
        own = [(s, interval) for s, interval in mine if evaluation.is_deployable(s)]
        if own:
            state.remove_intervals(own, remove_shared_versions=True)
        partial = [(s, interval) for s, interval in mine if not evaluation.is_deployable(s)]
        if partial:
            _compat.remove_development_intervals(state, partial)
        self._clear_elsewhere(building)

    def why_not(self, reference: str, is_cancelled: Callable[[], bool]) -> str:
        """It depends on what somebody else has planned meanwhile."""
        return self._watch.why_not(reference, is_cancelled)

    def read_again(self, works: Mapping[str, Work]) -> Mapping[str, Sequence[Interval]]:
        """Read the state again into the snapshots of the work, and ask what is due now: what was
        removed and what nobody else has built anew."""
        return read_intervals_again(
            self._context, self._settings, self.assessment.evaluation, works
        )

    def promotion_tables(self, _: UnitId) -> Mapping[str, bool]:
        """It promotes nothing."""
        return {}

    def promote(self, unit: UnitId) -> None:
        """It promotes nothing."""
        raise RuntimeError(f"a promotion without a plan: {unit}")

    def end(self) -> None:
        """Clear what other environments have made meanwhile of what was built, and carry out
        after_all, where it is due."""
        self._clear_elsewhere([n for n, work in self.assessment.work.items() if work.recorded])
        self._hooks.after_all()

    def _clear_elsewhere(self, references: Collection[str]) -> None:
        """Have other environments build anew what they have of it, as SQLMesh does.

        Before the first node is built, so that it is not lost with a run that is killed; and after
        the last one, for what has been made meanwhile.
        """
        if self._settings.is_development:
            return
        intervals, snapshots = self._restatement.intervals, self._restatement.snapshots.values()
        requests = identify_restatement_intervals_across_snapshot_versions(
            state_reader=self._context.state_sync,
            prod_restatements={
                name: interval for name, (_, interval) in intervals.items() if name in references
            },
            disable_restatement_models={s.name for s in snapshots if s.disable_restatement},
            loaded_snapshots={s.snapshot_id: s for s in snapshots},
            current_ts=self.assessment.evaluation.execution_time,
        )
        if requests:
            self._context.state_sync.remove_intervals(
                [(r.snapshot, r.interval) for r in requests.values()], remove_shared_versions=True
            )
