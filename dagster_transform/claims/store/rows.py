"""Rows of the tables as values, and values as rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Row, select

from dagster_transform.claims.ids import ClaimId
from dagster_transform.claims.records import Lease, Resource, Waiter
from dagster_transform.claims.store.schema import batch, lease
from dagster_transform.claims.values import ClaimEvent, Holder, Owner, OwnerKind
from dagster_transform.databases.backends import BackendId
from dagster_transform.planning.resource_keys import ResourceKey

LEASES = select(
    *(column for column in lease.c if column is not lease.c.builds_in),
    lease.c.builds_in.label("builds_in"),  # in the database it has another name
    batch,
).join(batch, lease.c.claim_id == batch.c.claim_id)
"""What `as_lease` reads."""


def event_row(
    at: float,
    kind: str,
    claim_id: ClaimId,
    *,
    resource_key: ResourceKey | None = None,
    fence: int | None = None,
    until: float | None = None,
) -> dict[str, Any]:
    """A row of `event`."""
    return {
        "at": at,
        "kind": kind,
        "claim_id": claim_id,
        "resource_key": None if resource_key is None else str(resource_key),
        "fence": fence,
        "weight": None,
        "capacity": None,
        "until": until,
    }


def owner_columns(owner: Owner) -> dict[str, Any]:
    """The columns of an owner, in `batch` and in `waiter`."""
    return {
        "owner_kind": owner.kind.value,
        "run_id": owner.run_id,
        "root_run_id": owner.root_run_id,
        "attempt": owner.attempt,
        "reason": owner.reason,
        "priority": owner.priority,
    }


def as_owner(row: Row[Any]) -> Owner:
    """The owner of a row."""
    return Owner(
        OwnerKind(row.owner_kind),
        row.run_id,
        row.root_run_id,
        row.attempt,
        row.reason,
        row.priority,
    )


def as_resource(row: Row[Any]) -> Resource:
    """A resource, of a row of `resource`."""
    return Resource(ResourceKey(row.resource_key), row.capacity, row.last_fence)


def as_lease(row: Row[Any]) -> Lease:
    """A lease, of a row of `LEASES`."""
    return Lease(
        ResourceKey(row.resource_key),
        ClaimId(row.claim_id),
        row.weight,
        row.fence,
        as_owner(row),
        row.since,
        row.expires_at,
        as_backends(row.builds_in),
        as_backends(row.to_end),
    )


def as_waiter(row: Row[Any]) -> Waiter:
    """A place in a queue, of a row of `waiter`."""
    return Waiter(
        ResourceKey(row.resource_key),
        ClaimId(row.claim_id),
        row.weight,
        row.ticket,
        as_owner(row),
        row.since,
        row.seen_until,
    )


def as_holder(who: Lease | Waiter) -> Holder:
    """Who holds, or waits, as others see it."""
    until = who.seen_until if isinstance(who, Waiter) else who.expires_at
    return Holder(
        who.resource_key,
        who.claim_id,
        who.owner.kind,
        who.owner.run_id,
        moment(who.since),
        None if until is None else moment(until),
        who.owner.reason,
        who.weight,
        0 if isinstance(who, Waiter) else who.fence,
        () if isinstance(who, Waiter) else who.backends,
        waiting=isinstance(who, Waiter),
        foreign=isinstance(who, Lease) and bool(who.to_end),
    )


def as_event(row: Row[Any]) -> ClaimEvent:
    """An entry of the history, of a row of `event`."""
    found = dict(row._mapping)
    if row.resource_key is not None:
        found["resource_key"] = ResourceKey(row.resource_key)
    return ClaimEvent(**found)


def as_backends(text: str | None) -> tuple[BackendId, ...]:
    """Backends, of a column that holds them with spaces between them."""
    return tuple(map(BackendId, (text or "").split()))


def as_text(backends: Iterable[BackendId]) -> str:
    """Backends as such a column holds them: none of their ids has a space in it."""
    return " ".join(backends)


def moment(seconds: float) -> datetime:
    """Seconds since 1970, as an aware moment."""
    return datetime.fromtimestamp(seconds, timezone.utc)
