"""Granting, renewing and releasing, each in one short transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, insert, or_, select, update

from dagster_transform.claims.clock import elapsed
from dagster_transform.claims.errors import ClaimLostError
from dagster_transform.claims.ids import ClaimId
from dagster_transform.claims.records import Request
from dagster_transform.claims.store.acquiring import Acquiring
from dagster_transform.claims.store.removing import give_up, locked_claim, remove
from dagster_transform.claims.store.rows import LEASES, as_lease, as_text, event_row
from dagster_transform.claims.store.schema import batch as _batch
from dagster_transform.claims.store.schema import event as _event
from dagster_transform.claims.store.schema import lease as _lease
from dagster_transform.claims.store.transactions import SqlTransactions
from dagster_transform.claims.values import Answer, Grant, Owner, Want
from dagster_transform.databases.backends import BackendId
from dagster_transform.planning.resource_keys import ResourceKey


class SqlGrants(SqlTransactions):
    """The contract is `Grants`'."""

    def acquire(  # noqa: D102
        self,
        owner: Owner,
        wants: Iterable[Want],
        *,
        claim_id: ClaimId,
        all_or_nothing: bool,
        wait: bool = False,
        lease: float | None = None,
    ) -> Answer:
        request = Request.of(owner, claim_id, wants, all_or_nothing=all_or_nothing)
        if not request.wants:
            return Answer(None)
        asked_at = elapsed()
        seconds = lease or self._timing.lease

        def work(connection: Connection) -> Answer | None:
            return Acquiring(self._terms, connection, request, seconds, asked_at, wait).answer()

        answer = self._transact(work, "acquire")
        while answer is None:
            self._add(request.wants)
            answer = self._transact(work, "acquire")
        return answer

    def renew(self, grants: Iterable[Grant], *, lease: float | None = None) -> None:  # noqa: D102
        fences: dict[ClaimId, dict[ResourceKey, int]] = {}
        for grant in grants:
            fences.setdefault(grant.claim_id, {}).update(grant.fences)
        if not fences:
            return
        seconds = lease or self._timing.lease
        lost = self._transact(lambda c: self._renew(c, fences, seconds), "renew")
        if lost:
            raise ClaimLostError(lost)

    def _renew(
        self,
        connection: Connection,
        fences: Mapping[ClaimId, Mapping[ResourceKey, int]],
        seconds: float,
    ) -> dict[ClaimId, tuple[ResourceKey, ...]]:
        expires = self._lock(connection, fences)
        self._at("renew.locked")
        now = self._now(connection)
        live = [claim for claim, until in expires.items() if until is None or until > now]
        found = {
            (row.claim_id, row.resource_key, row.fence)
            for row in connection.execute(
                select(_lease.c.claim_id, _lease.c.resource_key, _lease.c.fence).where(
                    self._database.among(_lease.c.claim_id, live)
                )
            )
        }
        self._at("renew.read")
        connection.execute(
            update(_batch)
            .where(self._database.among(_batch.c.claim_id, live), _batch.c.expires_at > now)
            .values(expires_at=now + seconds)
        )
        lost = {
            claim: missing
            for claim, keys in fences.items()
            if (missing := tuple(sorted(k for k, f in keys.items() if (claim, k, f) not in found)))
        }
        events = [event_row(now, "renewed", claim, until=now + seconds) for claim in live]
        events += [
            event_row(now, "lost", claim, resource_key=key, fence=fences[claim][key])
            for claim, keys in lost.items()
            for key in keys
        ]
        if events:
            connection.execute(insert(_event), events)
        self._at("renew.written")
        return lost

    def holds(self, claim_id: ClaimId, resource_key: ResourceKey, fence: int) -> bool:  # noqa: D102
        def work(connection: Connection) -> bool:
            now = self._now(connection)
            return (
                connection.execute(
                    LEASES.where(
                        _lease.c.claim_id == claim_id,
                        _lease.c.resource_key == resource_key,
                        _lease.c.fence == fence,
                        or_(_batch.c.expires_at.is_(None), _batch.c.expires_at > now),
                    )
                ).first()
                is not None
            )

        return self._database.transact(work, read_only=True)

    def release(  # noqa: D102
        self, claim_id: ClaimId, keys: Collection[ResourceKey] | None = None
    ) -> tuple[ResourceKey, ...]:
        def work(connection: Connection) -> tuple[ResourceKey, ...]:
            database = self._database
            database.run(connection, locked_claim, {"claim": claim_id})
            self._at("release.locked")
            found = give_up(database, connection, claim_id, keys)
            remove(database, connection, found, self._now(connection), "released")
            self._at("release.written")
            return tuple(sorted(lease.resource_key for lease in found))

        return self._transact(work, "release")

    def downgrade(self, claim_id: ClaimId, resource_key: ResourceKey, weight: int) -> None:  # noqa: D102
        if weight < 1:
            raise ValueError("a weight is at least 1")

        def work(connection: Connection) -> None:
            self._lock(connection, [claim_id])
            now = self._now(connection)
            row = connection.execute(
                LEASES.where(_lease.c.claim_id == claim_id, _lease.c.resource_key == resource_key)
            ).first()
            if row is None or not as_lease(row).live(now):
                raise ClaimLostError({claim_id: (resource_key,)})
            if row.weight <= weight:
                return
            connection.execute(
                update(_lease)
                .where(_lease.c.claim_id == claim_id, _lease.c.resource_key == resource_key)
                .values(weight=weight)
            )
            event = event_row(
                now, "downgraded", claim_id, resource_key=resource_key, fence=row.fence
            )
            connection.execute(insert(_event).values(event | {"weight": weight}))
            self._at("downgrade.written")

        self._transact(work, "downgrade")

    def set_backends(  # noqa: D102
        self,
        claim_id: ClaimId,
        backends: Collection[BackendId],
        keys: Collection[ResourceKey] | None = None,
    ) -> None:
        def work(connection: Connection) -> None:
            self._lock(connection, [claim_id])
            statement = update(_lease).where(_lease.c.claim_id == claim_id)
            if keys is not None:
                statement = statement.where(self._database.among(_lease.c.resource_key, list(keys)))
            builds_in = as_text(sorted(backends)) or None
            connection.execute(statement.values(builds_in=builds_in, to_end=""))

        self._transact(work, "set_backends")
