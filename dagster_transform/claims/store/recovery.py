"""Who holds what, and the release of what runs that have ended still hold."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, delete

from dagster_transform.claims.ids import RunId
from dagster_transform.claims.records import Lease
from dagster_transform.claims.store.removing import lock_claims
from dagster_transform.claims.store.rows import LEASES, as_holder, as_lease
from dagster_transform.claims.store.schema import batch as _batch
from dagster_transform.claims.store.schema import lease as _lease
from dagster_transform.claims.store.schema import waiter as _waiter
from dagster_transform.claims.store.transactions import IS_PAUSE, SqlTransactions
from dagster_transform.claims.values import Holder
from dagster_transform.planning.resource_keys import ResourceKey


class SqlRecovery(SqlTransactions):
    """The contract is `Recovery`'s."""

    def holders(  # noqa: D102
        self, keys: Collection[ResourceKey] | None = None, *, run_id: RunId | None = None
    ) -> list[Holder]:
        wanted = [] if run_id is None else [_batch.c.run_id == run_id]
        if keys is not None:
            wanted.append(self._database.among(_lease.c.resource_key, list(keys)))
        return [as_holder(lease) for lease in self._leases(*wanted, live=True)]

    def expired(self) -> list[Holder]:  # noqa: D102
        return [as_holder(lease) for lease in self._leases(~IS_PAUSE, live=False)]

    def _leases(self, *wanted: Any, live: bool) -> list[Lease]:
        def work(connection: Connection) -> list[Lease]:
            now = self._now(connection)
            rows = connection.execute(
                LEASES.where(*wanted).order_by(_lease.c.resource_key, _lease.c.fence)
            )
            return [lease for lease in map(as_lease, rows) if lease.live(now) == live]

        return self._database.transact(work, read_only=True)

    def release_run(  # noqa: D102
        self, run_id: RunId, *, below_attempt: int | None = None
    ) -> list[Holder]:
        def work(connection: Connection) -> list[Holder]:
            of_run = [_batch.c.run_id == run_id, ~IS_PAUSE]
            places = [_waiter.c.run_id == run_id]
            if below_attempt is not None:
                of_run.append(_batch.c.attempt < below_attempt)
                places.append(_waiter.c.attempt < below_attempt)
            claims = lock_claims(connection, *of_run)
            connection.execute(delete(_waiter).where(*places))
            leases = self._remove_all(connection, claims, "released")
            self._at("release_run.written")
            return [as_holder(lease) for lease in leases]

        return self._transact(work, "release_run")
