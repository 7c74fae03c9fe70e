"""A plan that a run applies: its stages carried out here, its backfill carried out by the walk.

SQLMesh gives the stages as a list. Those before the backfill run when the session opens; the
backfill's nodes are ordinary units of the walk; those after it are the promotion, a unit of its
own that waits for all of them. So a backfill that fails promotes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Any

from sqlmesh.core.plan import stages
from sqlmesh.core.snapshot import DeployabilityIndex, snapshots_to_dag
from sqlmesh.utils import to_snake_case

from dagster_transform.config import SqlmeshProject
from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.errors import PlanRefusedError
from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.project import open_context
from dagster_transform.sqlmesh.runs.marker import Marker
from dagster_transform.sqlmesh.settings import Setting, SqlmeshSettings, Work
from dagster_transform.sqlmesh.state.environment import Assessment, deployability_of
from dagster_transform.sqlmesh.state.guard import within_reach


def make_plan(
    name: str,
    project: SqlmeshProject,
    settings: SqlmeshSettings,
    selected: Mapping[str, str],
    *,
    whole: bool,
    opened: Any,
) -> tuple[Any, PlanInProgress | None]:
    """Plan the selected nodes where the files differ from the environment.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        settings: What the run asks for.
        selected: Node ids by fully qualified name.
        whole: Whether these are all the nodes of the project.
        opened: A Context whose files were not loaded; it is given back or closed.

    Returns:
        The Context, with its files loaded unless the marker said that nothing has changed (then
        None), and the plan, or None where there is nothing to plan.

    Raises:
        PlanRefusedError: The plan would build or change what is not selected, or needs a decision.
    """
    marker = Marker(settings, selected)
    if marker.files_are_unchanged():
        record = opened.state_sync.get_environment(settings.environment)
        if record is not None and record.finalized_ts and marker.plan_id == record.plan_id:
            _compat.load_materializations(opened)
            return opened, None
    _compat.close_connections(opened)
    context = open_context(name, project, settings.paths, load=True)
    try:
        return context, _plan(name, context, settings, selected, marker=marker, whole=whole)
    except BaseException:
        _compat.close_connections(context)  # nobody else knows of it yet
        raise


def _plan(
    name: str,
    context: Any,
    settings: SqlmeshSettings,
    selected: Mapping[str, str],
    *,
    marker: Marker,
    whole: bool,
) -> PlanInProgress | None:
    record = context.state_sync.get_environment(settings.environment)
    names = _plannable(context, record, selected)
    if not names:
        return None
    builder = context.plan_builder(
        settings.environment,
        skip_tests=True,
        run=True,
        execution_time=settings.execution_time,
        include_unmodified=True,  # a new development environment has the unchanged nodes too
        select_models=None if whole and selected.keys() <= names.keys() else sorted(names.values()),
    )
    begin_previews(builder, settings)
    plan = builder.build()
    # An environment that a failed plan has left unfinalized counts as changed.
    if record is not None and not plan.has_changes and not plan.has_unmodified_unpromoted:
        marker.write(record.plan_id)
        return None
    versions = {info.name: info.version for info in record.snapshots} if record else {}
    in_progress = PlanInProgress(name, context, plan, settings, marker=marker, versions=versions)
    in_progress.refuse_what_is_not_selected(selected, plan)
    return in_progress


def begin_previews(builder: Any, settings: SqlmeshSettings) -> None:
    """Previews of forward-only changes begin the day before the plan's own moment (SQLMesh takes
    that day from the clock).

    Args:
        builder: A SQLMesh PlanBuilder that was not given a start.
        settings: What the run asks for.
    """
    if builder.start is not None:
        builder.set_start(f"{settings.now.astimezone(timezone.utc) - timedelta(days=1):%Y-%m-%d}")


def _plannable(context: Any, record: Any | None, selected: Mapping[str, str]) -> dict[str, str]:
    """What to name in the plan: selected models whose upstreams are there or selected too.

    External and embedded models that these read belong to the selection: without them SQLMesh
    would give the readers other fingerprints than a plan of everything does.

    Returns:
        Name by fully qualified name.
    """
    there = {info.name for info in record.snapshots} if record is not None else set()
    names: dict[str, str] = {}
    for fqn in context.dag.sorted:
        model = context.models.get(fqn)
        if model is None or fqn not in selected:
            continue
        upstream, passed = _look_through(context, model)
        if all(f in there or f in names for f in upstream):
            names[fqn] = model.name
            names.update(passed)
    return names


def _look_through(context: Any, model: Any) -> tuple[set[str], dict[str, str]]:
    """The models that build what `model` reads; and the symbolic ones on the way, with names."""
    upstream: set[str] = set()
    passed: dict[str, str] = {}
    stack = list(model.depends_on)
    while stack:
        fqn = stack.pop()
        parent = context.models.get(fqn)
        if parent is None or fqn in passed:
            continue
        if parent.kind.is_symbolic:
            passed[fqn] = parent.name
            stack.extend(parent.depends_on)
        else:
            upstream.add(fqn)
    return upstream, passed


class PlanInProgress:
    """A plan between its making and its promotion.

    Args:
        name: The project's name in transform.yaml.
        context: Its Context, with the files loaded.
        plan: SQLMesh's plan.
        settings: What the run asks for.
        marker: Told when the plan has promoted.
        versions: What the environment has now: version by fully qualified name.

    Attributes:
        promotion: The id of the unit that promotes it.
        step: The id of the unit between two backfills, if there are two: SQLMesh builds
            forward-only changes after the environment's record.
        promoted: Whether readers see the result.
    """

    def __init__(
        self,
        name: str,
        context: Any,
        plan: Any,
        settings: SqlmeshSettings,
        *,
        marker: Marker,
        versions: Mapping[str, str],
    ) -> None:
        self.promotion = f"{name}:promotion of {settings.environment}"
        self._name = name
        self._context = context
        self._settings = settings
        self._marker = marker
        self._versions = versions
        if plan.uncategorized:
            raise PlanRefusedError(
                f"Project {name}: the plan has changes that SQLMesh can't categorise by itself: "
                + ", ".join(sorted(s.name for s in plan.uncategorized)),
                remedy=f"Decide once: sqlmesh -p {context.path} plan {settings.environment}",
            )
        self._plan = plan.to_evaluatable()
        plan_stages = stages.build_plan_stages(
            self._plan, context.state_sync, context.default_catalog
        )
        self._phases = _Phases.of(plan_stages, self._plan, plan.snapshots.values())
        self.step = f"{name}:record of {settings.environment}" if self._phases.late else None
        self._between_done = False
        self.promoted = False
        self._evaluator = _compat.plan_evaluator(context)

    @property
    def plan_id(self) -> str:
        """What SQLMesh calls this plan."""
        return str(self._plan.plan_id)

    @property
    def backfill(self) -> Mapping[Any, list[Interval]]:
        """What all backfills build, by snapshot."""
        return self._phases.intervals

    def refuse_what_is_not_selected(self, selected: Collection[str], plan: Any) -> None:
        """A run builds what was selected, and nothing else.

        SQLMesh would promote new versions of unselected models that read what has changed without
        building them: their views would lead to tables that are empty, or not there.

        Raises:
            PlanRefusedError: The plan also changes other models.
        """
        backfilled = {s.name for s in self._phases.intervals}
        extra = sorted(
            s.model.name
            for s in plan.snapshots.values()
            if s.is_model
            and not s.is_symbolic
            and s.name not in selected
            and (s.name in backfilled or s.version != self._versions.get(s.name, s.version))
        )
        if extra:
            raise PlanRefusedError(
                f"Project {self._name}: the plan of what is selected also rebuilds "
                f"{', '.join(extra)}, because they read it.",
                remedy="Select them too (everything downstream), so that the run may build them.",
            )

    def assess(self, selected: Mapping[str, str]) -> Assessment:
        """What the plan will do with each selected node (ids by fully qualified name)."""
        phases = self._phases
        scheduler = self._context.create_scheduler(
            phases.snapshots.values(), self._evaluator.snapshot_evaluator
        )
        dag = snapshots_to_dag(scheduler.snapshots.values())
        naming = self._plan.environment.naming_info
        batches = scheduler.batch_intervals(phases.intervals, phases.deployability, naming, dag=dag)
        setting = Setting(
            scheduler=scheduler,
            deployability=phases.deployability,
            naming=naming,
            execution_time=self._settings.execution_time,
            plan={
                "allow_destructive_snapshots": self._plan.allow_destructive_models,
                "allow_additive_snapshots": self._plan.allow_additive_models,
                "selected_models": self._plan.selected_models,
            },
        )
        assessment = Assessment({}, {}, setting, infos=list(phases.snapshots.values()))
        assessment.lacks = {s.name: list(i) for s, i in phases.intervals.items() if s.is_audit}
        by_name = within_reach(setting, batches)
        for reference in selected:
            snapshot = phases.snapshots.get(reference)
            if snapshot is None:
                assessment.readiness[reference] = Readiness(
                    Outcome.NOT_PROMOTED,
                    f"an upstream is not in environment {self._settings.environment}: "
                    "select it too",
                )
            elif by_name.get(reference) or self._is_to_make(snapshot):
                assessment.work[reference] = Work(snapshot, by_name.get(reference, []))
                assessment.readiness[reference] = Readiness(
                    promotion=self.promotion, step=self.step if reference in phases.late else None
                )
            else:
                shown = snapshot.version != self._versions.get(reference)
                reason = "its table was built before" if shown else "the plan builds nothing for it"
                assessment.readiness[reference] = Readiness(
                    Outcome.UP_TO_DATE, reason, promotion=self.promotion, shown=shown
                )
        return assessment

    def before_backfill(self) -> None:
        """The stages before the backfill: snapshot records, schemas, tables."""
        turn = self._settings.turn
        for stage in self._phases.before:
            if not (isinstance(stage, stages.BeforeAllStage) and turn.begun):
                self._visit(stage)
        turn.begun = True

    def between_backfills(self) -> None:
        """The environment's record and changes of tables, which forward-only changes wait for."""
        for stage in self._phases.between:
            if not isinstance(stage, stages.AfterAllStage):
                self._visit(stage)
        self._between_done = True

    def after_backfill(self) -> None:
        """The stages after it: the environment's record and its views. Readers see the result."""
        if not self._between_done:
            self.between_backfills()
        for stage in self._phases.after:
            if not isinstance(stage, stages.AfterAllStage):  # the last act of the run
                self._visit(stage)
        self.promoted = True
        self._marker.write(self._plan.plan_id)

    def _visit(self, stage: Any) -> None:
        getattr(self._evaluator, f"visit_{to_snake_case(type(stage).__name__)}")(stage, self._plan)

    def _is_to_make(self, snapshot: Any) -> bool:
        """Whether its table has to be made although the plan has no data for it."""
        chosen = self._plan.is_selected_for_backfill(snapshot.name)
        if not chosen or not snapshot.is_model or snapshot.is_symbolic:
            return False
        evaluator = self._evaluator.snapshot_evaluator
        return bool(evaluator.get_snapshots_to_create([snapshot], self._phases.deployability))


@dataclass(frozen=True)
class _Phases:
    """A plan's stages, in the order in which a run carries them out.

    SQLMesh has up to two backfills: one before the environment's record, and one after it, for
    forward-only changes in production. It leaves out a backfill with nothing to do.

    Attributes:
        before: Stages before the first backfill.
        between: Stages between it and the second one; the last ones but `after` if there is none.
        after: The stages after the second one; empty if there is none.
        intervals: What all backfills build.
        late: Names of the models that the second backfill builds.
        snapshots: All snapshots of the plan, by name.
        deployability: SQLMesh's DeployabilityIndex.
    """

    before: list[Any]
    between: list[Any]
    after: list[Any]
    intervals: dict[Any, Any]
    late: frozenset[str]
    snapshots: dict[str, Any]
    deployability: DeployabilityIndex

    @classmethod
    def of(cls, plan_stages: list[Any], plan: Any, snapshots: Iterable[Any]) -> _Phases:
        kinds = [type(stage) for stage in plan_stages]
        record = kinds.index(stages.EnvironmentRecordUpdateStage)
        backfills = [i for i, kind in enumerate(kinds) if kind is stages.BackfillStage]
        first = next((i for i in backfills if i < record), record)
        second = next((i for i in backfills if i > record), len(kinds))
        intervals: dict[Any, Any] = {}
        for i in backfills:
            intervals |= plan_stages[i].snapshot_to_intervals
        if backfills:  # two of them have the same snapshots and the same index
            stage = plan_stages[backfills[-1]]
            by_name, deployability = stage.all_snapshots, stage.deployability_index
        else:
            by_name = {s.name: s for s in snapshots}
            deployability = deployability_of(by_name.values(), development=plan.is_dev)
        late = plan_stages[second].selected_snapshot_ids if second < len(kinds) else ()
        return cls(
            before=plan_stages[:first],
            between=[s for s in plan_stages[first:second] if type(s) is not stages.BackfillStage],
            after=plan_stages[second + 1 :],
            intervals=intervals,
            late=frozenset(snapshot_id.name for snapshot_id in late),
            snapshots=by_name,
            deployability=deployability,
        )
