"""Sets of calendar days, exact for all years, as bits of one integer.

Whether a cron ticks on a day depends on its month, its day of the month, its weekday and how long
its month is. All that is known from the day of the year, whether the year is a leap year, and the
weekday that it begins with: there are 14 such years, and a set of days has a bit for each day of
each of them. Two crons have the same days for ever if and only if these bits are equal, and union,
intersection and "is part of" are those of integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import NamedTuple

SLOTS = 366
"""Bits of one year; the last one is never set in a year that is no leap year."""
_KINDS = 14
_CYCLE = 400
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2
LAST = 6
"""In the place of 1 to 5 of `nth`: the last such weekday of its month."""


class _Masks(NamedTuple):
    months: tuple[int, ...]
    days: tuple[int, ...]
    weekdays: tuple[int, ...]
    last_days: int
    nth: dict[tuple[int, int], int]
    all: int


@cache
def _masks() -> _Masks:
    months, days, weekdays, last_days = [0] * 13, [0] * 32, [0] * 7, 0
    nth = {(weekday, n): 0 for weekday in range(7) for n in range(1, LAST + 1)}
    for kind in range(_KINDS):
        leap, weekday, bit = kind >= _KINDS // 2, kind % 7, 1 << (kind * SLOTS)
        for month, short in enumerate(_LENGTHS, start=1):
            length = short + (leap and month == _FEBRUARY)
            for day in range(1, length + 1):
                months[month] |= bit
                days[day] |= bit
                weekdays[weekday] |= bit
                nth[weekday, (day + 6) // 7] |= bit
                if day + 7 > length:
                    nth[weekday, LAST] |= bit
                if day == length:
                    last_days |= bit
                weekday, bit = (weekday + 1) % 7, bit << 1
    everything = 0
    for mask in months:
        everything |= mask
    return _Masks(tuple(months), tuple(days), tuple(weekdays), last_days, nth, everything)


def all_days() -> int:
    """Every day."""
    return _masks().all


def in_month(month: int) -> int:
    """The days of a month, 1 to 12."""
    return _masks().months[month]


def on_day(day: int) -> int:
    """The days with a number, 1 to 31, in their month."""
    return _masks().days[day]


def on_weekday(weekday: int) -> int:
    """The days with a weekday, 0 (Sunday) to 6."""
    return _masks().weekdays[weekday]


def on_last_day() -> int:
    """The last days of all months."""
    return _masks().last_days


def on_nth(weekday: int, n: int) -> int:
    """The first to fifth such weekdays of their months; `LAST` is the last."""
    return _masks().nth[weekday, n]


@cache
def _kind(year: int) -> int:
    """Which of the 14 a year is."""
    first = date(year, 1, 1).isoweekday() % 7
    return first + 7 * (date(year, 12, 31).timetuple().tm_yday == SLOTS)


@cache
def _weights() -> tuple[int, ...]:
    """How often each of the 14 years is among 400, after which all repeats."""
    found = [0] * _KINDS
    for year in range(2000, 2000 + _CYCLE):
        found[_kind(year)] += 1
    return tuple(found)


def _of_year(days: int, year: int) -> int:
    return (days >> (_kind(year) * SLOTS)) & ((1 << SLOTS) - 1)


def share(days: int) -> float:
    """Which part of all days is in a set, 0 to 1."""
    full = (1 << SLOTS) - 1
    count = sum(
        weight * ((days >> (kind * SLOTS)) & full).bit_count()
        for kind, weight in enumerate(_weights())
    )
    return count / sum(
        weight * (SLOTS - 1 + (kind >= _KINDS // 2)) for kind, weight in enumerate(_weights())
    )


def has(days: int, ordinal: int) -> bool:
    """Whether a day, as `date.toordinal`, is in a set."""
    day = date.fromordinal(ordinal)
    place = ordinal - date(day.year, 1, 1).toordinal()
    return bool(_of_year(days, day.year) >> place & 1)


def from_day(days: int, ordinal: int) -> Iterator[int]:
    """The days of a set that is not empty from a day on, in order, as `date.toordinal`."""
    year = date.fromordinal(ordinal).year
    while year < date.max.year:
        first = date(year, 1, 1).toordinal()
        left = _of_year(days, year)
        if ordinal > first:
            left = left >> (ordinal - first) << (ordinal - first)
        while left:
            lowest = left & -left
            yield first + lowest.bit_length() - 1
            left ^= lowest
        year += 1


def back_from_day(days: int, ordinal: int) -> Iterator[int]:
    """The days of a set that is not empty up to a day, the latest first."""
    year = date.fromordinal(ordinal).year
    while year > date.min.year:
        first = date(year, 1, 1).toordinal()
        left = _of_year(days, year)
        if ordinal - first < SLOTS:
            left &= (1 << (ordinal - first + 1)) - 1
        while left:
            place = left.bit_length() - 1
            yield first + place
            left ^= 1 << place
        year -= 1


def adjacent(days: int) -> bool:
    """Whether two days of a set follow each other."""
    first = sum(1 << (kind * SLOTS) for kind in range(_KINDS))
    if days & (days << 1) & ~first:
        return True
    starts = {kind % 7 for kind in range(_KINDS) if days >> (kind * SLOTS) & 1}
    return any(
        (kind % 7 + length) % 7 in starts
        for kind in range(_KINDS)
        for length in (SLOTS - (kind < _KINDS // 2),)
        if days >> (kind * SLOTS + length - 1) & 1
    )
