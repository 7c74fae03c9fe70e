"""What a restatement means: selected nodes are built anew over a time that is recorded as built.

SQLMesh's own plan says what that means for each node (a self-referencing model is built anew to its
end, a FULL one whole), as a value made from the state. What is carried out is the part of it that
the run may build.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmesh.core.context_diff import ContextDiff
from sqlmesh.core.plan import stages
from sqlmesh.utils.errors import PlanError

from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh.errors import RestatementRefusedError
from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.settings import Restatement, SqlmeshSettings
from dagster_transform.sqlmesh.state.assessment import Assessment
from dagster_transform.sqlmesh.state.built_at import built_at
from dagster_transform.sqlmesh.state.current_environment import (
    CurrentEnvironment,
    PlannedEnvironment,
)
from dagster_transform.sqlmesh.state.due_intervals import due_intervals, names_of_others
from dagster_transform.sqlmesh.state.environment import (
    no_run_builds,
    not_promoted,
    promoted,
    read_environment,
    read_snapshots,
    with_ancestors,
)
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.holes import allot
from dagster_transform.sqlmesh.state.work import Work


@dataclass(frozen=True, slots=True)
class PlannedRestatement:
    """A restatement as a run may carry it out.

    Attributes:
        assessment: What there is to do; nodes downstream that stay as they are
            (`downstream: leave`) are in it as `stale`.
        snapshots: All snapshots of the environment, by name.
        intervals: What is built anew, by name: the snapshot and the time.
    """

    assessment: Assessment
    snapshots: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, tuple[Any, Interval]] = field(default_factory=dict)


def plan_restatement(
    name: str,
    context: Any,
    settings: SqlmeshSettings,
    selected: Collection[str],
    may_build: Collection[str],
) -> PlannedRestatement:
    """What restating the selected nodes means.

    Args:
        name: The project's name, for messages.
        context: A SQLMesh Context.
        settings: What the run asks for; with a `restate`.
        selected: Fully qualified names.
        may_build: Those of all nodes of the project.

    Raises:
        EnvironmentNotPlannedError: There is no such environment.
        RestatementRefusedError: SQLMesh refuses it, or it reaches nodes that are not selected and
            the run does not say what is to become of them.
    """
    restate = settings.restate
    if restate is None:
        raise RuntimeError("a restatement without its time")
    record = read_environment(name, context, settings.environment)
    infos = {info.name: info for info in record.snapshots}
    known = promoted(record, selected)
    readiness = {
        n: not_promoted(name, context, settings, known=n in infos)
        for n in selected
        if n not in known
    }
    if not known:
        evaluation = read_snapshots(context, record, (), settings)
        environment = CurrentEnvironment(PlannedEnvironment.of(record, evaluation))
        return PlannedRestatement(Assessment(readiness, {}, environment))
    intervals, backfill = _plan_of_sqlmesh(name, context, settings, restate, known)
    by_name = {s.name: s for s in backfill.all_snapshots.values()}
    built = {n for n in intervals if by_name[n].is_model and not by_name[n].is_symbolic}
    mine = set(known)
    if restate.downstream == "include":
        mine |= (built - settings.in_run).intersection(may_build)
    beyond = {n: settings.called(n) for n in built - mine - settings.in_run}
    if beyond and restate.downstream == "include":
        raise RestatementRefusedError(
            f"Project {name}: restating what is selected also concerns "
            f"{', '.join(sorted(beyond.values()))}, which is left out of this project in"
            " transform.yaml.",
            remedy="Set restate.downstream: leave (leave them as they are), or select them there.",
        )
    if beyond and restate.downstream == "refuse":
        raise RestatementRefusedError(
            f"Project {name}: restating what is selected also concerns "
            f"{', '.join(sorted(beyond.values()))}, downstream of it.",
            remedy="Select them too, or set restate.downstream: include (build them anew too) or "
            "leave (leave them as they are, which is reported).",
        )
    closure = with_ancestors(mine, infos)
    evaluation = Evaluation(
        scheduler=context.create_scheduler(
            [s for s in by_name.values() if s.name in closure], context.snapshot_evaluator
        ),
        deployability=backfill.deployability_index,
        naming=record.naming_info,
        execution_time=settings.execution_time,
        evaluate_kwargs={"selected_models": set()},
    )
    wanted = {s: i for s, i in backfill.snapshot_to_intervals.items() if s.name in mine & built}
    owed = due_intervals(evaluation, names_of_others(evaluation, mine), ignore_cron=False)
    allotment = allot(
        evaluation,
        wanted,
        owed,
        settings.called,
        restating=True,
        no_run_builds=no_run_builds(name, context, settings, may_build),
    )
    works: dict[str, Work] = {}
    for reference in sorted(known | {s.name for s in wanted}):
        snapshot = by_name[reference]
        if error := allotment.errors.get(reference):
            works[reference] = Work(snapshot, [], error=error)
            readiness[reference] = Readiness()
        elif batches := allotment.build.get(reference):
            works[reference] = Work(snapshot, batches)
            readiness[reference] = Readiness()
        elif reason := allotment.held.get(reference):
            stamp = built_at(snapshot, evaluation)
            readiness[reference] = Readiness(Outcome.WAITING, reason, built_at=stamp)
        else:
            reason = _why_not(snapshot, reference in intervals, restate, settings)
            stamp = built_at(snapshot, evaluation)
            readiness[reference] = Readiness(Outcome.UP_TO_DATE, reason, built_at=stamp)
    stale = f"something upstream of it is restated from {restate.start} to {restate.end}"
    readiness |= {n: Readiness(Outcome.STALE, stale) for n in beyond}
    environment = CurrentEnvironment(PlannedEnvironment.of(record, evaluation))
    return PlannedRestatement(
        Assessment(readiness, works, environment),
        by_name,
        {
            n: (by_name[n], interval)
            for n, interval in intervals.items()
            if n in works and works[n].error is None
        },
    )


def _plan_of_sqlmesh(
    name: str, context: Any, settings: SqlmeshSettings, restate: Restatement, selected: set[str]
) -> tuple[dict[str, Interval], Any]:
    """SQLMesh's own restatement plan: the time by node, and its backfill."""
    state = context.state_sync
    builder = context.PLAN_BUILDER_TYPE(
        ContextDiff.create_no_diff(settings.environment, state),
        start=restate.start,
        end=restate.end,
        execution_time=settings.execution_time,
        restate_models=selected,
        is_dev=settings.is_development,
        environment_suffix_target=context.config.environment_suffix_target,
        environment_catalog_mapping=context.environment_catalog_mapping,
        console=context.console,
    )
    try:
        plan = builder.build()
        found = stages.build_plan_stages(plan.to_evaluatable(), state, context.default_catalog)
    except (PlanError, ValueError) as error:
        raise RestatementRefusedError(
            f"Project {name}: restating from {restate.start} to {restate.end} can't be planned: "
            f"{error}",
            remedy="Dates are written 2024-03-05; the end is included.",
        ) from None
    intervals = {snapshot_id.name: interval for snapshot_id, interval in plan.restatements.items()}
    return intervals, next(stage for stage in found if isinstance(stage, stages.BackfillStage))


def _why_not(
    snapshot: Any, concerned: bool, restate: Restatement, settings: SqlmeshSettings
) -> str:
    if concerned:
        return f"it has no interval between {restate.start} and {restate.end}"
    if snapshot.is_seed:
        return "a seed is not restated: its rows change with its file"
    if snapshot.disable_restatement:
        return "its restatement is switched off (disable_restatement)"
    if settings.is_development and not snapshot.is_paused:
        return "production uses this version of it: restate it there"
    return "SQLMesh does not restate it"
