"""Pauses: a claim that a person holds on the whole of a resource, whoever else holds some of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from dagster_transform.claims.ids import RunId, new_claim_id
from dagster_transform.claims.records import Lease
from dagster_transform.claims.store.removing import lock_claims
from dagster_transform.claims.store.rows import as_holder, event_row, owner_columns
from dagster_transform.claims.store.schema import batch as _batch
from dagster_transform.claims.store.schema import event as _event
from dagster_transform.claims.store.schema import lease as _lease
from dagster_transform.claims.store.schema import resource as _resource
from dagster_transform.claims.store.transactions import IS_PAUSE, SqlTransactions
from dagster_transform.claims.values import Holder, Owner, OwnerKind, Want
from dagster_transform.planning.resource_keys import ResourceKey


class SqlPauses(SqlTransactions):
    """The contract is `Pauses`'."""

    def pause(  # noqa: D102
        self,
        resource_key: ResourceKey,
        *,
        capacity: int,
        reason: str,
        until: datetime | None = None,
        by: str = "",
    ) -> Holder:
        owner = Owner(OwnerKind.PERSON, RunId(by), RunId(""), 0, reason)
        expires_at = None if until is None else until.timestamp()
        claim_id = new_claim_id()

        def work(connection: Connection) -> Holder:
            resource = connection.execute(
                select(_resource).where(_resource.c.resource_key == resource_key).with_for_update()
            ).one()
            self._at("pause.locked")
            now = self._now(connection)
            self._end_pause(connection, resource_key)
            lease = Lease(
                resource_key, claim_id, capacity, resource.last_fence + 1, owner, now, expires_at
            )
            connection.execute(
                update(_resource)
                .where(_resource.c.resource_key == resource_key)
                .values(last_fence=lease.fence, capacity=capacity)
            )
            connection.execute(
                insert(_batch).values(
                    claim_id=claim_id,
                    **owner_columns(owner),
                    acquired_at=now,
                    expires_at=expires_at,
                )
            )
            connection.execute(
                insert(_lease).values(
                    resource_key=resource_key,
                    claim_id=claim_id,
                    weight=capacity,
                    fence=lease.fence,
                    since=now,
                    to_end="",
                )
            )
            event = event_row(now, "paused", claim_id, resource_key=resource_key, fence=lease.fence)
            sizes = {"weight": capacity, "capacity": capacity, "until": expires_at}
            connection.execute(insert(_event).values(event | sizes))
            self._at("pause.written")
            return as_holder(lease)

        self._add([Want(resource_key, capacity, capacity)])
        return self._transact(work, "pause")

    def resume(self, resource_key: ResourceKey) -> bool:  # noqa: D102
        return self._transact(lambda c: self._end_pause(c, resource_key), "resume")

    def _end_pause(self, connection: Connection, resource_key: ResourceKey) -> bool:
        of_key = select(_lease.c.claim_id).where(_lease.c.resource_key == resource_key)
        claims = lock_claims(connection, IS_PAUSE, _batch.c.claim_id.in_(of_key))
        return bool(self._remove_all(connection, claims, "released"))
