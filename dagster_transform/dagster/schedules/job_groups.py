"""The schedules of job groups: at each tick, the nodes that are due."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from dagster_transform.dagster._compat_schedules import ScheduleNotes
from dagster_transform.errors import TransformError
from dagster_transform.graph import InputId, NodeId
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.due import due_at
from dagster_transform.planning.job_groups.tick_window import TickMemory, tick_window
from dagster_transform.planning.job_groups.values import JobGroup
from dagster_transform.runs.tags import JOB_GROUP, OWNERS, TICK


def group_schedule(
    group: JobGroup,
    crons: Mapping[NodeId, Cron],
    keys: Mapping[InputId, dg.AssetKey],
    job: Any,
    status: dg.DefaultScheduleStatus,
    *,
    loaded: datetime,
    always: Collection[dg.AssetKey] = (),
) -> dg.ScheduleDefinition:
    """The schedule of a job group.

    Args:
        group: The group.
        crons: Of its nodes.
        keys: Asset keys of its nodes.
        job: What it launches.
        status: Whether it runs from the start.
        loaded: When this process has read the job group file, aware.
        always: Keys that every tick launches besides: of nodes that can't be loaded, which are
            red then.
    """
    name = schedule_name(group.name)

    def launch(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        tick = context.scheduled_execution_time.astimezone(timezone.utc)
        notes = ScheduleNotes(context.instance, name, tick)
        window = tick_window(group.cron, tick, TickMemory.from_text(notes.read()), loaded)
        if window.over is not None:
            notes.write(window.memory.to_text())
            return dg.SkipReason(window.over)
        due = due_at(group, crons, window.since, tick)
        notes.write(window.memory.to_text())
        if not due and not always:
            return dg.SkipReason(_nothing_due(group, crons, tick))
        return dg.RunRequest(
            run_key=tick.isoformat(),
            asset_selection=[*(keys[node_id] for node_id in due), *always],
            # None is planned: what is up to date then keeps its results, and the run carries out
            # those of what it builds (`asked_for` in execution/run.py).
            asset_check_keys=[],
            run_config=_run_config(group),
            tags=_tags(group, tick),
        )

    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=group.cron.cron_schedule,
        execution_timezone=group.cron.time_zone,
        default_status=status,
        description=group.description or f"Launches what is due of job group {group.name}.",
        execution_fn=launch,
        tags={JOB_GROUP: group.name},
    )


def broken_schedule(
    name: str, cron: Cron, job: Any, status: dg.DefaultScheduleStatus, error: TransformError
) -> dg.ScheduleDefinition:
    """The schedule of a job group while its file can't be used: each tick fails with the reason.

    Args:
        name: The group's.
        cron: The group's.
        job: Some job.
        status: Whether it runs from the start.
        error: Why the file can't be used.
    """

    def refuse(_context: dg.ScheduleEvaluationContext) -> dg.SkipReason:
        raise dg.Failure(description=str(error), allow_retries=False)

    return dg.ScheduleDefinition(
        name=schedule_name(name),
        job=job,
        cron_schedule=cron.cron_schedule,
        execution_timezone=cron.time_zone,
        default_status=status,
        description=f"**Launches nothing:** {error}",
        execution_fn=refuse,
    )


def schedule_name(group: str) -> str:
    """The name of a job group's schedule. Dagster keeps by it whether the schedule is switched
    on."""
    return f"{group}_schedule"


def _nothing_due(group: JobGroup, crons: Mapping[NodeId, Cron], tick: datetime) -> str:
    coming = {crons[node_id] for node_id in group.nodes}
    following = min((cron.next(tick) for cron in coming), default=None)
    said = "" if following is None else f"; the next are at {following:%Y-%m-%d %H:%M} UTC"
    return f"No node of job group {group.name} is due{said}."


def _run_config(group: JobGroup) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if group.max_concurrent_models is not None:
        options["max_concurrent_models"] = group.max_concurrent_models
    if group.checks is not None:
        options["checks"] = {"when": group.checks}
    return {"resources": {"transform": {"config": options}}} if options else {}


def _tags(group: JobGroup, tick: datetime) -> dict[str, str]:
    owners: Sequence[str] = group.owners
    return {
        **group.tags,
        JOB_GROUP: group.name,
        TICK: tick.isoformat(),
        **({OWNERS: ", ".join(owners)} if owners else {}),
    }
