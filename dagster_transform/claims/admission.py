"""Whether a claim is granted: a pure function of what is held, who waits, the request and now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dagster_transform.claims.errors import (
    DuplicateWantError,
    UpgradeError,
    WeightTooLargeError,
)
from dagster_transform.claims.values import Owner, OwnerKind, Want


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it is stored.

    Attributes:
        last_fence: Of the latest grant; 0 before the first.
    """

    resource_key: str
    capacity: int
    last_fence: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A grant as it is stored. Times are seconds since 1970 by the store's clock.

    Attributes:
        session: The server sessions that build under it, with spaces between them.
        to_end: Sessions of expired leases that it replaced, and that nobody has ended yet.
    """

    resource_key: str
    claim_id: str
    weight: int
    fence: int
    owner: Owner
    since: float
    expires_at: float | None
    session: str | None = None
    to_end: tuple[str, ...] = ()

    @property
    def sessions(self) -> tuple[str, ...]:
        """All that have to be ended before somebody else builds."""
        return tuple(dict.fromkeys((*self.to_end, *(self.session or "").split())))

    def live(self, now: float) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or self.expires_at > now


@dataclass(frozen=True, slots=True)
class Waiter:
    """A claimant's place in the queue for one resource.

    Attributes:
        ticket: Lower is served first, among those of one priority; one for all of a claim.
        seen_until: When the place is lost, unless the claimant asks again.
    """

    resource_key: str
    claim_id: str
    weight: int
    ticket: int
    owner: Owner
    since: float
    seen_until: float

    @property
    def rank(self) -> tuple[int, int]:
        """Its place among all who wait: lower is served first."""
        return (-self.owner.priority, self.ticket)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, checked and in order.

    Attributes:
        wants: Sorted by resource key, each once. Whatever locks them locks in this order.
    """

    owner: Owner
    claim_id: str
    wants: tuple[Want, ...]
    all_or_nothing: bool

    @classmethod
    def of(
        cls, owner: Owner, claim_id: str, wants: Iterable[Want], *, all_or_nothing: bool
    ) -> Request:
        """A request for `wants`; one that is there twice counts once.

        Raises:
            WeightTooLargeError: A want is above its capacity.
            DuplicateWantError: One resource is wanted with two weights or capacities.
            ValueError: A weight below 1, no resource key, or no claim id.
        """
        found = sorted(set(wants), key=lambda want: want.resource_key)
        keys = [want.resource_key for want in found]
        if len(set(keys)) < len(keys):
            raise DuplicateWantError({key for key in keys if keys.count(key) > 1})
        for want in found:
            if want.weight > want.capacity:
                raise WeightTooLargeError(want.resource_key, want.weight, want.capacity)
        if not claim_id or any(want.weight < 1 or not want.resource_key for want in found):
            raise ValueError("a claim needs an id, and each want a key and a weight of at least 1")
        return cls(owner, claim_id, tuple(found), all_or_nothing)

    @property
    def keys(self) -> tuple[str, ...]:
        """The resource keys, sorted."""
        return tuple(want.resource_key for want in self.wants)


class Policy(Protocol):
    """Who is served before whom."""

    def __call__(
        self, request: Request, own: Waiter | None, waiters: Sequence[Waiter]
    ) -> Collection[Waiter]:
        """Those of `waiters` (live ones, of one resource, of other claims) that come first.

        Args:
            request: Who asks now.
            own: Its place in the queue, at any resource; None if it has none yet.
            waiters: Who else waits for the resource.
        """
        ...


def tickets(request: Request, own: Waiter | None, waiters: Sequence[Waiter]) -> list[Waiter]:
    """The default policy: by priority, then first come, first served."""
    if own is None:
        return [w for w in waiters if w.owner.priority >= request.owner.priority]
    return [w for w in waiters if w.rank < own.rank]


def barging(_request: Request, _own: Waiter | None, _waiters: Sequence[Waiter]) -> list[Waiter]:
    """No queue: whoever asks when it is free. More throughput, and no bound on the wait."""
    return []


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about a request.

    Attributes:
        held: Fences of what the claim held before: an answer that was lost is given again.
        granted: New fences.
        stale: Expired leases of the resources in `granted`, to be removed.
        refused: Live leases and waiters that are in the way, by resource key. It may be empty for
            a key that nobody holds, where its capacity has been lowered.
        free: Keys that would have been granted, had all the others been free too.
    """

    held: Mapping[str, int]
    granted: Mapping[str, int]
    stale: tuple[Lease, ...]
    refused: Mapping[str, tuple[Lease | Waiter, ...]]
    free: tuple[str, ...]


def decide(
    request: Request,
    resources: Iterable[Resource],
    leases: Iterable[Lease],
    waiters: Iterable[Waiter],
    *,
    now: float,
    policy: Policy = tickets,
) -> Decision:
    """Whether a request is granted.

    Args:
        request: Who wants what.
        resources: All that the request names.
        leases: All leases of them, expired ones included.
        waiters: All that wait for them, and the request's own places at any resource. Those that
            were lost by now do not count.
        now: By the store's clock, as the times of leases and waiters are.
        policy: Who is served before whom.

    Raises:
        UpgradeError: It holds a resource with less than it wants now.
    """
    fences = {resource.resource_key: resource.last_fence for resource in resources}
    leases_of: dict[str, list[Lease]] = {key: [] for key in request.keys}
    for lease in leases:
        leases_of[lease.resource_key].append(lease)
    waiters_of: dict[str, list[Waiter]] = {key: [] for key in request.keys}
    own: Waiter | None = None
    for waiter in waiters:
        if waiter.seen_until <= now:
            continue
        if waiter.claim_id == request.claim_id:
            own = waiter if own is None else min(own, waiter, key=lambda w: w.ticket)
        elif waiter.resource_key in waiters_of:
            waiters_of[waiter.resource_key].append(waiter)

    held: dict[str, int] = {}
    granted: dict[str, int] = {}
    stale: list[Lease] = []
    refused: dict[str, tuple[Lease | Waiter, ...]] = {}
    for want in request.wants:
        key = want.resource_key
        mine = next((x for x in leases_of[key] if x.claim_id == request.claim_id), None)
        if mine is not None:
            if mine.weight < want.weight:
                raise UpgradeError(key, mine.weight, want.weight)
            held[key] = mine.fence
            continue
        live = [lease for lease in leases_of[key] if lease.live(now)]
        # What a dead claim left is taken by whoever comes: were it kept for those who wait, its
        # retry would wait for claimants that may be waiting for what only it can finish.
        is_left = len(live) < len(leases_of[key])
        ahead = () if is_left else policy(request, own, waiters_of[key])
        in_the_way = _in_the_way(want, request, live, ahead)
        if in_the_way is not None:
            refused[key] = in_the_way
            continue
        granted[key] = fences[key] + 1
        stale += [lease for lease in leases_of[key] if not lease.live(now)]
    if refused and request.all_or_nothing:
        return Decision(held, {}, (), refused, tuple(granted))
    return Decision(held, granted, tuple(stale), refused, ())


def _in_the_way(
    want: Want, request: Request, live: Sequence[Lease], ahead: Collection[Waiter]
) -> tuple[Lease | Waiter, ...] | None:
    """Who holds what a want would need, and who is served before it; None if there is enough."""
    later = [lease for lease in live if _is_later_attempt(lease.owner, request.owner)]
    if later:
        return tuple(later)
    held = sum(lease.weight for lease in live)
    if held + sum(waiter.weight for waiter in ahead) + want.weight <= want.capacity:
        return None
    return tuple(live) if held + want.weight > want.capacity else (*live, *ahead)


def _is_later_attempt(holder: Owner, asking: Owner) -> bool:
    return (
        holder.kind is not OwnerKind.PERSON
        and holder.root_run_id == asking.root_run_id
        and holder.attempt > asking.attempt
    )
