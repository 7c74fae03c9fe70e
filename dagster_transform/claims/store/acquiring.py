"""The acquiring transaction: lock, read, decide, write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Executable, and_, bindparam, insert, or_, select, update

from dagster_transform.claims.admission import Decision, decide
from dagster_transform.claims.errors import ClaimLostError
from dagster_transform.claims.records import Lease, Request, Resource, Waiter
from dagster_transform.claims.store.database import Database
from dagster_transform.claims.store.queues import Places
from dagster_transform.claims.store.removing import remove
from dagster_transform.claims.store.rows import (
    LEASES,
    as_holder,
    as_lease,
    as_resource,
    as_text,
    as_waiter,
    event_row,
    owner_columns,
)
from dagster_transform.claims.store.schema import batch as _batch
from dagster_transform.claims.store.schema import event as _event
from dagster_transform.claims.store.schema import lease as _lease
from dagster_transform.claims.store.schema import resource as _resource
from dagster_transform.claims.store.schema import waiter as _waiter
from dagster_transform.claims.tickets import Precedence
from dagster_transform.claims.values import Answer, Grant, Want
from dagster_transform.databases.backends import BackendId
from dagster_transform.planning.resource_keys import ResourceKey


@dataclass(frozen=True)
class Terms:
    """What holds for every request to a store.

    Attributes:
        now: The store's clock.
        at: Called with each point that is passed.
        waiter_life: Seconds for which a place in a queue is kept.
    """

    database: Database
    now: Callable[[Connection], float]
    precedence: Precedence
    at: Callable[[str], None]
    waiter_life: float


def add_resources(database: Database, connection: Connection, wants: Iterable[Want]) -> None:
    """Make rows for resources that have none; sorted `wants`, or two who do so may deadlock."""
    rows = [
        {"resource_key": want.resource_key, "capacity": want.capacity, "last_fence": 0}
        for want in wants
    ]
    connection.execute(database.insert(_resource).on_conflict_do_nothing(), rows)


def _locked_resources(database: Database) -> Executable:
    return (
        select(_resource)
        .where(database.among(_resource.c.resource_key, bindparam("keys")))
        .order_by(_resource.c.resource_key)
        .with_for_update()
    )


def _locked_batches(database: Database) -> Executable:
    holding = select(_lease.c.claim_id).where(
        database.among(_lease.c.resource_key, bindparam("keys"))
    )
    return (
        select(_batch)
        .where(
            or_(
                _batch.c.claim_id == bindparam("claim_id"),
                and_(_batch.c.expires_at <= bindparam("now"), _batch.c.claim_id.in_(holding)),
            )
        )
        .order_by(_batch.c.claim_id)
        .with_for_update()
    )


def _leases_of(database: Database) -> Executable:
    return LEASES.where(database.among(_lease.c.resource_key, bindparam("keys"))).order_by(
        _lease.c.resource_key, _lease.c.fence
    )


def _waiters_of(database: Database) -> Executable:
    return (
        select(_waiter)
        .where(
            _waiter.c.seen_until > bindparam("now"),
            or_(
                _waiter.c.claim_id == bindparam("claim_id"),
                database.among(_waiter.c.resource_key, bindparam("keys")),
            ),
        )
        .order_by(_waiter.c.ticket)
    )


def _new_batch(database: Database) -> Executable:
    inserting = database.insert(_batch).values(
        {column.name: bindparam(column.name) for column in _batch.columns}
    )
    # A second request under the same id may be under way.
    new: Executable = inserting.on_conflict_do_update(
        index_elements=[_batch.c.claim_id], set_={"expires_at": inserting.excluded.expires_at}
    )
    return new


def _raised_fences(database: Database) -> Executable:
    return (
        update(_resource)
        .where(database.among(_resource.c.resource_key, bindparam("keys")))
        .values(last_fence=_resource.c.last_fence + 1)
    )


@dataclass(frozen=True)
class Acquiring:
    """One request, carried out in one transaction.

    Attributes:
        seconds: The lease.
        asked_at: `elapsed()` from before the request.
        wait: Whether places in queues are taken.
    """

    terms: Terms
    connection: Connection
    request: Request
    seconds: float
    asked_at: float
    wait: bool

    def answer(self) -> Answer | None:
        """Do it. None, and nothing done: a resource has no row yet."""
        request = self.request
        resources = self._lock_resources()
        if len(resources) < len(request.wants):
            return None
        self.terms.at("acquire.locked")
        # Only now: a clock read before the locks were granted may be long past, and leases read
        # together with them are those from before.
        now = self.terms.now(self.connection)
        batch = self._lock_batches(now)
        leases = self._leases()
        mine = [lease for lease in leases if lease.claim_id == request.claim_id]
        if batch is not None and batch.expires_at <= now:
            raise ClaimLostError({request.claim_id: tuple(lease.resource_key for lease in mine)})
        waiters = self._waiters(now)
        decision = decide(
            request, resources, leases, waiters, now=now, precedence=self.terms.precedence
        )
        self.terms.at("acquire.decided")
        if decision.granted or decision.held:
            self._prolong(batch, now)
        if decision.granted:
            self._grant(decision, resources, now)
        own = [waiter for waiter in waiters if waiter.claim_id == request.claim_id]
        seen_until = now + self.terms.waiter_life
        places = Places(self.terms.database, self.connection, request, own, now, seen_until)
        places.give_up(decision.granted)
        if self.wait and decision.refused:
            places.keep(decision.refused)
        self.terms.at("acquire.written")
        refused = {key: tuple(map(as_holder, who)) for key, who in decision.refused.items()}
        fences = {**decision.held, **decision.granted}
        if not fences:
            return Answer(None, refused)
        to_end = {lease.resource_key: lease.to_end for lease in mine} | _inherited(decision.stale)
        return Answer(
            Grant(
                request.claim_id,
                dict(sorted(fences.items())),
                self.asked_at,
                self.seconds,
                {key: backends for key, backends in to_end.items() if backends},
            ),
            refused,
        )

    def _lock_resources(self) -> list[Resource]:
        rows = self._run(_locked_resources)
        return [as_resource(row) for row in rows]

    def _lock_batches(self, now: float) -> Any | None:
        """Lock the claim's own row and those of all expired claims that hold what it wants.

        A renewal that is under way is waited for: what it prolongs has not expired.

        Returns:
            The claim's own.
        """
        rows = self._run(_locked_batches, now=now)
        self.terms.at("acquire.batches")
        return next((row for row in rows if row.claim_id == self.request.claim_id), None)

    def _leases(self) -> list[Lease]:
        return [as_lease(row) for row in self._run(_leases_of)]

    def _waiters(self, now: float) -> list[Waiter]:
        return [as_waiter(row) for row in self._run(_waiters_of, now=now)]

    def _run(self, statement: Callable[[Database], Executable], **values: object) -> list[Any]:
        """Execute a statement about the resources that are wanted."""
        return self.terms.database.run(self.connection, statement, {**self._known, **values})

    @cached_property
    def _known(self) -> Mapping[str, object]:
        keys = self.terms.database.listed(self.request.keys)
        return {"keys": keys, "claim_id": self.request.claim_id}

    def _prolong(self, batch: Any | None, now: float) -> None:
        """What is granted now, and what was before, end together."""
        claim_id, until = self.request.claim_id, now + self.seconds
        if batch is None:
            row = {"claim_id": claim_id, "acquired_at": now, "expires_at": until}
            row |= owner_columns(self.request.owner)
            self.terms.database.run(self.connection, _new_batch, row)
            return
        self.connection.execute(
            update(_batch).where(_batch.c.claim_id == claim_id).values(expires_at=until)
        )
        self.connection.execute(
            insert(_event).values(event_row(now, "renewed", claim_id, until=until))
        )

    def _grant(self, decision: Decision, resources: Iterable[Resource], now: float) -> None:
        database, connection, claim_id = (
            self.terms.database,
            self.connection,
            self.request.claim_id,
        )
        remove(database, connection, decision.stale, now, "expired")
        self._run(_raised_fences, keys=database.listed(list(decision.granted)))
        self.terms.at("acquire.fenced")
        wants = [want for want in self.request.wants if want.resource_key in decision.granted]
        capacities = {found.resource_key: found.capacity for found in resources}
        for want in wants:
            if capacities[want.resource_key] != want.capacity:
                connection.execute(
                    update(_resource)
                    .where(_resource.c.resource_key == want.resource_key)
                    .values(capacity=want.capacity)
                )
        inherited = _inherited(decision.stale)
        leases, events = [], []
        for want in wants:
            key = want.resource_key
            fence = decision.granted[key]
            leases.append(
                {
                    "resource_key": str(key),  # drivers look longer at what is a class of ours
                    "claim_id": claim_id,
                    "weight": want.weight,
                    "fence": fence,
                    "since": now,
                    "to_end": as_text(inherited.get(key, ())),
                }
            )
            granted = event_row(now, "granted", claim_id, resource_key=key, fence=fence)
            events.append(
                granted
                | {
                    "weight": want.weight,
                    "capacity": want.capacity,
                    "until": now + self.seconds,
                }
            )
        database.add(connection, _lease, leases)
        database.add(connection, _event, events)


def _inherited(stale: Iterable[Lease]) -> dict[ResourceKey, tuple[BackendId, ...]]:
    """The backends that whoever takes over has to end, by resource."""
    found: dict[ResourceKey, tuple[BackendId, ...]] = {}
    for lease in stale:
        found[lease.resource_key] = found.get(lease.resource_key, ()) + lease.backends
    return found
