"""A plan that a run applies: its stages carried out here, its backfill carried out by the walk.

SQLMesh gives the stages as a list. Those before the backfill run when the session opens; the
backfill's nodes are ordinary units of the walk; those after it are the promotion, a unit of its
own that waits for all of them. So a backfill that fails promotes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta, timezone
from typing import Any

from sqlmesh.core.plan import stages
from sqlmesh.core.snapshot import snapshots_to_dag
from sqlmesh.utils import to_snake_case

from dagster_transform.config import SqlmeshProject
from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.errors import PlanRefusedError
from dagster_transform.sqlmesh.intervals import Interval, minus
from dagster_transform.sqlmesh.project import open_context
from dagster_transform.sqlmesh.runs.marker import Marker
from dagster_transform.sqlmesh.runs.phases import Phases
from dagster_transform.sqlmesh.settings import PROD, Setting, SqlmeshSettings, Work
from dagster_transform.sqlmesh.state.environment import (
    Assessment,
    is_only_judged,
    read_intervals,
)
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
        # Before the stages are made: they leave out what is recorded by then.
        self._had = self._read(plan.snapshots.values())
        plan_stages = stages.build_plan_stages(
            self._plan, context.state_sync, context.default_catalog
        )
        self._phases = Phases.of(plan_stages, self._plan, plan.snapshots.values())
        self.step = f"{name}:record of {settings.environment}" if self._phases.late else None
        self._apart: dict[str, bool] = {}
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
        assessment.lacks = {
            s.name: list(i) for s, i in phases.intervals.items() if is_only_judged(s)
        }
        by_name = within_reach(setting, batches)
        to_make = self._to_make()
        for reference in selected:
            snapshot = phases.snapshots.get(reference)
            if snapshot is None:
                assessment.readiness[reference] = Readiness(
                    Outcome.NOT_PROMOTED,
                    f"an upstream is not in environment {self._settings.environment}: "
                    "select it too",
                )
            elif by_name.get(reference) or (
                reference in to_make and self._plan.is_selected_for_backfill(reference)
            ):
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
        # The walk makes the tables of what it builds, each under its claim.
        made = ({s.name for s in phases.made_apart()} & to_make) - assessment.work.keys()
        self._apart = {**phases.touched(), **dict.fromkeys(made, True)}
        return assessment

    def touches(self, unit: str) -> Mapping[str, bool]:
        """The models whose tables a unit of this plan makes or changes (True) or judges (False)
        besides the backfill: the first unit that is no build, by its id."""
        return self._apart if unit == (self.step or self.promotion) else {}

    def read_again(self, references: Iterable[str], assessment: Assessment) -> None:
        """Leave out what others have built since the plan was made, now that nobody else can.

        Other environments may share a version, and with it the table and its intervals. A node
        with nothing left has all its batches recorded.

        Args:
            references: Nodes that are claimed and have not started.
            assessment: Its `work` is changed.
        """
        works = {r: w for r in references if (w := assessment.work.get(r)) and w.batches}
        now, setting = self._read(w.snapshot for w in works.values()), assessment.setting
        for reference, work in works.items():
            had = setting.intervals_of(self._had[reference])
            if not (new := minus(setting.intervals_of(now[reference]), had)):
                continue
            # SQLMesh empties a table before the first insert of a version without intervals.
            for start, end in new:
                work.snapshot.add_interval(
                    start, end, is_dev=not setting.deployability.is_representative(work.snapshot)
                )
            left = [part for batch in work.batches for part in minus([batch], new)]
            if left:
                work.batches = left
            else:
                work.recorded = set(range(len(work.batches)))

    def _read(self, snapshots: Iterable[Any]) -> dict[str, Any]:
        """Copies of the models' snapshots with what the state has recorded, by name."""
        found = {s.name: s.copy() for s in snapshots if s.is_model and not s.is_symbolic}
        development = self._settings.environment != PROD
        read_intervals(self._context.state_sync, found.values(), development=development)
        return found

    def before_backfill(self) -> None:
        """The stages before the backfill: snapshot records and schemas."""
        turn = self._settings.turn
        for stage in self._phases.before:
            if not (isinstance(stage, stages.BeforeAllStage) and turn.begun):
                self._visit(stage)
        turn.begun = True

    def between_backfills(self) -> None:
        """Tables that the walk does not make, audits that are new, the environment's record and
        changes of tables, which forward-only changes wait for."""
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

    def _to_make(self) -> frozenset[str]:
        """Names of the models whose tables are not there, of what the plan makes or builds."""
        apart = {s.name for s in self._phases.made_apart()}
        found = [
            s
            for s in self._phases.snapshots.values()
            if s.name in apart or self._plan.is_selected_for_backfill(s.name)
        ]
        evaluator = self._evaluator.snapshot_evaluator
        made = evaluator.get_snapshots_to_create(found, self._phases.deployability)
        return frozenset(snapshot.name for snapshot in made)
