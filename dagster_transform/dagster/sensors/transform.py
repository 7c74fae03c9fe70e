"""The transform's sensor: launches what could not go at its tick, and cleans up after runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_transform.dagster.schedules.launching import Launching
from dagster_transform.errors import TransformError


def transform_sensor(launching: Launching, jobs: Mapping[str, Any]) -> dg.SensorDefinition:
    """The sensor of a transform.

    Args:
        launching: What there is.
        jobs: What it launches, by job group.
    """
    names = {group: str(job.name) for group, job in jobs.items()}

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        # Here, because only an evaluation needs it: it imports claims.
        from dagster_transform.dagster.sensors.evaluation import evaluate

        return evaluate(context, launching, names)

    return dg.SensorDefinition(
        name=launching.sensor,
        evaluation_fn=look,
        minimum_interval_seconds=launching.config.job_groups.sensor_interval,
        jobs=list({job.name: job for job in jobs.values()}.values()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Launches what could not go at its tick as soon as it can, and what was lost with its "
            "run; releases claims that runs have left behind."
        ),
    )


def broken_sensor(name: str, job: Any, interval: int, error: TransformError) -> dg.SensorDefinition:
    """The sensor while the job group file can't be used: each evaluation fails with the reason.
    Without it Dagster would forget whether it was switched off.

    Args:
        name: Its name.
        job: Some job.
        interval: Seconds between two evaluations.
        error: Why the file can't be used.
    """

    def refuse(_context: dg.SensorEvaluationContext) -> dg.SensorResult:
        raise dg.Failure(description=str(error), allow_retries=False)

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=refuse,
        minimum_interval_seconds=interval,
        jobs=[job],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"**Launches nothing:** {error}",
    )
