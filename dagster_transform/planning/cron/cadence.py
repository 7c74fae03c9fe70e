"""How often crons tick: the minimum cadence, and crons that cover several."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache

from dagster_transform.planning.cron import days as calendar
from dagster_transform.planning.cron import fields
from dagster_transform.planning.cron.cron import Cron, missed

MINUTE_OF_CADENCE = 5
MINIMUM_CADENCE = timedelta(minutes=MINUTE_OF_CADENCE)
"""No job group ticks more often."""
_HOURS = 24
_DAY = 24 * 60


def coarsest_covering(crons: Iterable[Cron]) -> Cron | None:
    """The cron with the fewest ticks that has all ticks of some crons.

    Returns:
        It; None where there is none: there are no crons, their zones differ, or it would tick more
        often than the minimum cadence.
    """
    return _covering(tuple(dict.fromkeys(crons)))


@lru_cache(maxsize=16_384)
def _covering(crons: tuple[Cron, ...]) -> Cron | None:
    if len({cron.time_zone for cron in crons}) != 1:
        return None
    for cron in crons:
        if all(cron.covers(other) for other in crons):
            return cron if _shortest(cron) >= MINUTE_OF_CADENCE else None
    minutes = set[int]().union(*(cron.minutes for cron in crons))
    hours = set[int]().union(*(cron.hours for cron in crons))
    days = fields.covering_days(cron.days for cron in crons)
    while True:
        found = Cron.of(minutes, hours, days, crons[0].time_zone)
        if _shortest(found) < MINUTE_OF_CADENCE:
            return None
        lacking = [tick for cron in crons for tick in missed(found, cron)]
        if not lacking:
            return found
        # Where a clock is changed, some tick at another time than they have: it gets that too.
        before = len(minutes) + len(hours)
        minutes.update(tick.minute for tick in lacking)
        hours.update(tick.hour for tick in lacking)
        if before == len(minutes) + len(hours):
            return None


@lru_cache(maxsize=16_384)
def clamped(cron: Cron) -> Cron:
    """The cron itself, or where it ticks more often than the minimum cadence, one that has some of
    its ticks, so that from each tick of the faster one the next of it is near."""
    if _shortest(cron) >= MINUTE_OF_CADENCE:
        return cron
    around = _goes_around(cron)
    minutes = sorted(cron.minutes)
    candidates = [
        _thinned(minutes, around=around),
        sorted(
            59 - minute for minute in _thinned([59 - m for m in reversed(minutes)], around=around)
        ),
    ]
    slower = [Cron.of(kept, cron.hours, _fields(cron), cron.time_zone) for kept in candidates]
    return min(slower, key=lambda found: (_wait(cron, found), len(found.text)))


def _fields(cron: Cron) -> fields.DayFields:
    found = fields.day_fields(cron.days)
    assert found is not None  # noqa: S101 - it was written in fields
    return found


def _thinned(minutes: Sequence[int], *, around: bool) -> list[int]:
    """Minutes without those that come too soon after one that stays."""
    kept = [minutes[0]]
    for minute in minutes[1:]:
        far = not around or minutes[0] + 60 - minute >= MINUTE_OF_CADENCE
        if far and minute - kept[-1] >= MINUTE_OF_CADENCE:
            kept.append(minute)
    return kept


def _wait(cron: Cron, slower: Cron) -> int:
    """How many minutes at most there are from a tick to the next of the slower cron, on days."""
    later = [*slower.times, slower.times[0] + _DAY]
    return max(min(at - time for at in later if at >= time) for time in cron.times)


def _goes_around(cron: Cron) -> bool:
    """Whether two hours of a cron follow each other, so that its last minute in one and its first
    in the next are neighbours."""
    hours = cron.hours
    night = _HOURS - 1 in hours and 0 in hours and calendar.adjacent(cron.days)
    return night or any(hour + 1 in hours for hour in hours)


def _shortest(cron: Cron) -> int:
    """The minutes between two ticks of a cron at least, but for nights in which the clock is
    changed."""
    minutes = sorted(cron.minutes)
    gaps = [after - before for before, after in itertools.pairwise(minutes)]
    if _goes_around(cron):
        gaps.append(minutes[0] + 60 - minutes[-1])
    return min(gaps, default=_DAY)
