"""Restatement: selected nodes are built anew over a time that is recorded as built.

SQLMesh's own plan says what that means for each node (a self-referencing model is built anew to its
end, a FULL one whole), as a value made from the state. What is carried out is the part of it that
the run may build. The intervals are removed from the state before the first node is built: a run
that is killed leaves a gap that everybody sees and the next run fills.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlmesh.core.context_diff import ContextDiff
from sqlmesh.core.plan import stages
from sqlmesh.core.plan.common import identify_restatement_intervals_across_snapshot_versions
from sqlmesh.utils.errors import PlanError

from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.errors import RestatementRefusedError
from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.settings import PROD, Restatement, Setting, SqlmeshSettings, Work
from dagster_transform.sqlmesh.state.environment import (
    Assessment,
    built_at,
    missing,
    not_promoted,
    others_of,
    promoted,
    read_environment,
    read_snapshots,
    with_ancestors,
)
from dagster_transform.sqlmesh.state.guard import allot


@dataclass(slots=True)
class RestatementInProgress:
    """A restatement that is about to be carried out.

    Attributes:
        assessment: What there is to do; nodes downstream that are left as they are
            (`downstream: leave`) are in it as `stale`.
    """

    assessment: Assessment
    _context: Any
    _environment: str
    _snapshots: Mapping[str, Any]  # all of the environment
    _intervals: Mapping[str, tuple[Any, Interval]]

    def begin(self, references: Collection[str]) -> None:
        """Remove what is built anew from the state, for the nodes that the run will build."""
        setting, state = self.assessment.setting, self._context.state_sync
        mine = [self._intervals[name] for name in references if name in self._intervals]
        deployable = setting.deployability.is_deployable
        own = [(s, interval) for s, interval in mine if deployable(s)]
        if own:
            state.remove_intervals(own, remove_shared_versions=True)
        partial = [(s, interval) for s, interval in mine if not deployable(s)]
        if partial:
            _compat.remove_development_intervals(state, partial)
        self.clear_elsewhere(references)

    def clear_elsewhere(self, references: Collection[str]) -> None:
        """Have other environments build anew what they have of it, as SQLMesh does.

        Before the first node is built, so that it is not lost with a run that is killed; and after
        the last one, for what has been made meanwhile.
        """
        if self._environment != PROD:
            return
        requests = identify_restatement_intervals_across_snapshot_versions(
            state_reader=self._context.state_sync,
            prod_restatements={
                name: interval
                for name, (_, interval) in self._intervals.items()
                if name in references
            },
            disable_restatement_models={
                s.name for s in self._snapshots.values() if s.disable_restatement
            },
            loaded_snapshots={s.snapshot_id: s for s in self._snapshots.values()},
            current_ts=self.assessment.setting.execution_time,
        )
        if requests:
            self._context.state_sync.remove_intervals(
                [(r.snapshot, r.interval) for r in requests.values()], remove_shared_versions=True
            )


def assess_restatement(
    name: str, context: Any, settings: SqlmeshSettings, selected: Collection[str]
) -> RestatementInProgress:
    """What restating the selected nodes means.

    Args:
        name: The project's name, for messages.
        context: A SQLMesh Context.
        settings: What the run asks for; with a `restate`.
        selected: Fully qualified names.

    Raises:
        EnvironmentNotPlannedError: There is no such environment.
        RestatementRefusedError: SQLMesh refuses it, or it reaches nodes that are not selected and
            the run does not say what is to become of them.
    """
    restate = settings.restate
    if restate is None:
        raise RuntimeError("a restatement without its time")
    record = read_environment(name, context, settings.environment)
    known = promoted(record, selected)
    assessment = Assessment({}, {}, read_snapshots(context, record, (), settings))
    assessment.infos, assessment.plan_id = list(record.snapshots), str(record.plan_id)
    has = {info.name for info in record.snapshots}
    assessment.readiness |= {
        n: not_promoted(settings, n in has) for n in selected if n not in known
    }
    if not known:
        return RestatementInProgress(assessment, context, settings.environment, {}, {})
    intervals, backfill = _planned(name, context, settings, restate, known)
    by_name = {s.name: s for s in backfill.all_snapshots.values()}
    built = {n for n in intervals if by_name[n].is_model and not by_name[n].is_symbolic}
    mine = known | (built - settings.in_run if restate.downstream == "include" else set())
    beyond = {n: by_name[n].node.name for n in built - mine - settings.in_run}
    if beyond and restate.downstream == "refuse":
        raise RestatementRefusedError(
            f"Project {name}: restating what is selected also concerns "
            f"{', '.join(sorted(beyond.values()))}, downstream of it.",
            remedy="Select them too, or set restate.downstream: include (build them anew too) or "
            "leave (leave them as they are, which is reported).",
        )
    infos = {info.name: info for info in record.snapshots}
    closure = with_ancestors(mine, infos)
    setting = Setting(
        scheduler=context.create_scheduler(
            [s for s in by_name.values() if s.name in closure], context.snapshot_evaluator
        ),
        deployability=backfill.deployability_index,
        naming=record.naming_info,
        execution_time=settings.execution_time,
        plan={"selected_models": set()},
    )
    assessment.setting = setting
    wanted = {s: i for s, i in backfill.snapshot_to_intervals.items() if s.name in mine & built}
    owed = missing(setting, others_of(setting, mine), ignore_cron=False)
    allotment = allot(setting, wanted, owed, restating=True)
    for reference in sorted(known | {s.name for s in wanted}):
        snapshot = by_name[reference]
        if batches := allotment.build.get(reference):
            assessment.work[reference] = Work(snapshot, batches)
            assessment.readiness[reference] = Readiness()
        elif reason := allotment.held.get(reference):
            assessment.readiness[reference] = Readiness(Outcome.WAITING, reason)
        else:
            reason = _why_not(snapshot, reference in intervals, restate, settings)
            stamp = built_at(snapshot, setting)
            assessment.readiness[reference] = Readiness(Outcome.UP_TO_DATE, reason, built_at=stamp)
    stale = f"something upstream of it is restated from {restate.start} to {restate.end}"
    assessment.readiness |= {n: Readiness(Outcome.STALE, stale) for n in beyond}
    return RestatementInProgress(
        assessment,
        context,
        settings.environment,
        by_name,
        {n: (by_name[n], interval) for n, interval in intervals.items() if n in assessment.work},
    )


def _planned(
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
        is_dev=settings.environment != PROD,
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
    if settings.environment != PROD and not snapshot.is_paused:
        return "production uses this version of it: restate it there"
    return "SQLMesh does not restate it"
