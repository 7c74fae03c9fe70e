"""A plan that a run applies: its stages carried out here, its backfill carried out by the walk.

SQLMesh gives the stages as a list. Those before the backfill run when the session opens; the
backfill's nodes are ordinary units of the walk; those after it are the promotion, a unit of its
own that waits for all of them. So a backfill that fails promotes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sqlmesh.core.plan import stages
from sqlmesh.core.snapshot import snapshots_to_dag
from sqlmesh.utils import to_snake_case

from dagster_transform.config import SqlmeshProject
from dagster_transform.graph import fingerprint
from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.environment import Assessment
from dagster_transform.sqlmesh.errors import PlanRefusedError
from dagster_transform.sqlmesh.project import open_context
from dagster_transform.sqlmesh.settings import Setting, SqlmeshSettings, Work


def make_plan(
    name: str,
    project: SqlmeshProject,
    settings: SqlmeshSettings,
    selected: Mapping[str, str],
    *,
    whole: bool,
) -> tuple[Any, PlanInProgress | None]:
    """Plan the selected nodes where the files differ from the environment.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        settings: What the run asks for.
        selected: Node ids by fully qualified name.
        whole: Whether these are all the nodes of the project.

    Returns:
        The Context, with its files loaded unless the marker said that nothing has changed (then
        None), and the plan, or None where there is nothing to plan.

    Raises:
        PlanRefusedError: The plan would build or change what is not selected, or needs a decision.
    """
    marker = _Marker(settings)
    if marker.exists and marker.files_are_unchanged():
        context = open_context(name, project, settings.paths, load=False)
        record = context.state_sync.get_environment(settings.environment)
        if record is not None and record.finalized_ts and marker.plan_id == record.plan_id:
            _compat.load_materializations(context)
            return context, None
        _compat.close_connections(context)
    context = open_context(name, project, settings.paths, load=True)
    record = context.state_sync.get_environment(settings.environment)
    names = _plannable(context, record, selected)
    builder = context.plan_builder(
        settings.environment,
        skip_tests=True,
        run=True,
        execution_time=settings.execution_time,
        include_unmodified=True,  # a new development environment has all nodes, not the changed ones
        select_models=None if whole and len(names) == len(selected) else sorted(names.values()),
    )
    plan = builder.build() if names else None
    changed = plan is not None and (
        plan.has_changes or plan.has_unmodified_unpromoted or record is None
    )
    if plan is None or not changed:
        if whole and record is not None:
            marker.write(record.plan_id)
        return context, None
    in_progress = PlanInProgress(name, context, plan, settings, marker if whole else None)
    in_progress.refuse_what_is_not_selected(selected, plan, record)
    return context, in_progress


def _plannable(context: Any, record: Any | None, selected: Mapping[str, str]) -> dict[str, str]:
    """Selected models whose upstreams are in the environment or selected too: name by FQN."""
    there = {info.name for info in record.snapshots} if record is not None else set()
    names: dict[str, str] = {}
    for fqn in context.dag.sorted:
        model = context.models.get(fqn)
        if model is None or fqn not in selected:
            continue
        upstream = [f for f in model.depends_on if f in context.models]
        passing = [f for f in upstream if context.models[f].kind.is_symbolic]
        if all(f in there or f in names or f in passing for f in upstream):
            names[fqn] = model.name
    return names


class PlanInProgress:
    """A plan between its making and its promotion.

    Attributes:
        promotion: The id of the unit that promotes it.
    """

    def __init__(
        self,
        name: str,
        context: Any,
        plan: Any,
        settings: SqlmeshSettings,
        marker: _Marker | None,
    ) -> None:
        self.promotion = f"{name}:promotion of {settings.environment}"
        self._name = name
        self._context = context
        self._settings = settings
        self._marker = marker
        if plan.uncategorized:
            raise PlanRefusedError(
                f"Project {name}: the plan has changes that SQLMesh can't categorise by itself: "
                + ", ".join(sorted(s.name for s in plan.uncategorized)),
                remedy=f"Decide once: sqlmesh -p {context.path} plan {settings.environment}",
            )
        self._plan = plan.to_evaluatable()
        self._stages = stages.build_plan_stages(
            self._plan, context.state_sync, context.default_catalog
        )
        backfills = [s for s in self._stages if isinstance(s, stages.BackfillStage)]
        if len(backfills) > 1:
            raise PlanRefusedError(
                f"Project {name}: the plan backfills before and after its promotion "
                "(forward-only changes), which a run can't do yet.",
                remedy=f"Apply it once: sqlmesh -p {context.path} plan {settings.environment}",
            )
        self._backfill: stages.BackfillStage = backfills[0]
        self._evaluator = _compat.plan_evaluator(context)

    def refuse_what_is_not_selected(
        self, selected: Collection[str], plan: Any, record: Any | None
    ) -> None:
        """A run builds what was selected, and nothing else.

        SQLMesh would promote new versions of unselected models that read what has changed without
        building them: their views would lead to tables that are empty, or not there.

        Raises:
            PlanRefusedError: The plan also changes other models.
        """
        versions = {i.name: i.version for i in record.snapshots} if record is not None else {}
        new = {s.name for s in plan.new_snapshots if s.is_new_version}
        backfilled = {s.name for s in self._backfill.snapshot_to_intervals}
        extra = sorted(
            s.model.name
            for s in plan.snapshots.values()
            if s.is_model
            and not s.is_symbolic
            and s.name not in selected
            and (
                s.name in backfilled
                or s.name in new
                or s.version != versions.get(s.name, s.version)
            )
        )
        if extra:
            raise PlanRefusedError(
                f"Project {self._name}: the plan of what is selected also rebuilds "
                f"{', '.join(extra)}, because they read it.",
                remedy="Select them too (everything downstream), so that the run may build them.",
            )

    def assess(self, selected: Mapping[str, str]) -> Assessment:
        """What the plan will do with each selected node (ids by fully qualified name)."""
        stage = self._backfill
        scheduler = self._context.create_scheduler(
            stage.all_snapshots.values(), self._evaluator.snapshot_evaluator
        )
        dag = snapshots_to_dag(scheduler.snapshots.values())
        naming = self._plan.environment.naming_info
        batches = scheduler.batch_intervals(
            stage.snapshot_to_intervals, stage.deployability_index, naming, dag=dag
        )
        setting = Setting(
            scheduler=scheduler,
            deployability=stage.deployability_index,
            naming=naming,
            execution_time=self._settings.execution_time,
            plan={
                "allow_destructive_snapshots": self._plan.allow_destructive_models,
                "allow_additive_snapshots": self._plan.allow_additive_models,
                "selected_models": self._plan.selected_models,
            },
        )
        assessment = Assessment({}, {}, setting, infos=list(stage.all_snapshots.values()))
        by_name = {s.name: list(i) for s, i in batches.items()}
        chosen = {s_id.name for s_id in stage.selected_snapshot_ids}
        self._leftover = {
            s: i for s, i in stage.snapshot_to_intervals.items() if s.name not in selected
        }
        for reference in selected:
            snapshot = stage.all_snapshots.get(reference)
            if snapshot is None:
                assessment.readiness[reference] = Readiness(
                    Outcome.NOT_PROMOTED,
                    f"an upstream is not in environment {self._settings.environment}: "
                    "select it too",
                )
            elif by_name.get(reference) or self._is_to_make(snapshot, chosen):
                assessment.work[reference] = Work(snapshot, by_name.get(reference, []))
                assessment.readiness[reference] = Readiness(promotion=self.promotion)
            else:
                assessment.readiness[reference] = Readiness(
                    Outcome.UP_TO_DATE,
                    "the plan found nothing to build for it",
                    promotion=self.promotion,
                )
        return assessment

    def before_backfill(self) -> None:
        """The stages before the backfill: snapshot records, schemas, tables."""
        for stage in self._stages[: self._stages.index(self._backfill)]:
            self._visit(stage)

    def after_backfill(self) -> None:
        """The stages after it: the environment's record and its views. Readers see the result."""
        if self._leftover:  # audits that stand alone: SQLMesh evaluates them with the backfill
            self._visit_leftover()
        for stage in self._stages[self._stages.index(self._backfill) + 1 :]:
            self._visit(stage)
        if self._marker is not None:
            self._marker.write(self._plan.plan_id)

    def _visit(self, stage: Any) -> None:
        getattr(self._evaluator, f"visit_{to_snake_case(type(stage).__name__)}")(stage, self._plan)

    def _visit_leftover(self) -> None:
        scheduler = self._context.create_scheduler(
            self._backfill.all_snapshots.values(), self._evaluator.snapshot_evaluator
        )
        errors, _ = scheduler.run_merged_intervals(
            merged_intervals=self._leftover,
            deployability_index=self._backfill.deployability_index,
            environment_naming_info=self._plan.environment.naming_info,
            execution_time=self._settings.execution_time,
        )
        if errors:
            raise PlanRefusedError(f"Project {self._name}: {errors[0].__cause__ or errors[0]}")

    def _is_to_make(self, snapshot: Any, chosen: Collection[str]) -> bool:
        """Whether its table has to be made although the plan has no data for it."""
        if snapshot.name not in chosen or not snapshot.is_model or snapshot.is_symbolic:
            return False
        evaluator = self._evaluator.snapshot_evaluator
        index = self._backfill.deployability_index
        return bool(evaluator.get_snapshots_to_create([snapshot], index))


class _Marker:
    """Remembers from which files an environment was planned, so that asking again is cheap."""

    def __init__(self, settings: SqlmeshSettings) -> None:
        self._path = settings.marker
        self._environment = settings.environment
        self._folders = [Path(p) for p in settings.paths]
        self._recorded: dict[str, Any] = {}
        if self._path is not None:
            try:
                self._recorded = json.loads(self._path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                self._recorded = {}  # it only saves time: without it, the files are loaded

    @property
    def exists(self) -> bool:
        return self._recorded.get("environment") == self._environment

    @property
    def plan_id(self) -> str | None:
        return self._recorded.get("plan_id")

    def files_are_unchanged(self) -> bool:
        return bool(self._recorded.get("files") == self._files())

    def write(self, plan_id: str) -> None:
        if self._path is None:
            return
        record = {"environment": self._environment, "plan_id": plan_id, "files": self._files()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(record), encoding="utf-8")
        os.replace(temporary, self._path)

    def _files(self) -> dict[str, str]:
        found = fingerprint(self._folders[0], self._folders, None)
        return {path: file.sha256 for path, file in found.items()}
