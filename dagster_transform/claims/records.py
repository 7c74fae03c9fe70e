"""What admission looks at: resources, leases and waiters as they are stored, and a request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dagster_transform.claims.errors import DuplicateWantError, WeightTooLargeError
from dagster_transform.claims.ids import ClaimId
from dagster_transform.claims.values import Owner, Want
from dagster_transform.databases.backends import BackendId
from dagster_transform.planning.resource_keys import ResourceKey


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it is stored.

    Attributes:
        last_fence: Of the latest grant; 0 before the first.
    """

    resource_key: ResourceKey
    capacity: int
    last_fence: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A grant as it is stored. Times are seconds since 1970 by the store's clock.

    Attributes:
        builds_in: The backends in which its holder builds.
        to_end: Backends of expired leases that it replaced, and that nobody has ended yet.
    """

    resource_key: ResourceKey
    claim_id: ClaimId
    weight: int
    fence: int
    owner: Owner
    since: float
    expires_at: float | None
    builds_in: tuple[BackendId, ...] = ()
    to_end: tuple[BackendId, ...] = ()

    @property
    def backends(self) -> tuple[BackendId, ...]:
        """All that have to be ended before somebody else builds."""
        return tuple(dict.fromkeys((*self.to_end, *self.builds_in)))

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

    resource_key: ResourceKey
    claim_id: ClaimId
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
    claim_id: ClaimId
    wants: tuple[Want, ...]
    all_or_nothing: bool

    @classmethod
    def of(
        cls, owner: Owner, claim_id: ClaimId, wants: Iterable[Want], *, all_or_nothing: bool
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
    def keys(self) -> tuple[ResourceKey, ...]:
        """The resource keys, sorted."""
        return tuple(want.resource_key for want in self.wants)
