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
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.errors import PlanRefusedError
from dagster_transform.sqlmesh.files.load import read_loaded
from dagster_transform.sqlmesh.plans.explain import Base, explain
from dagster_transform.sqlmesh.plans.explanation import PlanExplanation, PlanRequest
from dagster_transform.sqlmesh.project import clear_errors, open_context, words_of
from dagster_transform.sqlmesh.runs.marker import Marker
from dagster_transform.sqlmesh.runs.plan import PlanInProgress, begin_previews
from dagster_transform.sqlmesh.runs.session import SqlmeshProjectRun
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
    settings = dataclasses.replace(settings, plan="auto", marker=None)
    context = open_context(name, project, settings.paths, load=True)
    try:
        with clear_errors(name, settings.paths, "can't be planned"):
            return _propose(name, project, context, settings, request)
    except BaseException:
        _compat.close_connections(context)  # nobody else knows of it yet
        raise


def _propose(
    name: str,
    project: SqlmeshProject,
    context: Any,
    settings: SqlmeshSettings,
    request: PlanRequest,
) -> Proposal:
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
    in_progress = None
    if not plan.uncategorized:
        in_progress = PlanInProgress(
            name,
            context,
            plan,
            settings,
            marker=Marker(settings, ()),
            versions={info.name: info.version for info in record.snapshots} if record else {},
        )
    explanation = explain(
        name,
        plan,
        base,
        in_progress.backfill if in_progress is not None else {},
        request,
        execution_time=settings.execution_time,
        default_catalog=context.default_catalog,
    )
    return Proposal(name, project, context, settings, explanation=explanation, plan=in_progress)


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

    Attributes:
        explanation: What applying it would do.
    """

    def __init__(
        self,
        name: str,
        project: SqlmeshProject,
        context: Any,
        settings: SqlmeshSettings,
        *,
        explanation: PlanExplanation,
        plan: PlanInProgress | None,
    ) -> None:
        self.explanation = explanation
        self._name = name
        self._project = project
        self._context = context
        self._settings = settings
        self._plan = plan

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
        with clear_errors(self._name, self._settings.paths):
            return read_loaded(
                self._name,
                self._context,
                environment=self._settings.environment,
                root=root,
                sources=sources,
                column_lineage=column_lineage,
            )

    def failing_tests(self) -> list[str]:
        """Run the project's unit tests; names of those that fail, with the first line of why.

        Raises:
            SqlmeshError: They can't be run.
        """
        with clear_errors(self._name, self._settings.paths, "can't be tested"):
            result = self._context.test(stream=io.StringIO())
        return [
            f"{_test_name(test)}: {_first_line(why)}"
            for test, why in (*result.failures, *result.errors)
        ]

    def session(self, graph: Graph) -> Session:
        """A session that carries out this plan, and makes no other one.

        Closing it closes the connections of this proposal.

        Args:
            graph: The graph of the files that were planned.

        Raises:
            PlanRefusedError: The plan needs a decision.
        """
        if self._plan is None:
            raise PlanRefusedError(
                f"Project {self._name}: the plan has changes that SQLMesh can't categorise by "
                f"itself: {', '.join(c.name for c in self.explanation.undecided)}",
                remedy="Decide once in a shell: "
                f"sqlmesh -p {self._context.path} plan {self._settings.environment}; or let "
                "SQLMesh decide: plan.auto_categorize_changes in the project's config.",
            )
        prepared = (self._context, self._plan)
        return SqlmeshProjectRun(self._name, self._project, graph, self._settings, prepared=prepared)

    def apply_without_models(self, graph: Graph) -> None:
        """Carry out a plan after which the environment has no models: there is nothing to walk.

        Args:
            graph: The graph of the files that were planned; it has no nodes.

        Raises:
            SqlmeshError: It failed.
        """
        session = self.session(graph)
        completed = False
        try:
            session.assess((), ())
            session.open(())
            if self._plan is not None:
                with clear_errors(self._name, self._settings.paths, "can't be applied"):
                    self._plan.after_backfill()
            completed = True
        finally:
            session.close(completed=completed)

    def is_applied(self) -> bool:
        """Whether the environment has this plan now, and nothing of it is left to do."""
        record = self._context.state_sync.get_environment(self._settings.environment)
        plan_id = self._plan.plan_id if self._plan is not None else None
        return bool(record is not None and record.finalized_ts and record.plan_id == plan_id)

    def close(self) -> None:
        """Close all connections."""
        _compat.close_connections(self._context)


def _test_name(test: Any) -> str:
    return str(getattr(test, "test_name", None) or test)


def _first_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else ""
