"""What a run needs of whoever carries it out, Dagster say: three small ports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from dagster_transform.claims import RunId
from dagster_transform.graph import CheckId, NodeId
from dagster_transform.runs.earlier_failures import LastResult
from dagster_transform.runs.events import RunEvent


class RunLog(Protocol):
    """A log that people read; from any thread."""

    def info(self, text: str, /) -> None:
        """Something worth knowing."""

    def warning(self, text: str, /) -> None:
        """Something that should be looked at."""

    def error(self, text: str, /) -> None:
        """Something that went wrong."""


class RunRecords(Protocol):
    """What is known of other runs, and of what was built before."""

    def has_ended(self, run_id: RunId, /) -> bool:
        """Whether a run is known to have ended; False where nothing is known of it."""

    def last_built(self, nodes: Collection[NodeId], /) -> Mapping[NodeId, float]:
        """When nodes were built, as was last stored, in seconds since 1970 (UTC); those of which
        nothing is stored are not in it."""

    def left_unjudged(self, nodes: Collection[NodeId], /) -> Collection[NodeId]:
        """Of nodes whose build is stored, those that whoever built them may not have come to judge:
        its run was killed or is not done yet, or it was no run."""

    def last_results(self, checks: Collection[CheckId], /) -> Mapping[CheckId, LastResult]:
        """The latest results of checks; those that have none are not in it."""


class EventSink(Protocol):
    """Where events go when nobody takes them from the run any more: it was interrupted."""

    def store(self, event: RunEvent, /) -> None:
        """Store an event now."""
