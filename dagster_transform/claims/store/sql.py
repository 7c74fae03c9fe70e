"""The store over SQLAlchemy: reads what `admission` needs to know, and writes what it decides.

Locks are taken in one order, so that nobody waits in a circle: rows of `resource` by key, then rows
of `batch` by claim id, then what belongs to those. Whoever adds leases has locked their resources;
whoever changes or removes leases has locked their batches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, delete, insert, or_, select, update

from dagster_transform.claims.admission import Lease, Policy, Request, tickets
from dagster_transform.claims.errors import ClaimLostError
from dagster_transform.claims.lease.clock import elapsed
from dagster_transform.claims.store.acquiring import Acquiring, Terms, add_resources
from dagster_transform.claims.store.database import Database
from dagster_transform.claims.store.pending import SqlPending
from dagster_transform.claims.store.removing import give_up, lock_claims, locked_claim, remove
from dagster_transform.claims.store.rows import LEASES, as_holder, as_lease, owner_columns, record
from dagster_transform.claims.store.schema import batch as _batch
from dagster_transform.claims.store.schema import event as _event
from dagster_transform.claims.store.schema import lease as _lease
from dagster_transform.claims.store.schema import resource as _resource
from dagster_transform.claims.store.schema import waiter as _waiter
from dagster_transform.claims.values import (
    Answer,
    ClaimEvent,
    Grant,
    Holder,
    Owner,
    OwnerKind,
    Timing,
    Want,
)

T = TypeVar("T")
_IS_PAUSE = _batch.c.owner_kind == OwnerKind.PERSON.value


def _nothing(_point: str) -> None:
    pass


class SqlStore(SqlPending):
    """Claims in a database. The contract is `Store`'s.

    Args:
        database: Where.
        timing: How long claims live.
        policy: Who is served before whom.
        clock: Replaces the database's clock, for tests.
        at: Called with the name of each point of the protocol that is passed, for tests that
            stop or kill a process there.
    """

    def __init__(
        self,
        database: Database,
        timing: Timing,
        *,
        policy: Policy = tickets,
        clock: Callable[[Connection], float] | None = None,
        at: Callable[[str], None] = _nothing,
    ) -> None:
        super().__init__(database, clock or database.now)
        self._timing = timing
        self._terms = Terms(database, self._now, policy, at, timing.waiter_life)
        self._at = at

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return self._database.url

    @property
    def shared(self) -> bool:
        """Whether other processes see the same claims."""
        return self._database.shared

    @property
    def timing(self) -> Timing:
        """How long claims live."""
        return self._timing

    def prepare(self) -> None:
        """Make or upgrade the tables."""
        self._database.prepare()

    def close(self) -> None:
        """Close the connections; of a store in memory: lose it."""
        self._database.engine.dispose()

    # What claimants do.

    def acquire(  # noqa: D102
        self,
        owner: Owner,
        wants: Iterable[Want],
        *,
        claim_id: str,
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
        fences: dict[str, dict[str, int]] = {}
        for grant in grants:
            fences.setdefault(grant.claim_id, {}).update(grant.fences)
        if not fences:
            return
        seconds = lease or self._timing.lease
        lost = self._transact(lambda c: self._renew(c, fences, seconds), "renew")
        if lost:
            raise ClaimLostError(lost)

    def _renew(
        self, connection: Connection, fences: Mapping[str, Mapping[str, int]], seconds: float
    ) -> dict[str, tuple[str, ...]]:
        expires = self._lock(connection, list(fences))
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
        events = [record(now, "renewed", claim, until=now + seconds) for claim in live]
        events += [
            record(now, "lost", claim, resource_key=key, fence=fences[claim][key])
            for claim, keys in lost.items()
            for key in keys
        ]
        if events:
            connection.execute(insert(_event), events)
        self._at("renew.written")
        return lost

    def holds(self, claim_id: str, resource_key: str, fence: int) -> bool:  # noqa: D102
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
        self, claim_id: str, keys: Collection[str] | None = None
    ) -> tuple[str, ...]:
        def work(connection: Connection) -> tuple[str, ...]:
            database = self._database
            database.run(connection, locked_claim, {"claim": claim_id})
            self._at("release.locked")
            found = give_up(database, connection, claim_id, keys)
            remove(database, connection, found, self._now(connection), "released")
            self._at("release.written")
            return tuple(sorted(lease.resource_key for lease in found))

        return self._transact(work, "release")

    def downgrade(self, claim_id: str, resource_key: str, weight: int) -> None:  # noqa: D102
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
            event = record(now, "downgraded", claim_id, resource_key=resource_key, fence=row.fence)
            connection.execute(insert(_event).values(event | {"weight": weight}))
            self._at("downgrade.written")

        self._transact(work, "downgrade")

    def set_session(  # noqa: D102
        self, claim_id: str, session: str | None, keys: Collection[str] | None = None
    ) -> None:
        def work(connection: Connection) -> None:
            self._lock(connection, [claim_id])
            statement = update(_lease).where(_lease.c.claim_id == claim_id)
            if keys is not None:
                statement = statement.where(self._database.among(_lease.c.resource_key, list(keys)))
            connection.execute(statement.values(session=session, to_end=""))

        self._transact(work, "set_session")

    # What people and sensors do.

    def holders(  # noqa: D102
        self, keys: Collection[str] | None = None, *, run_id: str | None = None
    ) -> list[Holder]:
        wanted = [] if run_id is None else [_batch.c.run_id == run_id]
        if keys is not None:
            wanted.append(self._database.among(_lease.c.resource_key, list(keys)))
        return [as_holder(lease) for lease in self._leases(*wanted, live=True)]

    def expired(self) -> list[Holder]:  # noqa: D102
        return [as_holder(lease) for lease in self._leases(~_IS_PAUSE, live=False)]

    def _leases(self, *wanted: Any, live: bool) -> list[Lease]:
        def work(connection: Connection) -> list[Lease]:
            now = self._now(connection)
            rows = connection.execute(
                LEASES.where(*wanted).order_by(_lease.c.resource_key, _lease.c.fence)
            )
            return [lease for lease in map(as_lease, rows) if lease.live(now) == live]

        return self._database.transact(work, read_only=True)

    def release_run(  # noqa: D102
        self, run_id: str, *, below_attempt: int | None = None
    ) -> list[Holder]:
        def work(connection: Connection) -> list[Holder]:
            of_run = [_batch.c.run_id == run_id, ~_IS_PAUSE]
            places = [_waiter.c.run_id == run_id]
            if below_attempt is not None:
                of_run.append(_batch.c.attempt < below_attempt)
                places.append(_waiter.c.attempt < below_attempt)
            claims = lock_claims(connection, *of_run)
            connection.execute(delete(_waiter).where(*places))
            leases = self._remove_all(connection, list(claims), "released")
            self._at("release_run.written")
            return [as_holder(lease) for lease in leases]

        return self._transact(work, "release_run")

    def pause(  # noqa: D102
        self,
        resource_key: str,
        *,
        capacity: int,
        reason: str,
        until: datetime | None = None,
        by: str = "",
    ) -> Holder:
        owner = Owner(OwnerKind.PERSON, by, "", 0, reason)
        expires_at = None if until is None else until.timestamp()
        claim_id = uuid4().hex

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
            event = record(now, "paused", claim_id, resource_key=resource_key, fence=lease.fence)
            sizes = {"weight": capacity, "capacity": capacity, "until": expires_at}
            connection.execute(insert(_event).values(event | sizes))
            self._at("pause.written")
            return as_holder(lease)

        self._add([Want(resource_key, capacity, capacity)])
        return self._transact(work, "pause")

    def resume(self, resource_key: str) -> bool:  # noqa: D102
        return self._transact(lambda c: bool(self._end_pause(c, resource_key)), "resume")

    def events(self) -> list[ClaimEvent]:  # noqa: D102
        def work(connection: Connection) -> list[ClaimEvent]:
            rows = connection.execute(select(_event).order_by(_event.c.id))
            return [ClaimEvent(**row._mapping) for row in rows]

        return self._database.transact(work, read_only=True)

    def prune(self, before: datetime) -> int:  # noqa: D102
        def work(connection: Connection) -> int:
            now = self._now(connection)
            ended = lock_claims(connection, _IS_PAUSE, _batch.c.expires_at <= now)
            self._remove_all(connection, list(ended), "expired")
            connection.execute(delete(_waiter).where(_waiter.c.seen_until <= now))
            return connection.execute(
                delete(_event).where(_event.c.at < before.timestamp())
            ).rowcount

        return self._transact(work, "prune")

    # What they share.

    def _transact(self, work: Callable[[Connection], T], name: str) -> T:
        result = self._database.transact(work)
        self._at(f"{name}.committed")
        return result

    def _add(self, wants: Sequence[Want]) -> None:
        """Make rows for resources that have none, in a transaction of its own."""
        self._transact(lambda c: add_resources(self._database, c, wants), "resources")

    def _lock(self, connection: Connection, claims: Sequence[str]) -> dict[str, float | None]:
        return lock_claims(connection, self._database.among(_batch.c.claim_id, claims))

    def _end_pause(self, connection: Connection, resource_key: str) -> list[Lease]:
        of_key = select(_lease.c.claim_id).where(_lease.c.resource_key == resource_key)
        claims = lock_claims(connection, _IS_PAUSE, _batch.c.claim_id.in_(of_key))
        return self._remove_all(connection, list(claims), "released")

    def _remove_all(self, connection: Connection, claims: Sequence[str], kind: str) -> list[Lease]:
        """Remove all that locked claims hold."""
        rows = connection.execute(
            LEASES.where(self._database.among(_lease.c.claim_id, claims)).order_by(
                _lease.c.resource_key, _lease.c.fence
            )
        )
        leases = [as_lease(row) for row in rows]
        remove(self._database, connection, leases, self._now(connection), kind)
        return leases
