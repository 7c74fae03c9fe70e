"""A cron as a value."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from dagster_transform.planning.cron import clock, fields
from dagster_transform.planning.cron import days as calendar
from dagster_transform.planning.cron.errors import CronError

UTC = "UTC"
_NAMES_OF_UTC = frozenset({"utc", "etc/utc", "etc/uct", "uct", "zulu", "etc/zulu", "universal"})
_HOURS = 24
_DAYS_OF_FEBRUARY = 28
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


@dataclass(frozen=True, slots=True)
class Cron:
    """When something happens, in the time of a zone.

    Equal are two crons of one zone with the same times on every day of the calendar, however they
    are written. Make one with `parse`.

    Attributes:
        time_zone: IANA name.
        text: The canonical spelling: five short fields, which parse to an equal cron.
        minutes, hours: Of its times: each of the minutes in each of the hours.
        days: As `days` has them.
        times: Minutes since midnight, of a day that has it.
    """

    time_zone: str
    text: str
    minutes: frozenset[int] = field(compare=False, repr=False)
    hours: frozenset[int] = field(compare=False, repr=False)
    days: int = field(compare=False, repr=False)
    times: tuple[int, ...] = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, time_zone: str | None = None) -> Cron:
        """The cron of a text.

        Args:
            text: Five fields with ranges, steps, lists and names, or an alias such as `@daily`.
            time_zone: IANA name; None is UTC.

        Raises:
            CronError: It is not written as crons are; it never ticks; there is no such zone.
        """
        return _parse(text, time_zone or UTC)

    @classmethod
    def of(
        cls, minutes: Iterable[int], hours: Iterable[int], days: fields.DayFields, time_zone: str
    ) -> Cron:
        """The cron of these times on these days; none of the three may be empty."""
        found_minutes, found_hours = frozenset(minutes), frozenset(hours)
        return cls(
            time_zone=time_zone,
            text=fields.spell(found_minutes, found_hours, days),
            minutes=found_minutes,
            hours=found_hours,
            days=days.bits(),
            times=tuple(h * 60 + m for h in sorted(found_hours) for m in sorted(found_minutes)),
        )

    def __str__(self) -> str:
        return self.text if self.time_zone == UTC else f"{self.text} {self.time_zone}"

    def describe(self) -> str:
        """Few words: "daily 06:00", "hourly", "every 15 minutes"; the text of a cron that has
        none. Those of a zone other than UTC end with it."""
        words = self._words() or self.text
        return words if self.time_zone == UTC else f"{words} {self.time_zone}"

    def next(self, after: datetime) -> datetime:
        """The first tick after a moment, aware and in UTC.

        Args:
            after: Aware; a tick in this very moment is not meant.
        """
        return _aware(next(self._after(math.floor(after.timestamp()), _ticks_of_changed_day)))

    def previous(self, before: datetime) -> datetime:
        """The last tick before a moment, likewise."""
        return _aware(next(self._before(math.ceil(before.timestamp()))))

    def ticks(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The ticks from a moment on and before another, in order, aware and in UTC: those of
        Dagster's scheduler."""
        last = end.timestamp()
        for tick in self._after(math.ceil(start.timestamp()) - 1, _ticks_of_changed_day):
            if tick >= last:
                return
            yield _aware(tick)

    def due(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The moments after one and up to another in which SQLMesh says that a node of this cron is
        due, in order, aware and in UTC.

        They are the ticks, but for the nights in which the clock is changed: in autumn, what has
        not all hours is due twice and ticks once, at the second time.
        """
        last = end.timestamp()
        for moment in self._after(math.floor(start.timestamp()), _due_of_changed_day):
            if moment > last:
                return
            yield _aware(moment)

    def changed(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, bool]]:
        """Its times between two moments that a clock leaves out or shows twice, in order: what the
        wall shows, naive; and whether it comes twice. None of a cron of every hour, which ticks as
        often as there are hours."""
        if self.is_of_every_hour:
            return
        zone = self.time_zone
        last = clock.local_day(zone, math.floor(end.timestamp()))
        for day in range(clock.local_day(zone, math.floor(start.timestamp())), last + 1):
            if calendar.has(self.days, day) and clock.calm_midnight(zone, day) is None:
                yield from clock.changed_times(zone, day, self.times)

    def covers(self, other: Cron) -> bool:
        """Whether every tick of another cron is one of this; never, where their zones differ.

        Nights in which the clock is changed count: `30 2 * * *` ticks at 03:00 when there is no
        02:30, which `30 * * * *` does not.
        """
        return self == other or (self._has_times_of(other) and not _missed(self, other))

    @property
    def cron_schedule(self) -> str:
        """What a Dagster schedule is given: the text, but for crons of every hour in a zone whose
        clock is changed by part of an hour (Lord Howe Island). There Dagster would count hours
        from what the wall shows in the season in which its process was started; spelt in this way
        they are looked up on the wall."""
        if not self.is_of_every_hour or self.days != calendar.all_days():
            return self.text
        minute, hour, *_ = self.text.split()
        shifts = clock.shifts_by_part_of_an_hour(self.time_zone)
        return f"{minute} {hour} 1-31 * 0-6" if shifts else self.text

    @property
    def per_day(self) -> float:
        """How often it ticks a day, on average."""
        return len(self.times) * calendar.share(self.days)

    @property
    def is_of_every_hour(self) -> bool:
        """Whether it has all hours of its days."""
        return len(self.hours) == _HOURS

    def _has_times_of(self, other: Cron) -> bool:
        return (
            self.time_zone == other.time_zone
            and self.minutes >= other.minutes
            and self.hours >= other.hours
            and not other.days & ~self.days
        )

    def _words(self) -> str | None:
        minute, hour = min(self.minutes), min(self.hours)
        steps = fields.spell(self.minutes, self.hours, fields.every_day()).split()
        if self.days == calendar.all_days() and self.is_of_every_hour:
            if len(self.minutes) == 1:
                return f"hourly at :{minute:02}" if minute else "hourly"
            if steps[0] == "*":
                return "every minute"
            if steps[0].startswith("*/") and 60 % len(self.minutes) == 0:
                return f"every {steps[0][2:]} minutes"
            return None
        if len(self.minutes) > 1:
            return None
        if self.days == calendar.all_days() and steps[1].startswith("*/"):
            at = f" at :{minute:02}" if minute else ""
            return f"every {steps[1][2:]} hours{at}" if _HOURS % len(self.hours) == 0 else None
        return (
            f"{words} {hour:02}:{minute:02}"
            if len(self.hours) == 1 and (words := _words_of_days(self.days))
            else None
        )

    def _after(self, moment: int, of_changed_day: _OfChangedDay) -> Iterator[int]:
        # A time of the day before may have been moved over midnight.
        first = clock.local_day(self.time_zone, moment) - 1
        for day in calendar.from_day(self.days, first):
            midnight = clock.calm_midnight(self.time_zone, day)
            if midnight is None:
                for tick in of_changed_day(self, day):
                    if tick > moment:
                        moment = tick
                        yield tick
            else:
                place = bisect_right(self.times, (moment - midnight) // 60)
                for time in self.times[place:]:
                    yield midnight + 60 * time

    def _before(self, moment: int) -> Iterator[int]:
        last = clock.local_day(self.time_zone, moment) + 1
        for day in calendar.back_from_day(self.days, last):
            midnight = clock.calm_midnight(self.time_zone, day)
            if midnight is None:
                for tick in reversed(_ticks_of_changed_day(self, day)):
                    if tick < moment:
                        moment = tick
                        yield tick
            else:
                place = bisect_left(self.times, -((midnight - moment) // 60))
                for time in reversed(self.times[:place]):
                    yield midnight + 60 * time


_OfChangedDay = Callable[[Cron, int], Sequence[int]]


@lru_cache(maxsize=4096)
def _ticks_of_changed_day(cron: Cron, day: int) -> list[int]:
    return clock.ticks_of_changed_day(
        cron.time_zone,
        day,
        cron.times,
        every_hour=cron.is_of_every_hour,
        one_time=len(cron.times) == 1 and _is_counted_by_dagster(cron.text),
    )


@lru_cache(maxsize=4096)
def _due_of_changed_day(cron: Cron, day: int) -> list[int]:
    return clock.due_of_changed_day(
        cron.time_zone, day, cron.times, every_hour=cron.is_of_every_hour
    )


def _ticks_of(cron: Cron, day: int) -> Sequence[int]:
    midnight = clock.calm_midnight(cron.time_zone, day)
    if midnight is None:
        return _ticks_of_changed_day(cron, day)
    return [midnight + 60 * time for time in cron.times]


@lru_cache(maxsize=16_384)
def _parse(text: str, time_zone: str) -> Cron:
    minutes, hours, days = fields.split(text)
    found = fields.day_fields(days)
    assert found is not None  # noqa: S101 - five fields say so
    if time_zone.lower() in _NAMES_OF_UTC:
        return Cron.of(minutes, hours, found, UTC)
    try:
        clock.zone_of(time_zone)
    except (KeyError, ValueError, OSError):
        raise CronError(
            text,
            f"there is no time zone '{time_zone}'",
            remedy="Write an IANA name such as Europe/Zurich.",
        ) from None
    return Cron.of(minutes, hours, found, time_zone)


@lru_cache(maxsize=65_536)
def _missed(cron: Cron, other: Cron) -> tuple[int, ...]:
    """Ticks of another cron that one has not, near changes of the clock; it has the others."""
    return tuple(
        sorted(
            tick
            for day in _days_to_compare(cron, other)
            for tick in {*_ticks_of(other, day)}.difference(
                *(_ticks_of(cron, near) for near in _near(cron, day))
            )
        )
    )


def missed(cron: Cron, other: Cron) -> list[datetime]:
    """Ticks of another cron that one does not have, near changes of the clock, one of each kind,
    aware, in their zone. Elsewhere it must have all of them."""
    zone = clock.zone_of(cron.time_zone)
    return [_aware(tick).astimezone(zone) for tick in _missed(cron, other)]


def _days_to_compare(cron: Cron, other: Cron) -> Iterable[int]:
    """Of the days near changes of the clock, one of each kind on which another cron ticks."""
    found: dict[tuple[object, ...], int] = {}
    for day, kind in _changes(cron.time_zone):
        if calendar.has(other.days, day):
            around = (calendar.has(cron.days, day - 1), calendar.has(cron.days, day + 1))
            found.setdefault((kind, around), day)
    return found.values()


@lru_cache(maxsize=512)
def _changes(time_zone: str) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple(
        (day, clock.kind_of_change(time_zone, day)) for day in clock.changing_days(time_zone)
    )


def _near(cron: Cron, day: int) -> list[int]:
    return [near for near in (day - 1, day, day + 1) if calendar.has(cron.days, near)]


def _is_counted_by_dagster(text: str) -> bool:
    """Whether Dagster goes from day to day (week, month) itself, instead of through croniter."""
    _, _, day, month, weekday = text.split()
    if month != "*":
        return False
    if weekday == "*":
        return day == "*" or (day.isdigit() and int(day) <= _DAYS_OF_FEBRUARY)
    return day == "*" and "#" not in weekday and "L" not in weekday


def _words_of_days(days: int) -> str | None:
    if days == calendar.all_days():
        return "daily"
    for weekday, name in enumerate(_WEEKDAYS):
        if days == calendar.on_weekday(weekday):
            return f"{name}s"
    for day in range(1, _DAYS_OF_FEBRUARY + 1):
        if days == calendar.on_day(day):
            return f"monthly on day {day}"
    return None


def _aware(moment: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=moment)
