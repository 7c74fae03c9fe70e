"""The schedules of job groups: at each tick, the nodes that are due."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from dagster_transform.dagster.schedules.launching import Launching, run_request, schedule_name
from dagster_transform.dagster.schedules.one_at_a_time import ALL, one_at_a_time
from dagster_transform.errors import TransformError
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.values import JobGroup
from dagster_transform.runs.tags import JOB_GROUP


def group_schedule(
    group: JobGroup,
    launching: Launching,
    job: Any,
    status: dg.DefaultScheduleStatus,
    *,
    loaded: datetime,
    always: Collection[dg.AssetKey] = (),
) -> dg.ScheduleDefinition:
    """The schedule of a job group.

    Args:
        group: The group.
        launching: What there is.
        job: What it launches.
        status: Whether it runs from the start.
        loaded: When this process has read the job group file, aware.
        always: Keys that every tick launches besides: of nodes that can't be loaded, which are
            red then.
    """
    name = schedule_name(group.name)

    def launch(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        # Here, because only a tick needs it: it imports claims.
        from dagster_transform.dagster.schedules.ticks import decide

        tick = context.scheduled_execution_time.astimezone(timezone.utc)
        others = launching.others(context)
        # Two groups that read one asset are not to take it along both.
        with one_at_a_time(ALL if launching.takes_along else group.name):
            decided = decide(
                context.instance,
                group,
                launching,
                tick,
                loaded=loaded,
                log=context.log,
                others=others,
            )
        if not decided.launched and (decided.over or not always):
            return dg.SkipReason(decided.said)
        along, checks = others.selected(decided.along)
        return run_request(
            launching,
            group,
            decided.launched,
            run_key=tick.isoformat(),
            tick=tick,
            always=[*always, *along],
            checks=checks,
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
