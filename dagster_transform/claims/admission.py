"""Whether a claim is granted: a pure function of what is held, who waits, the request and now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dagster_transform.claims.errors import UpgradeError
from dagster_transform.claims.records import Lease, Request, Resource, Waiter
from dagster_transform.claims.tickets import Precedence, tickets
from dagster_transform.claims.values import Owner, OwnerKind, Want
from dagster_transform.planning.resource_keys import ResourceKey


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

    held: Mapping[ResourceKey, int]
    granted: Mapping[ResourceKey, int]
    stale: tuple[Lease, ...]
    refused: Mapping[ResourceKey, tuple[Lease | Waiter, ...]]
    free: tuple[ResourceKey, ...]


def decide(
    request: Request,
    resources: Iterable[Resource],
    leases: Iterable[Lease],
    waiters: Iterable[Waiter],
    *,
    now: float,
    precedence: Precedence = tickets,
) -> Decision:
    """Whether a request is granted.

    Args:
        request: Who wants what.
        resources: All that the request names.
        leases: All leases of them, expired ones included.
        waiters: All that wait for them, and the request's own places at any resource. Those that
            were lost by now do not count.
        now: By the store's clock, as the times of leases and waiters are.
        precedence: Who is served before whom.

    Raises:
        UpgradeError: It holds a resource with less than it wants now.
    """
    fences = {resource.resource_key: resource.last_fence for resource in resources}
    leases_of: dict[ResourceKey, list[Lease]] = {key: [] for key in request.keys}
    for lease in leases:
        leases_of[lease.resource_key].append(lease)
    waiters_of: dict[ResourceKey, list[Waiter]] = {key: [] for key in request.keys}
    own: Waiter | None = None
    for waiter in waiters:
        if waiter.seen_until <= now:
            continue
        if waiter.claim_id == request.claim_id:
            own = waiter if own is None else min(own, waiter, key=lambda w: w.ticket)
        elif waiter.resource_key in waiters_of:
            waiters_of[waiter.resource_key].append(waiter)

    held: dict[ResourceKey, int] = {}
    granted: dict[ResourceKey, int] = {}
    stale: list[Lease] = []
    refused: dict[ResourceKey, tuple[Lease | Waiter, ...]] = {}
    for want in request.wants:
        key = want.resource_key
        mine = next((x for x in leases_of[key] if x.claim_id == request.claim_id), None)
        if mine is not None:
            if mine.weight < want.weight:
                raise UpgradeError(key, mine.weight, want.weight)
            held[key] = mine.fence
            continue
        live = [lease for lease in leases_of[key] if lease.live(now)]
        # What an expired claim held is taken by whoever comes: were it kept for those who wait, its
        # retry would wait for claimants that may be waiting for what only it can finish.
        takes_over = len(live) < len(leases_of[key])
        ahead = () if takes_over else precedence(request, own, waiters_of[key])
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
