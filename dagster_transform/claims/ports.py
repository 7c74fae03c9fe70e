"""The extension points of claims: what a claims store does, by role."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Protocol

from dagster_transform.claims.ids import ClaimId, RunId
from dagster_transform.claims.values import (
    Answer,
    ClaimEvent,
    Grant,
    Holder,
    Owner,
    PendingNode,
    Timing,
    Told,
    Want,
)
from dagster_transform.databases.backends import BackendId
from dagster_transform.planning.resource_keys import ResourceKey


class Grants(Protocol):
    """Grants that never overlap: what a claimant does.

    Attributes:
        timing: How long claims live.
    """

    @property
    def timing(self) -> Timing:
        """How long claims live."""
        ...

    def acquire(
        self,
        owner: Owner,
        wants: Iterable[Want],
        *,
        claim_id: ClaimId,
        all_or_nothing: bool,
        wait: bool = False,
        lease: float | None = None,
    ) -> Answer:
        """Claim what is free of `wants`, or all of it, or nothing.

        The claim id is the request's identity: what it holds already is answered with the same
        fence. So a lost answer is asked for again, and a claimant that polls for the rest goes on
        under one id; what is granted then is renewed and released together with the earlier part.

        Args:
            owner: Who claims; the same each time for one claim id.
            wants: In any order.
            claim_id: As of `new_claim_id`, made by the caller.
            all_or_nothing: Grant nothing unless all is free.
            wait: Keep a place in the queue of each resource that is not free, for three polls.
                The place is kept until the resource is granted or the claim is released.
            lease: Seconds; the timing's by default. The same each time for one claim id.

        Raises:
            ClaimLostError: The claim's lease has expired: its id is over.
            WeightTooLargeError, DuplicateWantError, UpgradeError: What is wanted cannot be.
        """
        ...

    def renew(self, grants: Iterable[Grant], *, lease: float | None = None) -> None:
        """Prolong claims by a lease from now.

        Raises:
            ClaimLostError: Some are no longer held, with the same fences; the others are renewed.
        """
        ...

    def holds(self, claim_id: ClaimId, resource_key: ResourceKey, fence: int) -> bool:
        """Whether a claim still holds a resource."""
        ...

    def release(
        self, claim_id: ClaimId, keys: Collection[ResourceKey] | None = None
    ) -> tuple[ResourceKey, ...]:
        """Release resources (None: all), and places in their queues.

        Returns:
            What was held and no longer is, sorted. What others hold by now is not touched.
        """
        ...

    def downgrade(self, claim_id: ClaimId, resource_key: ResourceKey, weight: int) -> None:
        """Keep only `weight` of a resource; what is held with less stays as it is.

        Raises:
            ClaimLostError: It is no longer held.
        """
        ...

    def set_backends(
        self,
        claim_id: ClaimId,
        backends: Collection[BackendId],
        keys: Collection[ResourceKey] | None = None,
    ) -> None:
        """Write down in which backends a claim's resources (None: all) are built; empty: in none.

        It also says that the backends of `Grant.to_end` have been ended.
        """
        ...


class Recovery(Protocol):
    """Who holds what, and the release of what runs that have ended still hold."""

    def holders(
        self, keys: Collection[ResourceKey] | None = None, *, run_id: RunId | None = None
    ) -> list[Holder]:
        """Who holds what, pauses included, by resource key and fence; expired leases are not in."""
        ...

    def expired(self) -> list[Holder]:
        """Expired leases that nobody has taken over yet; no pauses."""
        ...

    def release_run(self, run_id: RunId, *, below_attempt: int | None = None) -> list[Holder]:
        """Release all that a run holds and waits for (or that earlier attempts of it do).

        For a run that has ended, once the backends of `holders(run_id=...)` and of what has
        expired have been ended.

        Returns:
            What was released, expired leases included.
        """
        ...


class Pauses(Protocol):
    """Claims that a person holds, so that no run gets a resource."""

    def pause(
        self,
        resource_key: ResourceKey,
        *,
        capacity: int,
        reason: str,
        until: datetime | None = None,
        by: str = "",
    ) -> Holder:
        """Grant nothing of a resource any more; what is held stays held. Replaces a pause.

        Args:
            resource_key: What is paused.
            capacity: Its capacity.
            reason: For whoever is refused.
            until: When the pause ends by itself, aware.
            by: Who paused; the holder's `run_id`.
        """
        ...

    def resume(self, resource_key: ResourceKey) -> bool:
        """End a pause; whether there was one."""
        ...


class History(Protocol):
    """What has happened to resources."""

    def events(self) -> list[ClaimEvent]:
        """The history, oldest first."""
        ...

    def prune(self, before: datetime) -> int:
        """Forget history before a moment (aware), pauses that ended and places that were lost.

        Returns:
            How many events were removed.
        """
        ...


class PendingWork(Protocol):
    """Nodes that could not go at their tick, until a run is launched for them."""

    def postpone(self, nodes: Iterable[PendingNode]) -> None:
        """Remember nodes that could not go; what is remembered already keeps its `since`."""
        ...

    def postponed(self, job_group: str | None = None) -> list[PendingNode]:
        """What waits to be launched, oldest first."""
        ...

    def remembered(self) -> list[PendingNode]:
        """All that was postponed and not withdrawn, launched or not, oldest first."""
        ...

    def launch(
        self, nodes: Iterable[PendingNode], run_id: RunId, *, instead_of: RunId | None = None
    ) -> list[PendingNode]:
        """Mark nodes as launched in a run, by compare-and-set.

        Args:
            nodes: Which.
            run_id: The run, or the key under which it is asked for.
            instead_of: What they may be marked as launched in until now: a run that has never
                appeared.

        Returns:
            Those that are this run's now; others were launched or withdrawn by somebody else.
        """
        ...

    def withdraw(self, nodes: Iterable[PendingNode], run_id: RunId | None = None) -> None:
        """Forget nodes: all of them, or those that `run_id` was launched for."""
        ...


class ToldAlerts(Protocol):
    """What channels of alerts were told, so that they are told once, whichever run it is.

    What is to be told is noted, taken, sent, and then settled: a run that dies in between has taken
    it for five minutes, after which another one may. A key is a channel and a subject.
    """

    def note(self, keys: Iterable[tuple[str, str]]) -> None:
        """Note that something is not well; what is noted already stays as it is."""
        ...

    def noted(self) -> list[Told]:
        """All that is not well, as far as it was noted; by channel and subject."""
        ...

    def take(self, keys: Iterable[tuple[str, str]], run_id: RunId) -> list[Told]:
        """Take what nobody else is about to tell, by compare-and-set.

        Returns:
            What is the run's to tell now, in the order of `keys`; taken again, it still is.
        """
        ...

    def settle(
        self,
        run_id: RunId,
        *,
        told: Collection[tuple[str, str]] = (),
        over: Collection[tuple[str, str]] = (),
        put_back: Collection[tuple[str, str]] = (),
    ) -> None:
        """End what a run has taken; what it has not is left alone.

        Args:
            run_id: The run.
            told: The channel knows of it now.
            over: It is well again: it is forgotten.
            put_back: It could not be told: the next run may.
        """
        ...


class Store(Grants, Recovery, Pauses, History, PendingWork, ToldAlerts, Protocol):
    """A claims store in all its roles; whoever needs one of them asks for that one.

    Each method is one short transaction (`acquire`: a second one where a resource is new) and may
    be asked again when its answer was lost. May be called from any thread. The store's clock, its
    database's, decides what has expired.

    Every method raises `StoreUnreachableError` and `StoreBusyError`.

    Attributes:
        url: Where it is, without the password.
        shared: Whether other processes see the same claims.
    """

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other processes see the same claims."""
        ...

    def close(self) -> None:
        """Close the connections; the store can still be used."""
        ...
