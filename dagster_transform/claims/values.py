"""The values of claims: what is wanted, who wants it, what was granted, who holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from dagster_transform.claims.errors import TimingError
from dagster_transform.claims.ids import ClaimId, RunId
from dagster_transform.databases.backends import BackendId
from dagster_transform.graph import NodeId
from dagster_transform.planning.resource_keys import ResourceKey

WHOLE = 1000
"""Capacity of what builders take whole: a claim key, an environment."""


class OwnerKind(str, Enum):
    """Who holds something."""

    RUN = "run"
    PERSON = "person"
    """A pause."""
    PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long claims live, in seconds.

    Attributes:
        lease: A grant that nobody renews ends after this long.
        heartbeat: How often the keeper renews; at most a quarter of the lease.
        poll: How often a waiting claimant asks again. Its place in the queue is kept for three.

    Raises:
        TimingError: A value that is not above zero, or a lease shorter than four heartbeats.
    """

    lease: float = 60.0
    heartbeat: float = 15.0
    poll: float = 2.0

    def __post_init__(self) -> None:
        if min(self.lease, self.heartbeat, self.poll) <= 0 or self.lease < 4 * self.heartbeat:
            raise TimingError(self.lease, self.heartbeat, self.poll)

    @property
    def margin(self) -> float:
        """What a holder's trust ends before its lease does: the time to cancel what is running."""
        return self.lease / 10

    @property
    def patience(self) -> float:
        """How long a statement may wait for a lock: less than a quarter of the lease."""
        return self.lease / 5

    @property
    def waiter_life(self) -> float:
        """How long a waiting claimant that does not ask again keeps its place."""
        return 3 * self.poll


@dataclass(frozen=True, slots=True)
class Want:
    """A resource, and how much of it is wanted.

    Attributes:
        weight: How much of it, at least 1; at most the capacity.
        capacity: How much of it there is. What the latest claimant says counts.
    """

    resource_key: ResourceKey
    weight: int = 1
    capacity: int = 1


@dataclass(frozen=True, slots=True)
class Owner:
    """Who claims.

    Attributes:
        run_id: Dagster's id of the run; of a pause: who paused.
        root_run_id: Id of the run that this one retries, itself if none: what holds something for
            a later attempt of the same root is never given to an earlier one.
        attempt: Rises with each attempt of the root run.
        reason: In words, for whoever is refused.
        priority: Higher is served first: a person's run before a tick's.
    """

    kind: OwnerKind
    run_id: RunId
    root_run_id: RunId
    attempt: int
    reason: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a resource, or waits for it.

    Attributes:
        since: Aware, UTC, by the store's clock; so is `expires_at`, None where there is no end.
        backends: Those in which is built, or was built, under this claim: to be ended before
            somebody else builds.
        foreign: Whether some of them are of expired claims that this one has replaced.
        waiting: It does not hold the resource yet, but comes before whoever was refused.
    """

    resource_key: ResourceKey
    claim_id: ClaimId
    owner_kind: OwnerKind
    run_id: RunId
    since: datetime
    expires_at: datetime | None
    reason: str
    weight: int
    fence: int = 0
    backends: tuple[BackendId, ...] = ()
    waiting: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What a claim holds of what it asked for.

    Attributes:
        fences: By resource key; of two grants of one resource, the later has the higher fence.
        asked_at: `clock.elapsed` just before the request; trust runs from there.
        lease: Seconds from then on, unless it is renewed.
        to_end: By resource key: backends of expired claims that this one replaced. They are to be
            ended before anything is built there; `Grants.set_backends` then says that they are.
            Until then whoever takes this claim over is given them too.
    """

    claim_id: ClaimId
    fences: Mapping[ResourceKey, int]
    asked_at: float
    lease: float
    to_end: Mapping[ResourceKey, tuple[BackendId, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        granted: None if nothing of it was granted.
        refused: Who is in the way, by resource key.
    """

    granted: Grant | None
    refused: Mapping[ResourceKey, tuple[Holder, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimEvent:
    """What happened to a resource: an entry of the store's history.

    Attributes:
        at: Seconds since 1970, by the store's clock, as is `until`.
        kind: granted, renewed, released, expired, refused, lost, paused or downgraded.
        resource_key: None for a renewal, which is of all that the claim holds.
        until: When what was granted or renewed ends; None if it does not.
    """

    id: int
    at: float
    kind: str
    resource_key: ResourceKey | None
    claim_id: ClaimId
    fence: int | None
    weight: int | None
    capacity: int | None
    until: float | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel of alerts has been told of something that is not well, or is to be told.

    Attributes:
        channel: The channel's name, with the address where it has several.
        subject: What it is about: a node's or check's id, and what is wrong with it.
        since: When it was noted first, aware, UTC.
        told_at: When the channel was told, aware, UTC; None: it was not yet.
    """

    channel: str
    subject: str
    since: datetime
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingNode:
    """A node that could not go at its tick.

    Attributes:
        tick: When the job group's schedule fired, as text.
        since: Aware, UTC; None for what is not stored yet.
        launched_run_id: The run that it was launched in; None while it waits.
        awaits: Nodes of which one has to be built first that were not well in the run that has left
            this one out; empty: it waits for nothing of the kind.
        began: When that run began, aware; None: it was left out by no run.
    """

    job_group: str
    tick: str
    node: NodeId
    reason: str = ""
    since: datetime | None = None
    launched_run_id: RunId | None = None
    awaits: tuple[NodeId, ...] = ()
    began: datetime | None = None
