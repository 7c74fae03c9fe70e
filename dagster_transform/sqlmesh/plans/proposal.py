"""A plan of a whole project, made and explained, and carried out only if somebody says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlmesh.core.snapshot import snapshots_to_dag

from dagster_transform.config import SqlmeshProject
from dagster_transform.graph import Graph, GraphFile, SourceFile, names_by_reference
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.configs import shell_command_of
from dagster_transform.sqlmesh.errors import PlanRefusedError
from dagster_transform.sqlmesh.files.load import read_loaded
from dagster_transform.sqlmesh.intervals import in_words, minus
from dagster_transform.sqlmesh.plans.explain import Base, explain
from dagster_transform.sqlmesh.plans.explanation import PlanExplanation, PlanRequest
from dagster_transform.sqlmesh.project import OpenProject
from dagster_transform.sqlmesh.runs.auto_plan import begin_previews
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from dagster_transform.sqlmesh.runs.marker import Marker
from dagster_transform.sqlmesh.runs.planning_run import PlanningRun
from dagster_transform.sqlmesh.runs.project_run import SqlmeshProjectRun
from dagster_transform.sqlmesh.runs.refusals import build_plan, clear_refusals
from dagster_transform.sqlmesh.runs.staged_plan import StagedPlan, stage_plan
from dagster_transform.sqlmesh.runs.unit_tests import refuse_failing_tests
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.due_intervals import due_intervals
from dagster_transform.sqlmesh.state.environment import is_only_judged
from dagster_transform.walk import ProjectRun


def propose(
    name: str, project: SqlmeshProject, settings: SqlmeshSettings, request: PlanRequest
) -> Proposal:
    """Load the project's files and make the plan of all of them.

    Nothing is changed by it; a state that is not there yet is not made either.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        settings: Its environment, its paths, and the plan's moment.
        request: What is asked of the plan.

    Raises:
        PlanRefusedError: SQLMesh makes no such plan.
        SqlmeshError: The project or its database can't be used.
    """
    settings = dataclasses.replace(settings, plan_mode="auto", marker=None)
    opened = OpenProject(name, project, settings.paths)
    context = opened.load_files()
    try:
        with opened.clear_errors("can't be planned"):
            explanation, staged = _propose(name, context, settings, request)
    except BaseException:
        opened.close_connections()  # nobody else knows of it yet
        raise
    return Proposal(opened, settings, explanation, staged)


def _propose(
    name: str, context: Any, settings: SqlmeshSettings, request: PlanRequest
) -> tuple[PlanExplanation, StagedPlan | None]:
    with clear_refusals(name, context, settings):
        builder = context.plan_builder(
            settings.environment,
            start=request.start,
            end=request.end,
            execution_time=settings.execution_time,
            # Intervals end with the plan's own moment, not where production's end just now: so the
            # same plan can be made again after the next tick.
            run=True,
            skip_tests=True,
            include_unmodified=True,  # a new development environment has the unchanged nodes too
            forward_only=request.forward_only or None,
            allow_destructive_models=request.allow_destructive_models or None,
            allow_additive_models=request.allow_additive_models or None,
        )
        if request.start is None:
            begin_previews(builder, settings)
        plan = build_plan(name, context, builder, settings.called)
        state = context.state_sync
        base = Base.of(plan, state)
        if not request.run:
            plan = _without_what_is_merely_due(plan, base)
        record = state.get_environment(settings.environment)
        staged = None
        if not plan.uncategorized:
            marker = Marker(settings, ())
            staged = stage_plan(name, context, plan, settings, marker=marker, record=record)
    explanation = explain(
        name,
        plan,
        base,
        staged.stages.intervals if staged is not None else {},
        request,
        called=settings.called,
        waiting=_waiting(context, settings, plan, staged, base) if staged is not None else {},
        execution_time=settings.execution_time,
    )
    return explanation, staged


def _waiting(
    context: Any, settings: SqlmeshSettings, plan: Any, staged: StagedPlan, base: Base
) -> dict[str, str]:
    """What the plan does not build although it is missing: the same decisions as those of the run
    that applies it. By fully qualified name."""
    run = PlanningRun(context, settings, staged, [s.name for s in plan.snapshots.values()])
    evaluation, backfill = run.assessment.evaluation, staged.stages.intervals
    found: dict[str, str] = {}
    for snapshot, intervals in backfill.items():
        if is_only_judged(snapshot):
            continue
        work = run.assessment.work.get(snapshot.name)
        if work is None:
            found[snapshot.name] = run.assessment.readiness[snapshot.name].reason
        elif rest := minus(intervals, work.batches):
            found[snapshot.name] = f"{in_words(rest)} can't be built yet"
    # A change that keeps the table leaves to runs what is merely due.
    kept = {
        s.name
        for s in plan.snapshots.values()
        if s not in backfill
        and base.has_version_of(s)
        and s.fingerprint != base.infos[s.name].fingerprint
        and not evaluation.is_productions(s)
    }
    for snapshot, intervals in due_intervals(evaluation, kept, ignore_cron=False).items():
        found[snapshot.name] = f"{in_words(intervals)} is due, and built by the next run"
    return found


def _without_what_is_merely_due(plan: Any, base: Base) -> Any:
    """The plan, backfilling what has a new version, and nothing else but what that reads.

    What it reads has to be there first: built over data that is not there yet, it would be
    recorded as complete for good.
    """
    changed = [s.snapshot_id for s in plan.snapshots.values() if not base.has_version_of(s)]
    changed += [s for s in plan.restatements if s not in changed]
    dag = snapshots_to_dag(plan.snapshots.values())
    wanted = {s.name for s in dag.subdag(*changed).sorted} if changed else set()
    return plan.model_copy(update={"models_to_backfill": wanted})


class Proposal:
    """A plan between its making and the decision about it.

    Args:
        project: The project, open, with its files.
        settings: What was asked for, with the plan's moment.
        explanation: What applying it would do.
        staged: The plan; None: it needs a decision.

    Attributes:
        explanation: As given.
    """

    def __init__(
        self,
        project: OpenProject,
        settings: SqlmeshSettings,
        explanation: PlanExplanation,
        staged: StagedPlan | None,
    ) -> None:
        self.explanation = explanation
        self._project = project
        self._settings = settings
        self._staged = staged

    def graph_file(
        self, config: SqlmeshProject, root: Path, sources: Mapping[str, SourceFile]
    ) -> GraphFile:
        """The graph of the files that were planned, and how it stands in the environment now.

        Args:
            config: The project's configuration: which of its models are assets, and how.
            root: Folder of transform.yaml.
            sources: Fingerprint of the files, taken before `propose` read them.

        Raises:
            SqlmeshError: The state can't be read.
            SettingError: The configuration does not fit the files.
            GraphError: The models don't make a graph.
        """
        with self._project.clear_errors("can't be compared with its environment"):
            return read_loaded(
                self._project.name, config, self._project.open(), root=root, sources=sources
            )

    def refuse_failing_tests(self) -> None:
        """Run the project's unit tests.

        Raises:
            PlanRefusedError: Some fail.
            SqlmeshError: They can't be run.
        """
        project = self._project
        with project.clear_errors("can't be tested"):
            refuse_failing_tests(project.name, project.open(), skip="skip_tests: true")

    def project_run(self, graph: Graph) -> ProjectRun:
        """A run of the project that carries out this plan, and makes no other one.

        Closing it closes the connections of this proposal.

        Args:
            graph: The graph of the files that were planned.

        Raises:
            PlanRefusedError: The plan needs a decision.
        """
        called = names_by_reference(graph, self._project.name)
        settings = dataclasses.replace(self._settings, called=called)
        return SqlmeshProjectRun(self._project, graph, settings, self._decided())

    def apply_without_models(self) -> None:
        """Carry out a plan after which the environment has no models: there is nothing to walk.

        Raises:
            SqlmeshError: It failed.
        """
        staged, context, settings = self._decided(), self._project.open(), self._settings
        try:
            with self._project.clear_errors("can't be applied"):
                _compat.make_state(context)
                run = PlanningRun(context, settings, staged, selected=())
                run.begin((), ProjectBackends(context, settings.guard))
                run.promote(staged.promotion)
                run.end()
        finally:
            self._project.close_connections()

    def _decided(self) -> StagedPlan:
        if self._staged is None:
            plan = f"plan {self._settings.environment}"
            command = shell_command_of(self._project.open(), plan)
            raise PlanRefusedError(
                f"Project {self._project.name}: the plan has changes that SQLMesh can't categorise "
                f"by itself: {', '.join(c.name for c in self.explanation.undecided)}",
                remedy=f"Decide once in a shell: {command}; or let SQLMesh "
                "decide: plan.auto_categorize_changes in the project's config.",
            )
        return self._staged

    def is_applied(self) -> bool:
        """Whether the environment has this plan now, and nothing of it is still to be done."""
        state = self._project.open().state_sync
        record = state.get_environment(self._settings.environment)
        plan_id = self._staged.plan_id if self._staged is not None else None
        return bool(record is not None and record.finalized_ts and record.plan_id == plan_id)

    def close(self) -> None:
        """Close all connections."""
        self._project.close_connections()
