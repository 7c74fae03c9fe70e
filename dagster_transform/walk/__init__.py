"""The walk: the only scheduler. It knows neither a framework nor Dagster."""

from __future__ import annotations

from dagster_transform.walk.ports import CheckResult, Inbox, Report, Session
from dagster_transform.walk.walker import Event, Finished, Retrying, Started, Walk

__all__ = [
    "CheckResult",
    "Event",
    "Finished",
    "Inbox",
    "Report",
    "Retrying",
    "Session",
    "Started",
    "Walk",
]
