"""What channels of alerts were told: each of it by one run, whichever is first."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from dagster_transform.claims.ids import RunId
from dagster_transform.claims.store.schema import told as _told
from dagster_transform.claims.store.transactions import SqlTransactions
from dagster_transform.claims.values import Told

_TAKEN_FOR = 300.0
"""Seconds; no run takes as long to send its messages."""
_Key = tuple[str, str]


class SqlToldAlerts(SqlTransactions):
    """The contract is `ToldAlerts`'."""

    def note(self, keys: Iterable[_Key]) -> None:  # noqa: D102
        found = sorted(set(keys))

        def work(connection: Connection) -> None:
            now = self._now(connection)
            rows = [{"channel": c, "subject": s, "since": now} for c, s in found]
            connection.execute(self._database.insert(_told).on_conflict_do_nothing(), rows)

        if found:
            self._database.transact(work)

    def noted(self) -> list[Told]:  # noqa: D102
        def work(connection: Connection) -> list[Told]:
            rows = connection.execute(select(_told).order_by(_told.c.channel, _told.c.subject))
            return [_as_told(row) for row in rows]

        return self._database.transact(work, read_only=True)

    def take(self, keys: Iterable[_Key], run_id: RunId) -> list[Told]:  # noqa: D102
        asked = list(dict.fromkeys(keys))

        def work(connection: Connection) -> list[Told]:
            now = self._now(connection)
            free = or_(
                _told.c.taken_by.is_(None),
                _told.c.taken_by == run_id,  # the answer of the first time may have been lost
                _told.c.taken_at < now - _TAKEN_FOR,
            )
            won: dict[_Key, Told] = {}
            for key in sorted(asked):  # in one order: no two runs wait for each other
                taking = update(_told).where(_is(key), free)
                if connection.execute(taking.values(taken_by=run_id, taken_at=now)).rowcount:
                    won[key] = _as_told(connection.execute(select(_told).where(_is(key))).one())
            return [won[key] for key in asked if key in won]

        return self._database.transact(work) if asked else []

    def settle(  # noqa: D102
        self,
        run_id: RunId,
        *,
        told: Collection[_Key] = (),
        over: Collection[_Key] = (),
        put_back: Collection[_Key] = (),
    ) -> None:
        def work(connection: Connection) -> None:
            freed: dict[str, Any] = {"taken_by": None, "taken_at": None}
            now = self._now(connection)
            for key in sorted({*told, *over, *put_back}):
                mine = and_(_is(key), _told.c.taken_by == run_id)
                if key in over:
                    connection.execute(delete(_told).where(mine))
                else:
                    values = {**freed, "told_at": now} if key in told else freed
                    connection.execute(update(_told).where(mine).values(**values))

        if told or over or put_back:
            self._database.transact(work)


def _is(key: _Key) -> ColumnElement[bool]:
    return and_(_told.c.channel == key[0], _told.c.subject == key[1])


def _as_told(row: Any) -> Told:
    told_at = None if row.told_at is None else datetime.fromtimestamp(row.told_at, timezone.utc)
    since = datetime.fromtimestamp(row.since, timezone.utc)
    return Told(row.channel, row.subject, since, told_at)
