"""The schedules of janitors, one for each SQLMesh project."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.dagster.jobs.janitor import janitor_name


def janitor_schedules(config: TransformConfig, jobs: Iterable[Any]) -> list[dg.ScheduleDefinition]:
    """`<project>_janitor_schedule` for each SQLMesh project.

    Args:
        config: When they tick, and whether they run from the start.
        jobs: The jobs that there are: of a project without a janitor there is no schedule.
    """
    found = {job.name: job for job in jobs}
    schedules = []
    for name, project in config.projects.items():
        job = found.get(janitor_name(name))
        if isinstance(project, SqlmeshProject) and job is not None:
            janitor = project.janitor
            schedules.append(
                dg.ScheduleDefinition(
                    job=job,
                    cron_schedule=janitor.cron or "",
                    execution_timezone=janitor.time_zone or "UTC",
                    description=f"Drops what has expired in SQLMesh project {name}.",
                    default_status=dg.DefaultScheduleStatus[janitor.schedule.upper()],
                )
            )
    return schedules
