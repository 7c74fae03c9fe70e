"""A plan of a whole project, made and explained, and carried out only if somebody says so."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlmesh.core.snapshot import snapshots_to_dag
from sqlmesh.utils.errors import PlanError

from dagster_transform.config import SqlmeshProject
from dagster_transform.graph import Graph, GraphFile, SourceFile
from dagster_transform.sqlmesh.errors import PlanRefusedError
from dagster_transform.sqlmesh.files.load import read_loaded
from dagster_transform.sqlmesh.plans.explain import Base, explain
from dagster_transform.sqlmesh.plans.explanation import PlanExplanation, PlanRequest
from dagster_transform.sqlmesh.project import OpenProject, words_of
from dagster_transform.sqlmesh.runs.auto_plan import begin_previews
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from dagster_transform.sqlmesh.runs.marker import Marker
from dagster_transform.sqlmesh.runs.planning_run import PlanningRun
from dagster_transform.sqlmesh.runs.project_run import SqlmeshProjectRun
from dagster_transform.sqlmesh.runs.staged_plan import StagedPlan, stage_plan
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.walk import ProjectRun


def propose(
    name: str, project: SqlmeshProject, settings: SqlmeshSettings, request: PlanRequest
) -> Proposal:
    """Load the project's files and make the plan of all of them.

    Nothing is changed by it, but for the tables of SQLMesh's state where there are none yet.

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
    try:
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
        plan = builder.build()
    except PlanError as error:
        raise PlanRefusedError(f"Project {name} can't be planned: {words_of(error)}") from None
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
        execution_time=settings.execution_time,
    )
    return explanation, staged


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
        self, root: Path, sources: Mapping[str, SourceFile], *, column_lineage: bool
    ) -> GraphFile:
        """The graph of the files that were planned, and how it stands in the environment now.

        Args:
            root: Folder of transform.yaml.
            sources: Fingerprint of the files, taken before `propose` read them.
            column_lineage: Whether to find out what each column is computed from.

        Raises:
            SqlmeshError: The state can't be read.
            GraphError: The models don't make a graph.
        """
        with self._project.clear_errors():
            return read_loaded(
                self._project.name,
                self._project.open(),
                environment=self._settings.environment,
                root=root,
                sources=sources,
                column_lineage=column_lineage,
            )

    def failing_tests(self) -> list[str]:
        """Run the project's unit tests; names of those that fail, with the last line of why.

        Raises:
            SqlmeshError: They can't be run.
        """
        with self._project.clear_errors("can't be tested"):
            result = self._project.open().test(stream=io.StringIO())
        return [
            f"{_test_name(test)}: {_last_line(why)}"
            for test, why in (*result.failures, *result.errors)
        ]

    def project_run(self, graph: Graph) -> ProjectRun:
        """A run of the project that carries out this plan, and makes no other one.

        Closing it closes the connections of this proposal.

        Args:
            graph: The graph of the files that were planned.

        Raises:
            PlanRefusedError: The plan needs a decision.
        """
        return SqlmeshProjectRun(self._project, graph, self._settings, self._decided())

    def apply_without_models(self) -> None:
        """Carry out a plan after which the environment has no models: there is nothing to walk.

        Raises:
            SqlmeshError: It failed.
        """
        staged, context, settings = self._decided(), self._project.open(), self._settings
        try:
            with self._project.clear_errors("can't be applied"):
                run = PlanningRun(context, settings, staged, selected=())
                run.begin((), ProjectBackends(context, settings.guard))
                run.promote(staged.promotion)
                run.end()
        finally:
            self._project.close_connections()

    def _decided(self) -> StagedPlan:
        if self._staged is None:
            raise PlanRefusedError(
                f"Project {self._project.name}: the plan has changes that SQLMesh can't categorise "
                f"by itself: {', '.join(c.name for c in self.explanation.undecided)}",
                remedy="Decide once in a shell: "
                f"sqlmesh -p {self._project.open().path} plan {self._settings.environment}; or let "
                "SQLMesh decide: plan.auto_categorize_changes in the project's config.",
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


def _test_name(test: Any) -> str:
    return str(getattr(test, "test_name", None) or test)


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else ""
