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


def kind_of_change(name: str, day: int) -> tuple[int, ...]:
    """Equal for two days of a zone if their clocks do the same, hour by hour."""
    zone, midnight = zone_of(name), _midnight(day)
    return tuple(
        _offset((midnight + timedelta(minutes=minute)).replace(tzinfo=zone, fold=fold))
        for minute in range(-240, 1681, 15)
        for fold in (0, 1)
    )


def local_day(name: str, moment: int) -> int:
    """The day of a moment in a zone."""
    return datetime.fromtimestamp(moment, tz=zone_of(name)).toordinal()


def ticks_of_changed_day(
    name: str, day: int, minutes: Sequence[int], *, every_hour: bool, one_time: bool
) -> Iterator[int]:
    """When Dagster ticks for a day near a change of the clock, as its iterators go, sorted but for
    repeats.

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
        first, second = (_offset(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
        seconds = (day - _EPOCH) * DAY + minute * 60
        if first == second:
            found.append(seconds - first)
        elif first > second and every_hour:  # it comes twice
            found += [seconds - first, seconds - second]
        elif first > second:
            other = one_time and wall.hour not in _MOVED_HOURS
            found.append(seconds - (first if other else second))
        elif not every_hour:  # it does not exist
            found.append(_moved(wall, zone) if wall.hour in _MOVED_HOURS else seconds - first)
    yield from sorted(found)


def due_of_changed_day(
    name: str, day: int, minutes: Sequence[int], *, every_hour: bool
) -> Iterator[int]:
    """When a node is due for SQLMesh, likewise: whenever the wall shows the time, in autumn twice;
    in spring at the end of the hour that is left out, or not at all if the cron has all hours."""
    zone, midnight = zone_of(name), _midnight(day)
    found: set[int] = set()
    for minute in minutes:
        wall = midnight + timedelta(minutes=minute)
        first, second = (_offset(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
        seconds = (day - _EPOCH) * DAY + minute * 60
        if first >= second:
            found.update((seconds - first, seconds - second))
        elif not every_hour:
            while first < second:
                seconds += 60
                wall += timedelta(minutes=1)
                first, second = (_offset(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
            found.add(seconds - first)
    yield from sorted(found)


def _moved(wall: datetime, zone: ZoneInfo) -> int:
    """Where Dagster puts a time that does not exist: the full hour, and the summer time that is in
    force an hour later on the wall."""
    later = (wall + timedelta(hours=1)).replace(tzinfo=zone)
    moved = wall.replace(minute=0) + (later.dst() or timedelta())
    since = moved - _midnight(_EPOCH)
    return round(since.total_seconds()) - _offset(moved.replace(tzinfo=zone))


def _midnight(day: int) -> datetime:
    return datetime.fromordinal(day)


def _offset(wall: datetime) -> int:
    offset = wall.utcoffset()
    assert offset is not None  # noqa: S101 - it has a zone
    return round(offset.total_seconds())
