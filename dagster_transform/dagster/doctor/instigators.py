"""What is wrong with daemons, sensors and schedules, as an instance's storage has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import dagster as dg

from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.dagster._compat_doctor import silent_daemons
from dagster_transform.dagster._compat_schedules import (
    Instigator,
    instigators,
    last_looks,
    read_notes,
)
from dagster_transform.dagster.schedules.launching import schedule_name
from dagster_transform.planning.findings import Code, Finding, Severity
from dagster_transform.planning.findings.schedules import schedule_findings

_TRANSFORM_SENSOR = "transform_sensor"


def instigator_findings(
    instance: dg.DagsterInstance, config: TransformConfig, groups: Collection[str] | None
) -> list[Finding]:
    """What is wrong with what should tick.

    Args:
        instance: Not one in memory.
        config: The transform's configuration.
        groups: The names of the job groups; None: the file can't be read.
    """
    known = instigators(instance)
    found = [*_daemons(instance)]
    for sensor in known:
        if sensor.is_sensor and sensor.name in _sensors(config):
            found += _sensor(instance, known, sensor)
    if groups is not None:
        schedules = [each for each in known if not each.is_sensor and each.on]
        # Only schedules of job groups have a note.
        noted = [(each.location, each.name) for each in read_notes(instance, schedules)]
        names = {schedule_name(group) for group in groups}
        found += schedule_findings(noted, names, str(config.job_group_file))
    return found


def _sensors(config: TransformConfig) -> Iterator[str]:
    """Names of the sensors that should be on."""
    if config.job_group_file.exists():
        yield _TRANSFORM_SENSOR
    for name, project in config.projects.items():
        if project.watch.sensor == "running":
            kind = "environment" if isinstance(project, SqlmeshProject) else "artifacts"
            yield f"{name}_{kind}_sensor"


def _daemons(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """What has not been heard of is one finding: it is one process. What it has said are others."""
    heard: dict[str, list[str]] = {}
    for name, (at, error) in silent_daemons(instance).items():
        last = f"last heard of at {at:%Y-%m-%d %H:%M} UTC" if at else "never heard of"
        if error:
            yield _silent(f"Dagster's daemon {name}, {last}, says: {error}", name)
        else:
            heard.setdefault(last, []).append(name)
    for last, names in heard.items():
        yield _silent(f"Dagster's daemons {', '.join(names)}: {last}.", ", ".join(names))


def _silent(what: str, where: str) -> Finding:
    return Finding(
        Code.DAEMON_NOT_RUNNING,
        Severity.WARNING,
        what=what,
        cause="Without daemons no schedule ticks, no sensor looks and no queued run starts. Where "
        "nothing is deployed yet it is normal while no `dagster dev` runs.",
        remedy="Start `dagster-daemon run` with this DAGSTER_HOME (`dagster dev` has one), and "
        "look at its log.",
        where=where,
    )


def _sensor(
    instance: dg.DagsterInstance, known: Collection[Instigator], sensor: Instigator
) -> Iterator[Finding]:
    where = f"{sensor.location}: {sensor.name}"
    if not sensor.on:
        yield Finding(
            Code.SENSOR_NOT_RUNNING,
            Severity.WARNING,
            what=f"Sensor {sensor.name} is switched off in code location {sensor.location}.",
            cause="What could not go at its tick is not launched, and claims of ended runs wait "
            "for their lease."
            if sensor.name == _TRANSFORM_SENSOR
            else "What is done outside of Dagster is not told, and a new plan does not reach the "
            "graph file.",
            remedy="Switch it on in the UI (Automation), or `dagster sensor start`.",
            where=where,
        )
        return
    last = last_looks(instance, known, sensor.name, sensor.location)
    if last is not None and last.error:
        yield Finding(
            Code.SENSOR_NOT_RUNNING,
            Severity.WARNING,
            what=f"The last look of sensor {sensor.name} in code location {sensor.location} has "
            "failed.",
            cause=last.error,
            remedy="Open the sensor in the UI: its tick has the whole error.",
            where=where,
        )
