"""What the transform's sensor tells people, and what a tick does that finds it stuck."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

import dagster as dg

from dagster_transform.claims import Store
from dagster_transform.config import TransformConfig
from dagster_transform.config.alerts import Alerts
from dagster_transform.dagster._compat_schedules import Instigator, last_looks
from dagster_transform.dagster.alerts.telling import alerting_sensor, tell
from dagster_transform.dagster.schedules.launching import Launching
from dagster_transform.graph import NodeId
from dagster_transform.planning.follow_up import FollowUp
from dagster_transform.runs.alerts.incidents import (
    news_of_drift,
    news_of_sensor,
    news_of_stuck_sensor,
)
from dagster_transform.runs.ports import RunLog

_LONGEST = 20.0
"""Seconds that sending may take: Dagster gives an evaluation sixty."""
_STUCK_AFTER = timedelta(minutes=15)
_INTERVALS = 10
"""Or so many of its intervals, whichever is longer."""


def tell_of_waits(
    decided: FollowUp, store: Store, launching: Launching, location: str, log: RunLog
) -> None:
    """Tell people what waits for long and what is given up; what was blocked by a failure was told
    by the run that failed. Raises nothing.

    Args:
        decided: What has become of what is owed.
        store: Where it is remembered what was told.
        launching: What there is.
        location: The code location.
        log: The sensor's.
    """
    alerts = launching.config.alerts
    # Several ticks of a node wait for the same thing.
    found: dict[tuple[NodeId, bool], tuple[NodeId, str, str, bool]] = {}
    for rows, given_up in ((decided.given_up, True), (decided.waiting, False)):
        for each, why in rows.items():
            if not each.awaits:
                found.setdefault((each.node, given_up), (each.node, each.job_group, why, given_up))
    look = alerting_sensor(alerts, launching.sensor, location, datetime.now(timezone.utc))
    news = news_of_sensor(look, launching.graph, found.values(), launching.scheduled.called)
    tell(news, _in_time(alerts), lambda: store, log)


def tell_if_stuck(
    instance: dg.DagsterInstance,
    store: Store,
    launching: Launching,
    *,
    location: str,
    every: Iterable[Instigator],
    tick: datetime,
    log: RunLog,
) -> None:
    """Tell people where the sensor is switched on and has not looked for long: nobody launches then
    what ticks postpone. Raises nothing.

    Args:
        instance: Dagster's.
        store: Where it is remembered what was told.
        launching: What there is.
        location: The code location.
        every: All schedules and sensors.
        tick: The tick that has found it so, aware: it may be evaluated long after.
        log: The tick's.
    """
    last = last_looks(instance, every, launching.sensor, location)
    interval = timedelta(seconds=launching.config.job_groups.sensor_interval)
    limit = max(_STUCK_AFTER, _INTERVALS * interval)
    if last is None or (last.went_well is not None and tick - last.went_well < limit):
        return
    since = f"since {last.went_well:%Y-%m-%d %H:%M} UTC" if last.went_well else "so far"
    why = f": {last.error}" if last.error else "; does the daemon run its sensors?"
    reason = f"it has not looked {since}, and nobody launches what waits{why}"
    log.warning(f"Sensor {launching.sensor}: {reason}")
    alerts = launching.config.alerts
    if alerts.channels:
        look = alerting_sensor(alerts, launching.sensor, location, datetime.now(timezone.utc))
        news = news_of_stuck_sensor(look, launching.config.projects, reason)
        tell(news, _in_time(alerts), lambda: store, log)


def tell_of_drift(
    config: TransformConfig,
    store: Store,
    sensor: str,
    location: str,
    *,
    project: str,
    lines: Sequence[str],
    log: RunLog,
) -> None:
    """Tell people how a new graph file differs from the environment, and what of the job group file
    does not fit any more. Raises nothing.

    Args:
        config: Who is to be told.
        store: Where it is remembered what was told.
        sensor: The environment sensor's name.
        location: The code location.
        project: Whose graph file it is.
        lines: What there is to say; none: all fits, which is told to whom was told otherwise.
        log: The sensor's.
    """
    if config.alerts.channels:
        look = alerting_sensor(config.alerts, sensor, location, datetime.now(timezone.utc))
        tell(news_of_drift(look, project, lines), _in_time(config.alerts), lambda: store, log)


def _in_time(alerts: Alerts) -> Alerts:
    return alerts.model_copy(update={"limit": min(alerts.limit, _LONGEST)})
