"""The third way of a run: it carries out a plan.

Stages before the backfill come before the first node; the backfill's nodes are ordinary units of
the walk; the stages after it are the promotion, a unit of its own that waits for all of them. So a
backfill that fails promotes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlmesh.core.plan import stages
from sqlmesh.core.snapshot import snapshots_to_dag
from sqlmesh.utils import to_snake_case

from dagster_transform.graph import UnitId
from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.connections import missing_files
from dagster_transform.sqlmesh.intervals import Interval, in_words, minus, parts_outside
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from dagster_transform.sqlmesh.runs.hooks import Hooks
from dagster_transform.sqlmesh.runs.physical_tables import look_for_tables, make_table
from dagster_transform.sqlmesh.runs.resource_keys import connections_of, environment_key
from dagster_transform.sqlmesh.runs.staged_plan import StagedPlan, read_recorded
from dagster_transform.sqlmesh.runs.way_of_run import take_out_what_others_built
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.assessment import Assessment
from dagster_transform.sqlmesh.state.built_at import built_at
from dagster_transform.sqlmesh.state.current_environment import (
    CurrentEnvironment,
    PlannedEnvironment,
)
from dagster_transform.sqlmesh.state.environment import is_only_judged
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.holes import BUILT_IN_PRODUCTION, Allotment, allot, why_empty
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
        self.assessment = _assess(staged, evaluation, selected, settings)
        # The walk makes the tables of what it builds, each under its claim; those of which it
        # builds nothing are made before what reads them, or else with the promotion.
        nowhere = bool(missing_files(connections_of(context, evaluation)))
        to_make = _tables_to_make(staged, evaluation, nowhere=nowhere)
        to_make -= self.assessment.work.keys()
        self._empty = _EmptyTables(
            evaluation, to_make - {s.name for s in staged.stages.made_apart()}
        )
        for reference, work in self.assessment.work.items():
            if read := self._empty.read_by(reference):
                work.prepare = partial(self._empty.make, read)
        self._apart: Mapping[str, bool] = {
            **staged.stages.touched(),
            **dict.fromkeys(to_make, True),
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
        second = self._staged.stages.second_backfill
        self._empty.make(self._empty.names - second)
        for stage in self._staged.stages.between:
            if not isinstance(stage, stages.AfterAllStage):
                self._visit(stage)
        self._empty.make(second)  # they may read columns that are there only now
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


class _EmptyTables:
    """The tables of models of which nothing can be built yet: their views lead to them, and what
    needs none of their rows may read them. From any thread.

    Args:
        evaluation: What the plan's nodes share.
        names: Of the models, fully qualified.

    Attributes:
        names: Those whose tables have not been made yet.
    """

    def __init__(self, evaluation: Evaluation, names: Collection[str]) -> None:
        self.names = frozenset(names)
        self._evaluation = evaluation
        self._lock = threading.Lock()

    def read_by(self, name: str) -> frozenset[str]:
        """Those that a model reads, and those that these read."""
        found: set[str] = set()
        stack = [name]
        while stack and self.names:
            parents = {p.name for p in self._evaluation.by_name[stack.pop()].parents}
            stack.extend(parents & self.names - found)
            found |= parents & self.names
        return frozenset(found)

    def make(self, names: Collection[str]) -> None:
        """Make those of them that are not there yet, what is read first."""
        with self._lock:
            wanted = self.names.intersection(names)
            if not wanted:
                return
            for snapshot_id in snapshots_to_dag(self._evaluation.by_name.values()):
                if snapshot_id.name in wanted:
                    make_table(self._evaluation, self._evaluation.by_name[snapshot_id.name])
            self.names -= wanted


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
    settings: SqlmeshSettings,
) -> Assessment:
    """What the plan will do with each selected node.

    Args:
        staged: The plan.
        evaluation: What the plan's nodes share.
        selected: Fully qualified names.
        settings: What the run asks for.
    """
    found = staged.stages
    readiness: dict[str, Readiness] = {}
    works: dict[str, Work] = {}
    allotment = _allot(staged, evaluation, settings.called)
    for reference in selected:
        snapshot = found.snapshots.get(reference)
        if snapshot is None:
            readiness[reference] = Readiness(
                Outcome.NOT_PROMOTED,
                f"an upstream is not in environment {settings.environment}: select it too",
            )
        elif error := allotment.errors.get(reference):
            works[reference] = Work(snapshot, [], error=error)
            step = staged.step if reference in found.second_backfill else None
            readiness[reference] = Readiness(promotion=staged.promotion, step=step)
        elif batches := allotment.build.get(reference):
            works[reference] = Work(snapshot, batches)
            step = staged.step if reference in found.second_backfill else None
            readiness[reference] = Readiness(promotion=staged.promotion, step=step)
        else:
            held = allotment.held.get(reference, "")
            readiness[reference] = _why_not(staged, evaluation, snapshot, held)
    planned = PlannedEnvironment("", tuple(found.snapshots.values()), evaluation)
    lacks = {s.name: list(i) for s, i in found.intervals.items() if is_only_judged(s)}
    return Assessment(readiness, works, CurrentEnvironment(planned), lacks)


def _why_not(staged: StagedPlan, evaluation: Evaluation, snapshot: Any, held: str) -> Readiness:
    """Why the plan builds nothing of a node, which it promotes nevertheless.

    Args:
        staged: The plan.
        evaluation: What the plan's nodes share.
        snapshot: The node's.
        held: Why what it lacks can't be built now; empty: it lacks nothing.
    """
    promotion, empty = staged.promotion, why_empty(snapshot, evaluation)
    if empty:
        return Readiness(Outcome.WAITING, held or empty, promotion=promotion)
    stamp = built_at(snapshot, evaluation)  # a run that was killed may not have told it
    if snapshot.version != staged.versions.get(snapshot.name):
        reason = "its table was built before"
        return Readiness(
            Outcome.UP_TO_DATE, reason, promotion=promotion, shown=True, built_at=stamp
        )
    if held:
        return Readiness(Outcome.WAITING, held, promotion=promotion, built_at=stamp)
    reason = "the plan builds nothing for it"
    return Readiness(Outcome.UP_TO_DATE, reason, promotion=promotion, built_at=stamp)


def _allot(staged: StagedPlan, evaluation: Evaluation, called: Callable[[str], str]) -> Allotment:
    """What the plan's backfills build, and what has to wait."""
    intervals = staged.stages.intervals
    others = {s: i for s, i in intervals.items() if evaluation.is_productions(s)}
    wanted = {s: i for s, i in intervals.items() if s not in others}
    allotment = allot(evaluation, wanted, others, called)
    for snapshot, lacks in others.items():
        allotment.held[snapshot.name] = f"it lacks {in_words(lacks)}: {BUILT_IN_PRODUCTION}"
    return allotment


def _tables_to_make(staged: StagedPlan, evaluation: Evaluation, *, nowhere: bool) -> frozenset[str]:
    """Names of the models whose tables are not there, of what the plan makes or builds.

    Args:
        staged: The plan.
        evaluation: What the plan's nodes share.
        nowhere: Whether there is no database yet; looking for tables would make one.
    """
    apart = {s.name for s in staged.stages.made_apart()}
    found = [
        s
        for s in staged.stages.snapshots.values()
        if s.name in apart
        or (staged.plan.is_selected_for_backfill(s.name) and not evaluation.is_productions(s))
    ]
    if nowhere:
        return frozenset(s.name for s in found if s.is_model and not s.is_symbolic)
    made = evaluation.evaluator.get_snapshots_to_create(found, evaluation.deployability)
    return frozenset(snapshot.name for snapshot in made)
