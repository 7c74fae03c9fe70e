"""Private parts of Dagster that schedules touch, each with a contract test."""

from __future__ import annotations

from datetime import datetime

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickStatus

_AT_ONCE = 5
"""Ticks that may be stored of one moment: Dagster stores one for each attempt."""


class ScheduleNotes:
    """Short texts that are kept in Dagster's storage, one for each schedule.

    Args:
        instance: Where.
        name: The schedule's.
        tick: The tick that is evaluated, aware.
    """

    def __init__(self, instance: dg.DagsterInstance, name: str, tick: datetime) -> None:
        self._storage = instance.daemon_cursor_storage
        self._key = _key(instance, name, tick)

    def read(self) -> str | None:
        """The note; None: there is none, or Dagster's scheduler does not evaluate the schedule
        now, but somebody who looks at what it would do."""
        if self._key is None:
            return None
        return self._storage.get_cursor_values({self._key}).get(self._key)

    def write(self, text: str) -> None:
        """Keep a note, where it is Dagster's scheduler that evaluates the schedule."""
        if self._key is not None:
            self._storage.set_cursor_values({self._key: text})


def _key(instance: dg.DagsterInstance, name: str, tick: datetime) -> str | None:
    """Where the note of a schedule is, if it is being evaluated for its tick: the scheduler stores
    that the tick has begun before it asks. None, too, where two code locations have a schedule of
    this name that ticks now: a schedule does not hear in which location it is."""
    moment = tick.timestamp()
    found = []
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        if state.instigator_name != name:
            continue
        ticks = instance.get_ticks(
            state.instigator_origin_id,
            state.selector_id,
            after=moment - 1,
            before=moment + 1,
            limit=_AT_ONCE,
            statuses=[TickStatus.STARTED],
        )
        if any(each.timestamp == moment for each in ticks):
            found.append(f"dagster_transform/schedule/{state.selector_id}")
    return found[0] if len(found) == 1 else None
