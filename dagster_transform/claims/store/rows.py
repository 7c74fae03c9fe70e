"""Rows of the tables as values, and values as rows."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Row, select

from dagster_transform.claims.admission import Lease, Waiter
from dagster_transform.claims.store.schema import batch, lease
from dagster_transform.claims.values import Holder, Owner, OwnerKind

LEASES = select(lease, batch).join(batch, lease.c.claim_id == batch.c.claim_id)
"""What `as_lease` reads."""


def record(
    at: float,
    kind: str,
    claim_id: str,
    *,
    resource_key: str | None = None,
    fence: int | None = None,
    until: float | None = None,
) -> dict[str, Any]:
    """A row of `event`."""
    return {
        "at": at,
        "kind": kind,
        "claim_id": claim_id,
        "resource_key": resource_key,
        "fence": fence,
        "weight": None,
        "capacity": None,
        "until": until,
    }


def owner_columns(owner: Owner) -> dict[str, Any]:
    """The columns that tell an owner, in `batch` and in `waiter`."""
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


def as_lease(row: Row[Any]) -> Lease:
    """A lease, of a row of `LEASES`."""
    return Lease(
        row.resource_key,
        row.claim_id,
        row.weight,
        row.fence,
        as_owner(row),
        row.since,
        row.expires_at,
        row.session,
        tuple(row.to_end.split()),
    )


def as_waiter(row: Row[Any]) -> Waiter:
    """A place in a queue, of a row of `waiter`."""
    return Waiter(
        row.resource_key,
        row.claim_id,
        row.weight,
        row.ticket,
        as_owner(row),
        row.since,
        row.seen_until,
    )


def as_holder(who: Lease | Waiter) -> Holder:
    """Who holds, or waits, as it is told to others."""
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
        () if isinstance(who, Waiter) else who.sessions,
        waiting=isinstance(who, Waiter),
    )


def moment(seconds: float) -> datetime:
    """Seconds since 1970, as an aware moment."""
    return datetime.fromtimestamp(seconds, timezone.utc)
