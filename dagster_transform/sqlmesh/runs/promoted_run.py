"""The first way of a run: it builds what its environment has, as the last plan promoted it.

Snapshots come from the state, and no model files are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from dagster_transform.graph import UnitId
from dagster_transform.sqlmesh.intervals import Interval, merged, minus, parts_within
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from dagster_transform.sqlmesh.runs.hooks import Hooks
from dagster_transform.sqlmesh.runs.plan_watch import PlanWatch
from dagster_transform.sqlmesh.runs.way_of_run import take_out_what_others_built
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.assessment import Assessment
from dagster_transform.sqlmesh.state.built_at import built_at
from dagster_transform.sqlmesh.state.due_intervals import due_intervals
from dagster_transform.sqlmesh.state.environment import read_intervals
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.ready_batches import ready_batches
from dagster_transform.sqlmesh.state.work import Work


class PromotedRun:
    """Builds what is missing or due in an environment; see `way_of_run.WayOfRun`.

    Args:
        context: A SQLMesh Context.
        settings: What the run asks for.
        assessment: What there is to do.

    Attributes:
        assessment: As given.
        plans: It does not.
    """

    plans = False

    def __init__(self, context: Any, settings: SqlmeshSettings, assessment: Assessment) -> None:
        self.assessment = assessment
        self._context = context
        self._settings = settings
        self._watch = PlanWatch(context, settings, assessment)
        self._hooks = Hooks(context, settings, assessment.environment)

    def begin(self, building: Collection[str], _: ProjectBackends) -> None:
        """Carry out before_all, where something is due."""
        if self.assessment.is_due:
            self._hooks.before_all()
        if building:
            take_out_what_others_built(self, building)

    def why_not(self, reference: str, is_cancelled: Callable[[], bool]) -> str:
        """It depends on what somebody else has planned meanwhile."""
        return self._watch.why_not(reference, is_cancelled)

    def read_again(self, works: Mapping[str, Work]) -> Mapping[str, Sequence[Interval]]:
        """Read the state again into the snapshots of the work, and ask what is due now."""
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
        """Carry out after_all, where it is due. As in SQLMesh, signals that hold back all that is
        due hold back no hooks: nothing has begun then, so before_all comes here."""
        if self.assessment.is_due:
            self._hooks.before_all()
        self._hooks.after_all()


def read_intervals_again(
    context: Any, settings: SqlmeshSettings, evaluation: Evaluation, works: Mapping[str, Work]
) -> Mapping[str, Sequence[Interval]]:
    """What is still to be built of nodes of which others have built something; see `WayOfRun`.

    Args:
        context: A SQLMesh Context.
        settings: What the run asks for.
        evaluation: What the run's nodes share.
        works: The nodes' work, whose snapshots get the intervals that the state has now.
    """
    works = {r: w for r, w in works.items() if not _is_rebuilt_seed(w) and w.error is None}
    before = {r: _built(work, evaluation) for r, work in works.items()}
    snapshots = [work.snapshot for work in works.values()]
    read_intervals(context.state_sync, snapshots, development=settings.is_development)
    changed = {r: work for r, work in works.items() if _built(work, evaluation) != before[r]}
    if not changed:
        return {}
    due = due_intervals(evaluation, changed, ignore_cron=settings.ignore_cron)
    ready = ready_batches(evaluation, due)
    for reference, error in ready.errors.items():
        changed.pop(reference).error = error
    # A rebuild has nothing that is due either: where it has changed, it was rebuilt meanwhile.
    left = {r: parts_within(ready.batches.get(r, []), work.batches) for r, work in changed.items()}
    # What was recorded meanwhile may be due again as the lookback of what this run leaves out.
    return {
        r: parts if minus(parts, evaluation.intervals_of(works[r].snapshot)) else []
        for r, parts in left.items()
    }


def _is_rebuilt_seed(work: Work) -> bool:
    """Its snapshot is a copy which has no intervals on purpose."""
    return bool(work.snapshot.is_seed and not work.snapshot.intervals)


def _built(work: Work, evaluation: Evaluation) -> tuple[Any, ...]:
    """What the snapshot of a node says of what was built, and when."""
    snapshot = work.snapshot
    return merged(evaluation.intervals_of(snapshot)), built_at(snapshot, evaluation)
