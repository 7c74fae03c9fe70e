"""Work that could not go at its tick: durable, and launched exactly once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from dagster_transform.claims.ids import RunId
from dagster_transform.claims.store.schema import pending
from dagster_transform.claims.store.transactions import SqlTransactions
from dagster_transform.claims.values import PendingNode
from dagster_transform.graph import NodeId, UnitId


class SqlPendingWork(SqlTransactions):
    """The contract is `PendingWork`'s."""

    def postpone(self, nodes: Iterable[PendingNode]) -> None:  # noqa: D102
        found = list(nodes)

        def work(connection: Connection) -> None:
            now = self._now(connection)
            rows = [
                {
                    "job_group": node.job_group,
                    "tick": node.tick,
                    "node": node.node,
                    "reason": node.reason,
                    "since": now,
                }
                for node in sorted(found, key=_key)
            ]
            connection.execute(self._database.insert(pending).on_conflict_do_nothing(), rows)

        if found:
            self._database.transact(work)

    def postponed(self, job_group: str | None = None) -> list[PendingNode]:  # noqa: D102
        wanted = [] if job_group is None else [pending.c.job_group == job_group]
        return self._nodes(pending.c.launched_run_id.is_(None), *wanted)

    def remembered(self) -> list[PendingNode]:  # noqa: D102
        return self._nodes()

    def _nodes(self, *wanted: ColumnElement[bool]) -> list[PendingNode]:
        def work(connection: Connection) -> list[PendingNode]:
            rows = connection.execute(
                select(pending)
                .where(*wanted)
                .order_by(pending.c.since, pending.c.job_group, pending.c.tick, pending.c.node)
            )
            return [
                PendingNode(
                    row.job_group,
                    row.tick,
                    NodeId(UnitId(row.node)),
                    row.reason,
                    datetime.fromtimestamp(row.since, timezone.utc),
                    None if row.launched_run_id is None else RunId(row.launched_run_id),
                )
                for row in rows
            ]

        return self._database.transact(work, read_only=True)

    def launch(  # noqa: D102
        self, nodes: Iterable[PendingNode], run_id: RunId, *, instead_of: RunId | None = None
    ) -> list[PendingNode]:
        found = sorted(nodes, key=_key)

        def work(connection: Connection) -> list[PendingNode]:
            won = []
            for node in found:
                # The run's own is won again: the answer of the first time may have been lost.
                free = pending.c.launched_run_id.is_(None) | (pending.c.launched_run_id == run_id)
                if instead_of is not None:
                    free |= pending.c.launched_run_id == instead_of
                result = connection.execute(
                    update(pending).where(_is(node), free).values(launched_run_id=run_id)
                )
                if result.rowcount:
                    won.append(node)
            return won

        return self._database.transact(work)

    def withdraw(self, nodes: Iterable[PendingNode], run_id: RunId | None = None) -> None:  # noqa: D102
        found = sorted(nodes, key=_key)

        def work(connection: Connection) -> None:
            for node in found:
                statement = delete(pending).where(_is(node))
                if run_id is not None:
                    statement = statement.where(pending.c.launched_run_id == run_id)
                connection.execute(statement)

        self._database.transact(work)


def _key(node: PendingNode) -> tuple[str, str, str]:
    return (node.job_group, node.tick, node.node)


def _is(node: PendingNode) -> ColumnElement[bool]:
    return and_(
        pending.c.job_group == node.job_group,
        pending.c.tick == node.tick,
        pending.c.node == node.node,
    )
