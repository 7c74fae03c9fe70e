"""The third way of a run: it carries out a plan.

Stages before the backfill come before the first node; the backfill's nodes are ordinary units of
the walk; the stages after it are the promotion, a unit of its own that waits for all of them. So a
backfill that fails promotes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlmesh.core.plan import stages
from sqlmesh.core.snapshot import snapshots_to_dag
from sqlmesh.utils import to_snake_case

from dagster_transform.graph import UnitId
from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.intervals import Interval, minus, parts_outside
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from dagster_transform.sqlmesh.runs.hooks import Hooks
from dagster_transform.sqlmesh.runs.physical_tables import look_for_tables
from dagster_transform.sqlmesh.runs.resource_keys import environment_key
from dagster_transform.sqlmesh.runs.staged_plan import StagedPlan, read_recorded
from dagster_transform.sqlmesh.runs.way_of_run import take_out_what_others_built
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.assessment import Assessment
from dagster_transform.sqlmesh.state.current_environment import (
    CurrentEnvironment,
    PlannedEnvironment,
)
from dagster_transform.sqlmesh.state.environment import is_only_judged
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.holes import within_reach
from dagster_transform.sqlmesh.state.work import Work


class PlanningRun:
    """Carries out a plan; see `way_of_run.WayOfRun`. Making one finds out which tables are there.

    Args:
        context: A SQLMesh Context, with the files loaded.
        settings: What the run asks for.
        staged: The plan.
        selected: Fully qualified names of the nodes that the run selects.

    Attributes:
        assessment: What the plan will do with each selected node.
        plans: It does.
    """

    plans = True

    def __init__(
        self,
        context: Any,
        settings: SqlmeshSettings,
        staged: StagedPlan,
        selected: Iterable[str],
    ) -> None:
        self._context = context
        self._settings = settings
        self._staged = staged
        self._evaluator = _compat.plan_evaluator(context)
        evaluation = _evaluation(context, settings, staged, self._evaluator.snapshot_evaluator)
        batches = _batches(staged, evaluation)
        to_make = _tables_to_make(staged, evaluation)
        self.assessment = _assess(
            staged,
            evaluation,
            selected,
            environment=settings.environment,
            by_name=batches,
            to_make=to_make,
        )
        # The walk makes the tables of what it builds, each under its claim.
        apart = {s.name for s in staged.stages.made_apart()} & to_make
        self._apart: Mapping[str, bool] = {
            **staged.stages.touched(),
            **dict.fromkeys(apart - self.assessment.work.keys(), True),
        }
        self._hooks = Hooks(context, settings, self.assessment.environment)
        self._began_hooks = False
        self._between_done = False
        self._promoted = False

    def begin(self, building: Collection[str], backends: ProjectBackends) -> None:
        """Carry out the stages before the backfill: before_all, snapshot records and schemas."""
        backends.plans(environment_key(self._context, self._settings.environment))
        take_out_what_others_built(self, building)
        hooks = self._settings.hooks
        self._began_hooks = not hooks.begun
        for stage in self._staged.stages.before:
            if not (isinstance(stage, stages.BeforeAllStage) and hooks.begun):
                self._visit(stage)
        hooks.begun = True

    def why_not(self, _: str, __: Callable[[], bool]) -> str:
        """Nobody else can plan meanwhile."""
        return ""

    def read_again(self, works: Mapping[str, Work]) -> Mapping[str, Sequence[Interval]]:
        """Other environments may share a version, and with it the table and its intervals."""
        evaluation = self.assessment.evaluation
        works = {reference: work for reference, work in works.items() if work.batches}
        now = read_recorded(self._context, [w.snapshot for w in works.values()], self._settings)
        found: dict[str, Sequence[Interval]] = {}
        for reference, work in works.items():
            had = evaluation.intervals_of(self._staged.recorded[reference])
            if not (new := minus(evaluation.intervals_of(now[reference]), had)):
                continue
            # SQLMesh empties a table before the first insert of a version without intervals.
            development = not evaluation.deployability.is_representative(work.snapshot)
            for start, end in new:
                work.snapshot.add_interval(start, end, is_dev=development)
            found[reference] = parts_outside(work.batches, new)
        return found

    def promotion_tables(self, unit: UnitId) -> Mapping[str, bool]:
        """They are those of the first unit that is no build."""
        return self._apart if unit == (self._staged.step or self._staged.promotion) else {}

    def promote(self, unit: UnitId) -> None:
        """Carry out the stages between the backfills, or those after them."""
        if unit == self._staged.step:
            self._between_backfills()
            # It may have made some.
            look_for_tables(self.assessment.work.values(), self.assessment.evaluation)
        else:
            self._after_backfill()

    def end(self) -> None:
        """Carry out after_all, where readers see the result of a plan of the run: as in SQLMesh,
        none follows a plan that fails."""
        if not self._promoted and self._began_hooks:
            self._settings.hooks.ended = True
        self._hooks.after_all()

    def _between_backfills(self) -> None:
        """Tables that the walk does not make, audits that are new, the environment's record and
        changes of tables, which forward-only changes wait for."""
        for stage in self._staged.stages.between:
            if not isinstance(stage, stages.AfterAllStage):
                self._visit(stage)
        self._between_done = True

    def _after_backfill(self) -> None:
        """The environment's record and its views. Readers see the result."""
        if not self._between_done:
            self._between_backfills()
        for stage in self._staged.stages.after:
            if not isinstance(stage, stages.AfterAllStage):  # the last act of the run
                self._visit(stage)
        self._promoted = True
        self._staged.marker.write(self._staged.plan_id)

    def _visit(self, stage: Any) -> None:
        visit = getattr(self._evaluator, f"visit_{to_snake_case(type(stage).__name__)}")
        visit(stage, self._staged.plan)


def _evaluation(
    context: Any, settings: SqlmeshSettings, staged: StagedPlan, evaluator: Any
) -> Evaluation:
    """What evaluating the plan's nodes takes."""
    plan = staged.plan
    return Evaluation(
        scheduler=context.create_scheduler(staged.stages.snapshots.values(), evaluator),
        deployability=staged.stages.deployability,
        naming=plan.environment.naming_info,
        execution_time=settings.execution_time,
        evaluate_kwargs={
            "allow_destructive_snapshots": plan.allow_destructive_models,
            "allow_additive_snapshots": plan.allow_additive_models,
            "selected_models": plan.selected_models,
        },
    )


def _assess(
    staged: StagedPlan,
    evaluation: Evaluation,
    selected: Iterable[str],
    *,
    environment: str,
    by_name: Mapping[str, list[Interval]],
    to_make: Collection[str],
) -> Assessment:
    """What the plan will do with each selected node.

    Args:
        staged: The plan.
        evaluation: What the plan's nodes share.
        selected: Fully qualified names.
        environment: The environment's name.
        by_name: What is built, by fully qualified name.
        to_make: Those whose tables are not there.
    """
    found = staged.stages
    readiness: dict[str, Readiness] = {}
    works: dict[str, Work] = {}
    for reference in selected:
        snapshot, batches = found.snapshots.get(reference), by_name.get(reference, [])
        if snapshot is None:
            readiness[reference] = Readiness(
                Outcome.NOT_PROMOTED,
                f"an upstream is not in environment {environment}: select it too",
            )
        elif batches or (reference in to_make and staged.plan.is_selected_for_backfill(reference)):
            works[reference] = Work(snapshot, batches)
            step = staged.step if reference in found.second_backfill else None
            readiness[reference] = Readiness(promotion=staged.promotion, step=step)
        else:
            shown = snapshot.version != staged.versions.get(reference)
            readiness[reference] = Readiness(
                Outcome.UP_TO_DATE,
                "its table was built before" if shown else "the plan builds nothing for it",
                promotion=staged.promotion,
                shown=shown,
            )
    planned = PlannedEnvironment("", tuple(found.snapshots.values()), evaluation)
    lacks = {s.name: list(i) for s, i in found.intervals.items() if is_only_judged(s)}
    return Assessment(readiness, works, CurrentEnvironment(planned), lacks)


def _batches(staged: StagedPlan, evaluation: Evaluation) -> Mapping[str, list[Interval]]:
    """What the plan's backfills build, by fully qualified name."""
    batches = evaluation.scheduler.batch_intervals(
        staged.stages.intervals,
        evaluation.deployability,
        evaluation.naming,
        dag=snapshots_to_dag(evaluation.scheduler.snapshots.values()),
    )
    return within_reach(evaluation, batches)


def _tables_to_make(staged: StagedPlan, evaluation: Evaluation) -> frozenset[str]:
    """Names of the models whose tables are not there, of what the plan makes or builds."""
    apart = {s.name for s in staged.stages.made_apart()}
    found = [
        s
        for s in staged.stages.snapshots.values()
        if s.name in apart or staged.plan.is_selected_for_backfill(s.name)
    ]
    made = evaluation.evaluator.get_snapshots_to_create(found, evaluation.deployability)
    return frozenset(snapshot.name for snapshot in made)
