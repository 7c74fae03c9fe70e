"""What has happened to resources, and for how long that is remembered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select

from dagster_transform.claims.store.removing import lock_claims
from dagster_transform.claims.store.rows import as_event
from dagster_transform.claims.store.schema import batch as _batch
from dagster_transform.claims.store.schema import event as _event
from dagster_transform.claims.store.schema import waiter as _waiter
from dagster_transform.claims.store.transactions import IS_PAUSE, SqlTransactions
from dagster_transform.claims.values import ClaimEvent


class SqlHistory(SqlTransactions):
    """The contract is `History`'s."""

    def events(self) -> list[ClaimEvent]:  # noqa: D102
        def work(connection: Connection) -> list[ClaimEvent]:
            return [
                as_event(row) for row in connection.execute(select(_event).order_by(_event.c.id))
            ]

        return self._database.transact(work, read_only=True)

    def prune(self, before: datetime) -> int:  # noqa: D102
        def work(connection: Connection) -> int:
            now = self._now(connection)
            ended = lock_claims(connection, IS_PAUSE, _batch.c.expires_at <= now)
            self._remove_all(connection, ended, "expired")
            connection.execute(delete(_waiter).where(_waiter.c.seen_until <= now))
            return connection.execute(
                delete(_event).where(_event.c.at < before.timestamp())
            ).rowcount

        return self._transact(work, "prune")
