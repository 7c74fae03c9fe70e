"""Places in the queues of resources, and the tickets that order them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, or_, update

from dagster_transform.claims.records import Request, Waiter
from dagster_transform.claims.store.database import Database
from dagster_transform.claims.store.rows import event_row, owner_columns
from dagster_transform.claims.store.schema import event as _event
from dagster_transform.claims.store.schema import waiter as _waiter
from dagster_transform.claims.values import Want
from dagster_transform.planning.resource_keys import ResourceKey


@dataclass(frozen=True)
class Places:
    """The places of one claim, within the transaction of its request.

    Attributes:
        taken: Those that it had before.
        seen_until: When they are lost, unless the claimant asks again.
    """

    database: Database
    connection: Connection
    request: Request
    taken: Sequence[Waiter]
    now: float
    seen_until: float

    def give_up(self, granted: Collection[ResourceKey]) -> None:
        """Leave the queues of what has been granted."""
        if any(place.resource_key in granted for place in self.taken):
            self.connection.execute(
                delete(_waiter).where(
                    _waiter.c.claim_id == self.request.claim_id,
                    self.database.among(_waiter.c.resource_key, list(granted)),
                )
            )

    def keep(self, refused: Collection[ResourceKey]) -> None:
        """Stay in the queues, and queue where something was in the way for the first time.

        Only there: were a place taken at every resource, what is free would stand idle for
        whoever waits for something else.
        """
        connection, claim_id = self.connection, self.request.claim_id
        if self.taken:
            connection.execute(
                update(_waiter)
                .where(_waiter.c.claim_id == claim_id)
                .values(seen_until=self.seen_until)
            )
        queued = {place.resource_key for place in self.taken}
        wants = [
            want
            for want in self.request.wants
            if want.resource_key in refused and want.resource_key not in queued
        ]
        if not wants:
            return
        ticket = self._ticket(wants)
        keys = [want.resource_key for want in wants]
        connection.execute(
            delete(_waiter).where(
                or_(
                    _waiter.c.claim_id == claim_id,
                    self.database.among(_waiter.c.resource_key, keys),
                ),
                _waiter.c.seen_until <= self.now,
            )
        )
        connection.execute(
            insert(_waiter),
            [
                {
                    "resource_key": want.resource_key,
                    "claim_id": claim_id,
                    "weight": want.weight,
                    "ticket": ticket,
                    **owner_columns(self.request.owner),
                    "since": self.now,
                    "seen_until": self.seen_until,
                }
                for want in wants
            ],
        )

    def _ticket(self, wants: Iterable[Want]) -> int:
        """Record what was refused for the first time; the claim's ticket, the first that it got."""
        tickets = [place.ticket for place in self.taken]
        for want in wants:
            refused = event_row(
                self.now, "refused", self.request.claim_id, resource_key=want.resource_key
            )
            inserted = self.connection.execute(insert(_event).values(refused))
            if not tickets:
                # The entry's id is the ticket: it only rises, and no counter has to be locked.
                tickets += inserted.inserted_primary_key or ()
        return min(tickets)
