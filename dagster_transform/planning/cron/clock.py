"""From the clock on the wall to moments: when Dagster ticks, and when SQLMesh says a node is due.

On a day on which no clock is changed both are the same. Where one is, a time may not exist (in
spring) or come twice (in autumn), and each has rules of its own, which are followed here so that
schedules, plans and simulations agree with what will happen. Moments are whole seconds since 1970,
days are `date.toordinal`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = 86_400
_EPOCH = date(1970, 1, 1).toordinal()
_NEAR = timedelta(hours=3)
"""A change of the clock so near to a day may touch it."""
_MOVED_HOURS = frozenset({1, 2, 3})
"""Hours of a changed clock which Dagster looks after."""
_FROM, _TO = date(2024, 1, 1).toordinal(), date(2053, 1, 1).toordinal()
"""Days that stand for all to come: in 28 years each date has had each weekday."""


@lru_cache(maxsize=512)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises what ZoneInfo raises: KeyError, ValueError, OSError."""
    return ZoneInfo(name)


@lru_cache(maxsize=65_536)
def calm_midnight(name: str, day: int) -> int | None:
    """The moment in which a day begins, if its clock is changed neither on it nor near it."""
    zone = zone_of(name)
    midnight = _midnight(day)
    before = _offset((midnight - _NEAR).replace(tzinfo=zone))
    after = _offset((midnight + timedelta(days=1) + _NEAR).replace(tzinfo=zone))
    return (day - _EPOCH) * DAY - before if before == after else None


@lru_cache(maxsize=512)
def changing_days(name: str) -> tuple[int, ...]:
    """The days of 28 years on which the clocks of a zone are changed, or near to which they are."""
    return tuple(day for day in range(_FROM, _TO) if calm_midnight(name, day) is None)


@lru_cache(maxsize=512)
def shifts_by_part_of_an_hour(name: str) -> bool:
    """Whether the minutes that a zone's clock shows are at times others than at other times."""
    zone = zone_of(name)
    days = changing_days(name)[:8]
    minutes = {_offset(_midnight(day).replace(tzinfo=zone)) % 3600 for day in days}
    return len(minutes) > 1


def kind_of_change(name: str, day: int) -> tuple[int, ...]:
    """Equal for two days of a zone if their clocks do the same, hour by hour."""
    zone, midnight = zone_of(name), _midnight(day)
    return tuple(
        offset
        for minute in range(-240, 1681, 15)
        for offset in _offsets(midnight + timedelta(minutes=minute), zone)
    )


def changed_times(name: str, day: int, minutes: Sequence[int]) -> Iterator[tuple[datetime, bool]]:
    """Times of a day that a clock leaves out or shows twice.

    Args:
        name: IANA name of the zone.
        day: The day.
        minutes: The times, in minutes since midnight.

    Yields:
        What the wall shows, naive, and whether it comes twice.
    """
    zone, midnight = zone_of(name), _midnight(day)
    for minute in minutes:
        wall = midnight + timedelta(minutes=minute)
        first, second = _offsets(wall, zone)
        if first != second:
            yield wall, first > second


def local_day(name: str, moment: int) -> int:
    """The day of a moment in a zone."""
    return datetime.fromtimestamp(moment, tz=zone_of(name)).toordinal()


def ticks_of_changed_day(
    name: str, day: int, minutes: Sequence[int], *, every_hour: bool, one_time: bool
) -> list[int]:
    """When Dagster ticks for a day near a change of the clock. One that is not after all before it
    is left out there, as one that comes again is (and going backwards, likewise).

    A cron of every hour ticks whenever the wall shows its minutes: in autumn twice in one hour, in
    spring never in the one that is left out. Other crons tick once: in autumn at the second of two
    times, in spring at the end of the hour that is left out.

    Args:
        name: IANA name of the zone.
        day: The day.
        minutes: Its times, in minutes since midnight, sorted.
        every_hour: Whether the cron has all hours.
        one_time: Whether Dagster counts these days itself, which it does for crons of one time a
            day: then it looks only after changes between one and four o'clock, and elsewhere takes
            the first of two times.
    """
    zone, midnight = zone_of(name), _midnight(day)
    found: list[int] = []
    for minute in minutes:
        wall = midnight + timedelta(minutes=minute)
        first, second = _offsets(wall, zone)
        seconds = (day - _EPOCH) * DAY + minute * 60
        looked_after = wall.hour in _MOVED_HOURS
        if first == second:
            found.append(seconds - first)
        elif first > second and every_hour:  # it comes twice
            found += [seconds - first, seconds - second]
        elif first > second:
            found.append(seconds - (second if looked_after or not one_time else first))
        elif not every_hour:  # it does not exist
            moved = _moved(wall, zone, one_time=one_time)
            found.append(moved if looked_after else seconds - first)
    return sorted(found) if every_hour else found


def due_of_changed_day(
    name: str, day: int, minutes: Sequence[int], *, every_hour: bool
) -> list[int]:
    """When a node is due for SQLMesh, sorted: whenever the wall shows the time, in autumn twice; in
    spring at the end of the hour that is left out, or not at all if the cron has all hours.

    Where a clock goes back to a time within an hour (Chatham: from 03:45 to 02:45), SQLMesh may
    leave some of the second times out, depending on when it is asked.
    """
    zone, midnight = zone_of(name), _midnight(day)
    found: set[int] = set()
    for minute in minutes:
        wall = midnight + timedelta(minutes=minute)
        first, second = _offsets(wall, zone)
        seconds = (day - _EPOCH) * DAY + minute * 60
        if first >= second:
            found.update((seconds - first, seconds - second))
        elif not every_hour:
            while first < second:
                seconds += 60
                wall += timedelta(minutes=1)
                first, second = _offsets(wall, zone)
            found.add(seconds - first)
    return sorted(found)


def _moved(wall: datetime, zone: ZoneInfo, *, one_time: bool) -> int:
    """Where Dagster puts a time that does not exist: the full hour, and the summer time that is in
    force an hour later on the wall. If that does not exist either, it is read in the way of before
    the change; where Dagster counts days itself, in that of after it."""
    later = (wall + timedelta(hours=1)).replace(tzinfo=zone)
    moved = wall.replace(minute=0) + (later.dst() or timedelta())
    after = one_time and moved.hour in _MOVED_HOURS
    since = moved - _midnight(_EPOCH)
    return round(since.total_seconds()) - _offsets(moved, zone)[after]


def _midnight(day: int) -> datetime:
    return datetime.fromordinal(day)


def _offsets(wall: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """The seconds by which a clock is ahead of UTC, read as before and as after a change: the same
    but for times that come twice (then the first is greater) or do not exist."""
    return _offset(wall.replace(tzinfo=zone)), _offset(wall.replace(tzinfo=zone, fold=1))


def _offset(wall: datetime) -> int:
    offset = wall.utcoffset()
    assert offset is not None  # noqa: S101 - it has a zone
    return round(offset.total_seconds())
