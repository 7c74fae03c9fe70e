"""The transform's sensor: launches what could not go at its tick, and cleans up after runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_transform.dagster.schedules.launching import Launching


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
