"""`plan: auto`: whether the files differ from the environment, and the plan of what is selected.

A development environment that has expired is planned too, as SQLMesh does it, where the run selects
all of it: that renews it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta, timezone
from typing import Any

from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.project import OpenProject
from dagster_transform.sqlmesh.runs.marker import Marker
from dagster_transform.sqlmesh.runs.refusals import build_plan, clear_refusals
from dagster_transform.sqlmesh.runs.staged_plan import (
    StagedPlan,
    refuse_what_is_not_selected,
    stage_plan,
)
from dagster_transform.sqlmesh.runs.unit_tests import refuse_failing_tests
from dagster_transform.sqlmesh.settings import SqlmeshSettings


def make_plan(
    project: OpenProject, settings: SqlmeshSettings, selected: Collection[str], *, whole: bool
) -> StagedPlan | None:
    """Plan the selected nodes where the files differ from the environment.

    The project's files are loaded by it, unless the marker says that nothing has changed.

    Args:
        project: The project.
        settings: What the run asks for.
        selected: Fully qualified names.
        whole: Whether these are all the nodes of the project.

    Returns:
        The plan; None where there is nothing to plan.

    Raises:
        PlanRefusedError: The plan would build or change what is not selected, needs a decision, or
            SQLMesh makes none; or unit tests fail.
        LinterError: Models break rules of the linter.
    """
    marker = Marker(settings, selected)
    if marker.files_are_unchanged():
        context = project.open()
        record = _compat.open_state(context).get_environment(settings.environment)
        if (
            record is not None
            and record.finalized_ts
            and marker.plan_id == record.plan_id
            # SQLMesh takes it for a new one, in which a part would be all that is promoted.
            and not (whole and record.expired)
        ):
            _compat.load_materializations(context)
            return None
    return _plan(project, project.load_files(), settings, selected, marker, whole=whole)


def _plan(
    project: OpenProject,
    context: Any,
    settings: SqlmeshSettings,
    selected: Collection[str],
    marker: Marker,
    *,
    whole: bool,
) -> StagedPlan | None:
    name = project.name
    record = _compat.open_state(context).get_environment(settings.environment)
    names = _plannable(context, record, selected)
    if not names:
        return None
    everything = whole and names >= set(selected)
    _compat.select_by_fqn(context)
    with clear_refusals(name, context, settings):
        builder = context.plan_builder(
            settings.environment,
            skip_tests=True,
            run=True,
            execution_time=settings.execution_time,
            include_unmodified=True,  # a new development environment has the unchanged nodes too
            select_models=None if everything else sorted(names),
        )
        begin_previews(builder, settings)
        plan = build_plan(name, context, builder, settings.called)
    # An environment whose last plan has failed, and was not finalized, counts as changed.
    changed = record is None or plan.has_changes or plan.has_unmodified_unpromoted
    if not changed:
        marker.write(record.plan_id)
        return None
    if not settings.skip_tests:
        with project.clear_errors("can't be tested"):
            refuse_failing_tests(name, context, skip="the run option skip_tests: true")
    with clear_refusals(name, context, settings):
        staged = stage_plan(name, context, plan, settings, marker=marker, record=record)
    refuse_what_is_not_selected(
        name,
        staged,
        plan.snapshots.values(),
        selected,
        in_run=settings.in_run,
        called=settings.called,
    )
    return staged


def begin_previews(builder: Any, settings: SqlmeshSettings) -> None:
    """Previews of forward-only changes begin the day before the plan's own moment (SQLMesh takes
    that day from the clock).

    Args:
        builder: A SQLMesh PlanBuilder that was not given a start.
        settings: What the run asks for.
    """
    if builder.start is not None:
        builder.set_start(f"{settings.now.astimezone(timezone.utc) - timedelta(days=1):%Y-%m-%d}")


def _plannable(context: Any, record: Any | None, selected: Collection[str]) -> set[str]:
    """What to select in the plan: selected models whose upstreams are there or selected too.

    External and embedded models that these read belong to the selection: without them SQLMesh
    would give the readers other fingerprints than a plan of everything does.

    Returns:
        Fully qualified names.
    """
    there = {info.name for info in record.snapshots} if record is not None else set()
    names: set[str] = set()
    for fqn in context.dag.sorted:
        model = context.models.get(fqn)
        if model is None or fqn not in selected:
            continue
        upstream, passed = _look_through(context, model)
        if all(f in there or f in names for f in upstream):
            names |= {fqn} | passed
    return names


def _look_through(context: Any, model: Any) -> tuple[set[str], set[str]]:
    """The models that build what `model` reads; and the symbolic ones on the way."""
    upstream: set[str] = set()
    passed: set[str] = set()
    stack = list(model.depends_on)
    while stack:
        fqn = stack.pop()
        parent = context.models.get(fqn)
        if parent is None or fqn in passed:
            continue
        if parent.kind.is_symbolic:
            passed.add(fqn)
            stack.extend(parent.depends_on)
        else:
            upstream.add(fqn)
    return upstream, passed
