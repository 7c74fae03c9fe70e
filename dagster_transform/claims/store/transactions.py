"""What the roles of a store over SQLAlchemy share: the database, its clock, and transactions.

Locks are taken in one order, so that nobody waits in a circle: rows of `resource` by key, then rows
of `batch` by claim id, then what belongs to those. Whoever adds leases has locked their resources;
whoever changes or removes leases has locked their batches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from dagster_transform.claims.ids import ClaimId
from dagster_transform.claims.records import Lease
from dagster_transform.claims.store.acquiring import Terms, add_resources
from dagster_transform.claims.store.database import Database
from dagster_transform.claims.store.removing import lock_claims, remove
from dagster_transform.claims.store.rows import LEASES, as_lease
from dagster_transform.claims.store.schema import batch as _batch
from dagster_transform.claims.store.schema import lease as _lease
from dagster_transform.claims.tickets import Precedence, tickets
from dagster_transform.claims.values import OwnerKind, Timing, Want

T = TypeVar("T")
IS_PAUSE = _batch.c.owner_kind == OwnerKind.PERSON.value


def _nothing(_point: str) -> None:
    pass


class SqlTransactions:
    """Transactions of one store.

    Args:
        database: Where.
        timing: How long claims live.
        precedence: Who is served before whom.
        clock: Replaces the database's clock, for tests.
        at: Called with the name of each point of the protocol that is passed, for tests that
            stop or kill a process there.
    """

    def __init__(
        self,
        database: Database,
        timing: Timing,
        *,
        precedence: Precedence = tickets,
        clock: Callable[[Connection], float] | None = None,
        at: Callable[[str], None] = _nothing,
    ) -> None:
        self._database = database
        self._timing = timing
        self._now = clock or database.now
        self._at = at
        self._terms = Terms(database, self._now, precedence, at, timing.waiter_life)

    @property
    def timing(self) -> Timing:
        """How long claims live."""
        return self._timing

    def _transact(self, work: Callable[[Connection], T], name: str) -> T:
        result = self._database.transact(work)
        self._at(f"{name}.committed")
        return result

    def _add(self, wants: Sequence[Want]) -> None:
        """Make rows for resources that have none, in a transaction of its own."""
        self._transact(lambda c: add_resources(self._database, c, wants), "resources")

    def _lock(
        self, connection: Connection, claims: Collection[ClaimId]
    ) -> dict[ClaimId, float | None]:
        return lock_claims(connection, self._database.among(_batch.c.claim_id, list(claims)))

    def _remove_all(
        self, connection: Connection, claims: Collection[ClaimId], kind: str
    ) -> list[Lease]:
        """Remove all that locked claims hold."""
        rows = connection.execute(
            LEASES.where(self._database.among(_lease.c.claim_id, list(claims))).order_by(
                _lease.c.resource_key, _lease.c.fence
            )
        )
        leases = [as_lease(row) for row in rows]
        remove(self._database, connection, leases, self._now(connection), kind)
        return leases
