"""From when on a node that has not been built is overdue, by its cron. Pure.

A node is overdue where it was not built within the grace after its last tick. Dagster has two ways
to say so, a time since the last materialisation and a cron of deadlines; the second costs it
milliseconds for each asset, in each process that loads it, so that it is taken only where the first
says something else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise, takewhile

from dagster_transform.planning.cron import Cron, clamped, fields
from dagster_transform.planning.cron import days as calendar

_DAY = 24 * 60
_FIRST, _LAST = date(2023, 1, 1).toordinal(), date(2033, 1, 1).toordinal()
"""Days that are looked at: among them is each gap that a cron has, leap days too."""
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Within:
    """It is overdue where its last build is longer ago than this."""

    window: timedelta


@dataclass(frozen=True, slots=True)
class Deadline:
    """It is overdue where at the last tick of this cron it had not been built for the grace.

    Attributes:
        cron: The node's own, later by the grace.
        grace: At most the least time between two of its ticks.
    """

    cron: Cron
    grace: timedelta


def freshness_of(cron: Cron, grace: timedelta) -> Within | Deadline:
    """From when on a node is overdue.

    Args:
        cron: The node's; one that ticks faster than the minimum cadence is clamped, as its
            schedule is.
        grace: How long after a tick the node may be built; rounded up to minutes. Where gaps have
            several lengths, and the grace is longer than the least, or no cron has the deadlines,
            a node is overdue once the longest gap and the grace are over.
    """
    cron = clamped(cron)
    minutes = max(1, math.ceil(grace / timedelta(minutes=1)))
    gaps = _gaps(cron)
    if len(gaps) > 1 and minutes <= min(gaps) and (later := _later(cron, minutes)) is not None:
        return Deadline(later, timedelta(minutes=minutes))
    return Within(timedelta(minutes=max(gaps) + minutes))


def _gaps(cron: Cron) -> set[int]:
    """Minutes between two ticks, but for nights in which the clock is changed."""
    times = cron.times
    found = {after - before for before, after in pairwise(times)}
    every = takewhile(lambda day: day < _LAST, calendar.from_day(cron.days, _FIRST))
    apart = {after - before for before, after in pairwise(every)}
    return found | {days * _DAY + times[0] - times[-1] for days in apart}


def _later(cron: Cron, minutes: int) -> Cron | None:
    """The cron whose ticks are so many minutes later; None: five fields can't say it."""
    times = [time + minutes for time in cron.times]
    days = fields.day_fields(cron.days)
    if times[0] >= _DAY:
        times = [time - _DAY for time in times]
        days = _next_weekdays(cron.days)
    if days is None or times[-1] >= _DAY:
        return None
    later = Cron.of({t % 60 for t in times}, {t // 60 for t in times}, days, cron.time_zone)
    return later if list(later.times) == times else None


def _next_weekdays(days: int) -> fields.DayFields | None:
    """The days after some weekdays; None: they are other days than weekdays."""
    weekdays = [w for w in range(_WEEK) if not calendar.on_weekday(w) & ~days]
    covered = 0
    for weekday in weekdays:
        covered |= calendar.on_weekday(weekday)
    if covered != days or not weekdays:
        return None
    after = frozenset((weekday + 1) % _WEEK for weekday in weekdays)
    return replace(fields.every_day(), days=frozenset(), weekdays=after)
