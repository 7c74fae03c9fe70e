"""The walk: the only scheduler. It knows neither a framework nor Dagster."""

from __future__ import annotations

from dagster_transform.walk.events import Event, Finished, Learned, Progressed, Retrying, Started
from dagster_transform.walk.gate import (
    Gate,
    Later,
    OpenGate,
    Refused,
    Revoked,
    SharedResources,
)
from dagster_transform.walk.ports import (
    CheckResult,
    Claimant,
    ClaimGuard,
    Elsewhere,
    Facts,
    Inbox,
    Message,
    Moved,
    Progress,
    ProjectRun,
    Report,
    Unclaimed,
    Worker,
)
from dagster_transform.walk.walker import Walk, held_back

__all__ = [
    "CheckResult",
    "ClaimGuard",
    "Claimant",
    "Elsewhere",
    "Event",
    "Facts",
    "Finished",
    "Gate",
    "Inbox",
    "Later",
    "Learned",
    "Message",
    "Moved",
    "OpenGate",
    "Progress",
    "Progressed",
    "ProjectRun",
    "Refused",
    "Report",
    "Retrying",
    "Revoked",
    "SharedResources",
    "Started",
    "Unclaimed",
    "Walk",
    "Worker",
    "held_back",
]
