"""The walk: the only scheduler. It knows neither a framework nor Dagster."""

from __future__ import annotations

from dagster_transform.walk.gate import Gate, Later, Needs, OpenGate, Refused, Revoked
from dagster_transform.walk.ports import CheckResult, Facts, Inbox, Message, Report, Session
from dagster_transform.walk.walker import Event, Finished, Learned, Retrying, Started, Walk

__all__ = [
    "CheckResult",
    "Event",
    "Facts",
    "Finished",
    "Gate",
    "Inbox",
    "Later",
    "Learned",
    "Message",
    "Needs",
    "OpenGate",
    "Refused",
    "Report",
    "Retrying",
    "Revoked",
    "Session",
    "Started",
    "Walk",
]
