"""The store over SQLAlchemy: all roles of `claims.ports`, over one database."""

from __future__ import annotations

from dagster_transform.claims.store.grants import SqlGrants
from dagster_transform.claims.store.history import SqlHistory
from dagster_transform.claims.store.pauses import SqlPauses
from dagster_transform.claims.store.pending import SqlPendingWork
from dagster_transform.claims.store.recovery import SqlRecovery
from dagster_transform.claims.store.told import SqlToldAlerts


class SqlStore(SqlGrants, SqlRecovery, SqlPauses, SqlHistory, SqlPendingWork, SqlToldAlerts):
    """Claims in a database: reads what admission needs to know, and writes what it decides.

    The contract is `Store`'s; the arguments are those of `SqlTransactions`.
    """

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return self._database.url

    @property
    def shared(self) -> bool:
        """Whether other processes see the same claims."""
        return self._database.shared

    def prepare(self) -> None:
        """Make or upgrade the tables."""
        self._database.prepare()

    def close(self) -> None:
        """Close the connections; of a store in memory: lose it."""
        self._database.engine.dispose()
