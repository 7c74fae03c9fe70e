"""The sensors that watch what is done outside of Dagster, one for each project: definitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_transform.config import DbtProject, SqlmeshProject, TransformConfig
from dagster_transform.dagster.execution.transform import Transform

if TYPE_CHECKING:  # what only an evaluation needs is not imported where definitions load
    from dagster_transform.dagster.watching.environment import EnvironmentWatch


def stamp_of(path: Path) -> str:
    """Which version of a file this is: another text for another one; "" where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns}:{status.st_size}"


def watching_sensors(config: TransformConfig, transform: Transform) -> list[dg.SensorDefinition]:
    """`<project>_environment_sensor` of each SQLMesh project, and `<project>_artifacts_sensor` of
    each dbt project that has a watched folder.

    Args:
        config: The projects.
        transform: What is loaded of them.
    """
    found = []
    for name, project in config.projects.items():
        if isinstance(project, SqlmeshProject):
            found.append(_environment_sensor(name, project, config, transform))
        elif project.watch.folder is not None:
            found.append(_artifacts_sensor(name, project, project.watch.folder, transform))
    return found


def _environment_sensor(
    name: str, project: SqlmeshProject, config: TransformConfig, transform: Transform
) -> dg.SensorDefinition:
    loaded = stamp_of(config.graph_path(name))
    watches: list[EnvironmentWatch] = []

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from dagster_transform.dagster.watching.environment import EnvironmentWatch

        if not watches:
            watches.append(EnvironmentWatch(name, project, transform, loaded))
        return watches[0].evaluate(context)

    return _sensor(
        f"{name}_environment_sensor",
        look,
        project,
        f"Watches environment {project.environment} of SQLMesh project {name}: after a new plan it "
        "writes the graph file anew and has the code location reloaded; what `sqlmesh run` builds "
        "outside of Dagster it tells as materialisations.",
    )


def _artifacts_sensor(
    name: str, project: DbtProject, folder: Path, transform: Transform
) -> dg.SensorDefinition:
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from dagster_transform.dagster.watching.artifacts import evaluate_artifacts

        return evaluate_artifacts(context, name, project, folder, transform)

    return _sensor(
        f"{name}_artifacts_sensor",
        look,
        project,
        f"Watches a folder for artifacts of dbt project {name}: what dbt does outside of Dagster "
        "it tells as materialisations and results of checks.",
    )


def _sensor(
    name: str, look: Any, project: SqlmeshProject | DbtProject, about: str
) -> dg.SensorDefinition:
    return dg.SensorDefinition(
        name=name,
        evaluation_fn=look,
        minimum_interval_seconds=project.watch.interval,
        default_status=dg.DefaultSensorStatus[project.watch.sensor.upper()],
        description=about,
    )
