"""Work that could not go at its tick: durable, and launched exactly once."""

from __future__ import annotations

import json
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
                    "recovery": _recovery(node),
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
                    *_awaited(row.recovery),
                )
                for row in rows
            ]

        return self._database.transact(work, read_only=True)

    def launch(  # noqa: D102
        self, nodes: Iterable[PendingNode], run_id: RunId, *, instead_of: RunId | None = None
    ) -> list[PendingNode]:
        found = list(nodes)
        free = {None, run_id, instead_of}
        # The run's own is won again: the answer of the first time may have been lost.

        def work(connection: Connection) -> list[PendingNode]:
            won: set[tuple[str, str, str]] = set()
            for group, tick, some in _by_tick(found):
                mine = self._of_tick(group, tick, some)
                # Locked in one order, so that nobody waits in a circle.
                rows = connection.execute(
                    select(pending.c.node, pending.c.launched_run_id)
                    .where(mine)
                    .order_by(pending.c.node)
                    .with_for_update()
                )
                names = [row.node for row in rows if row.launched_run_id in free]
                connection.execute(
                    update(pending)
                    .where(self._of_tick(group, tick, names))
                    .values(launched_run_id=run_id)
                )
                won |= {(group, tick, name) for name in names}
            return [node for node in sorted(found, key=_key) if _key(node) in won]

        return self._database.transact(work)

    def withdraw(self, nodes: Iterable[PendingNode], run_id: RunId | None = None) -> None:  # noqa: D102
        found = list(nodes)

        def work(connection: Connection) -> None:
            for group, tick, names in _by_tick(found):
                statement = delete(pending).where(self._of_tick(group, tick, names))
                if run_id is not None:
                    statement = statement.where(pending.c.launched_run_id == run_id)
                connection.execute(statement)

        self._database.transact(work)

    def _of_tick(self, group: str, tick: str, names: list[str]) -> ColumnElement[bool]:
        """Some rows of one tick: a statement for each of those, and not for each node."""
        return and_(
            pending.c.job_group == group,
            pending.c.tick == tick,
            self._database.among(pending.c.node, names),
        )


def _recovery(node: PendingNode) -> str | None:
    if node.began is None:
        return None
    return json.dumps({"began": node.began.timestamp(), "awaits": node.awaits})


def _awaited(recovery: str | None) -> tuple[tuple[NodeId, ...], datetime | None]:
    if recovery is None:
        return (), None
    found = json.loads(recovery)
    awaits = tuple(NodeId(UnitId(node)) for node in found["awaits"])
    return awaits, datetime.fromtimestamp(found["began"], timezone.utc)


def _by_tick(nodes: Iterable[PendingNode]) -> list[tuple[str, str, list[str]]]:
    """Nodes by job group and tick, in order."""
    found: dict[tuple[str, str], list[str]] = {}
    for node in sorted(nodes, key=_key):
        found.setdefault((node.job_group, node.tick), []).append(node.node)
    return [(group, tick, names) for (group, tick), names in found.items()]


def _key(node: PendingNode) -> tuple[str, str, str]:
    return (node.job_group, node.tick, node.node)
