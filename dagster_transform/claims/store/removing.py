"""Locking claims, and removing what they hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    bindparam,
    delete,
    exists,
    select,
)

from dagster_transform.claims.ids import ClaimId
from dagster_transform.claims.records import Lease
from dagster_transform.claims.store.database import Database
from dagster_transform.claims.store.rows import LEASES, as_lease, event_row
from dagster_transform.claims.store.schema import batch as _batch
from dagster_transform.claims.store.schema import event as _event
from dagster_transform.claims.store.schema import lease as _lease
from dagster_transform.claims.store.schema import waiter as _waiter
from dagster_transform.planning.resource_keys import ResourceKey


def lock_claims(
    connection: Connection, *wanted: ColumnElement[bool]
) -> dict[ClaimId, float | None]:
    """Lock the rows of `batch` that are `wanted`, by claim id; until when each is held."""
    rows = connection.execute(
        select(_batch.c.claim_id, _batch.c.expires_at)
        .where(*wanted)
        .order_by(_batch.c.claim_id)
        .with_for_update()
    )
    return {ClaimId(row.claim_id): row.expires_at for row in rows}


def remove(
    database: Database, connection: Connection, leases: Iterable[Lease], now: float, kind: str
) -> None:
    """Delete leases of locked claims, and the claims that hold nothing then; record it."""
    keys_of: dict[ClaimId, list[ResourceKey]] = {}
    events: list[dict[str, Any]] = []
    for lease in leases:
        keys_of.setdefault(lease.claim_id, []).append(lease.resource_key)
        events.append(
            event_row(now, kind, lease.claim_id, resource_key=lease.resource_key, fence=lease.fence)
        )
    if not events:
        return
    for claim_id, keys in keys_of.items():
        values = {"claim": claim_id, "keys": database.listed(keys)}
        database.run(connection, _removed, values)
    database.run(connection, _dropped, {"claims": database.listed(list(keys_of))})
    database.add(connection, _event, events)


def _removed(database: Database) -> Executable:
    return delete(_lease).where(
        _lease.c.claim_id == bindparam("claim"),
        database.among(_lease.c.resource_key, bindparam("keys")),
    )


def _dropped(database: Database) -> Executable:
    """Those that hold nothing."""
    holds = exists().where(_lease.c.claim_id == _batch.c.claim_id)
    return delete(_batch).where(database.among(_batch.c.claim_id, bindparam("claims")), ~holds)


def give_up(
    database: Database,
    connection: Connection,
    claim_id: ClaimId,
    keys: Collection[ResourceKey] | None,
) -> list[Lease]:
    """Lose a locked claim's places in queues (None: all); what it holds there, not yet removed."""
    known = {"claim": claim_id, "keys": database.listed(list(keys or ()))}
    leases, places = (
        (_leases_of_claim, _places_of_claim)
        if keys is None
        else (_some_leases_of_claim, _some_places_of_claim)
    )
    found = [as_lease(row) for row in database.run(connection, leases, known)]
    database.run(connection, places, known)
    return found


def locked_claim(_database: Database) -> Executable:
    """Lock one claim, with `Database.run`."""
    return select(_batch).where(_batch.c.claim_id == bindparam("claim")).with_for_update()


def _leases_of_claim(_database: Database) -> Executable:
    return LEASES.where(_lease.c.claim_id == bindparam("claim"))


def _some_leases_of_claim(database: Database) -> Executable:
    return LEASES.where(
        _lease.c.claim_id == bindparam("claim"),
        database.among(_lease.c.resource_key, bindparam("keys")),
    )


def _places_of_claim(_database: Database) -> Executable:
    return delete(_waiter).where(_waiter.c.claim_id == bindparam("claim"))


def _some_places_of_claim(database: Database) -> Executable:
    return delete(_waiter).where(
        _waiter.c.claim_id == bindparam("claim"),
        database.among(_waiter.c.resource_key, bindparam("keys")),
    )
