"""The five fields of a cron: what is written, what it means, and its one canonical spelling.

What is accepted, and what it means, is what croniter says of it, which SQLMesh uses (and Dagster,
in an older version): `59/5` is minute 59, `fri-mon` goes over the end of the week, a day of the
month and a weekday are joined by "or". What croniter knows and Dagster does not (`15W`), fields of
seconds and years, and values that are drawn by lot (`H`, `R`) are errors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from dagster_transform.planning.cron import days as calendar
from dagster_transform.planning.cron.errors import CronError

_ALIASES = {
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_LAST_DAY = "l"
_ANY = frozenset({"*", "?"})
_NTH = re.compile(r"(?P<weekday>[^#]+)#(?P<n>[1-5])|l(?P<last>[0-7])", re.ASCII)
_RANGE = re.compile(r"(?P<low>[^-/]+)-(?P<high>[^-/]+)(?:/(?P<step>\d{1,9}))?", re.ASCII)
_START = re.compile(r"(?P<low>[^-/]+)/(?P<step>\d{1,9})", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_REMEDY = 'Write five fields (minute, hour, day, month, weekday), for example "30 6 * * mon-fri".'


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, tuple(_MONTHS)),
    _Field("weekday", 0, 6, tuple(_WEEKDAYS)),
)
_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY = _FIELDS


@dataclass(frozen=True, slots=True)
class DayFields:
    """Which days a cron ticks on, as it is written: days of the month or weekdays, in months.

    Attributes:
        days: Days of the month, 1 to 31.
        last_day: Also the last one of each month.
        months: 1 to 12.
        weekdays: 0 (Sunday) to 6.
        nth: First to fifth (or last, `days.LAST`) weekdays of their months: (weekday, n).
    """

    days: frozenset[int]
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    nth: frozenset[tuple[int, int]]

    def bits(self) -> int:
        """The days, as in `days`."""
        found = calendar.on_last_day() if self.last_day else 0
        for day in self.days:
            found |= calendar.on_day(day)
        for weekday in self.weekdays:
            found |= calendar.on_weekday(weekday)
        for weekday, n in self.nth:
            found |= calendar.on_nth(weekday, n)
        return found & _of_months(self.months)

    def _days_text(self, spans: list[str]) -> str:
        return ",".join(spans) if self.last_day else _compact(self.days, spans, _DAY)

    def text(self) -> str:
        """Three fields."""
        every_day = self.days >= _all(_DAY) or self.weekdays >= _all(_WEEKDAY)
        days = [*_spans(self.days)] + [_LAST_DAY.upper()] * self.last_day
        weekdays = [*_spans(self.weekdays)]
        for weekday, n in sorted(self.nth):
            weekdays.append(f"L{weekday}" if n == calendar.LAST else f"{weekday}#{n}")
        return " ".join(
            (
                "*" if every_day or not days else self._days_text(days),
                _compact(self.months, [*_spans(self.months)], _MONTH),
                "*" if every_day or not weekdays else ",".join(weekdays),
            )
        )


def split(text: str) -> tuple[frozenset[int], frozenset[int], int]:
    """Minutes, hours and days (as in `days`) of a cron. Raises CronError."""
    lowered = text.strip().lower()
    fields = _ALIASES.get(lowered, lowered).split()
    if len(fields) != len(_FIELDS):
        known = ", ".join(sorted(_ALIASES))
        what = f"it has {len(fields)} fields and not five"
        raise CronError(
            text, f"it is none of {known}" if lowered[:1] == "@" else what, remedy=_REMEDY
        )
    minute, hour, day, month, weekday = fields
    minutes = _values(text, minute, _MINUTE)
    hours = _values(text, hour, _HOUR)
    found = _day_fields(text, day, month, weekday).bits()
    if not found:
        raise CronError(text, "no month has such a day", remedy=_REMEDY)
    return minutes, hours, found


def spell(minutes: Collection[int], hours: Collection[int], days: DayFields) -> str:
    """The canonical text."""
    return " ".join(
        (
            _compact(minutes, [*_spans(minutes)], _MINUTE),
            _compact(hours, [*_spans(hours)], _HOUR),
            days.text(),
        )
    )


def day_fields(bits: int) -> DayFields | None:
    """The simplest fields that mean exactly these days; None where no five fields do."""
    months = frozenset(m for m in _all(_MONTH) if calendar.in_month(m) & bits)
    within = _of_months(months)
    nothing: frozenset[int] = frozenset()
    if bits == within:
        return DayFields(_all(_DAY), False, months, nothing, frozenset())
    days = frozenset(
        d for d in _all(_DAY) if (mine := calendar.on_day(d) & within) and not mine & ~bits
    )
    weekdays = frozenset(w for w in _all(_WEEKDAY) if not calendar.on_weekday(w) & within & ~bits)
    last = not calendar.on_last_day() & within & ~bits
    for found in (
        DayFields(days, False, months, nothing, frozenset()),
        DayFields(nothing, False, months, weekdays, frozenset()),
        DayFields(days, False, months, weekdays, frozenset()),
    ):
        if found.bits() == bits:
            return found
    if last:
        for chosen in (nothing, weekdays):
            found = DayFields(days, True, months, chosen, frozenset())
            if found.bits() == bits:
                return _without_needless_days(found)
    nth = frozenset(
        (w, n)
        for w in _all(_WEEKDAY)
        for n in range(1, calendar.LAST + 1)
        if not calendar.on_nth(w, n) & within & ~bits
    )
    found = DayFields(nothing, False, months, nothing, nth)
    return _without_needless_nth(found) if found.bits() == bits else None


def _without_needless_days(fields: DayFields) -> DayFields:
    """Without days that are there anyway because they are the last of their month."""
    bits = fields.bits()
    for day in sorted(fields.days, reverse=True):
        fewer = DayFields(fields.days - {day}, True, fields.months, fields.weekdays, frozenset())
        if fewer.bits() == bits:
            fields = fewer
    return fields


def _without_needless_nth(fields: DayFields) -> DayFields:
    bits = fields.bits()
    for each in sorted(fields.nth, key=lambda found: (-found[1], found[0])):
        fewer = DayFields(frozenset(), False, fields.months, frozenset(), fields.nth - {each})
        if fewer.bits() == bits:
            fields = fewer
    return fields


def covering_days(found: Iterable[int]) -> DayFields:
    """Few days, of five fields, among which all these are (as in `days`): exactly these where five
    fields can say so."""
    parts = [*found]
    union = 0
    for part in parts:
        union |= part
    if exact := day_fields(union):
        return exact
    days: frozenset[int] = frozenset()
    months, weekdays, last = days, days, False
    for part in parts:
        fields = day_fields(part)
        if fields is None:
            return DayFields(_all(_DAY), False, _all(_MONTH), frozenset(), frozenset())
        days, months = days | fields.days, months | fields.months
        weekdays |= fields.weekdays | {weekday for weekday, _ in fields.nth}
        last = last or fields.last_day
    wide = DayFields(days, last, months, weekdays, frozenset()).bits()
    return day_fields(wide) or DayFields(_all(_DAY), False, months, frozenset(), frozenset())


def _of_months(months: Iterable[int]) -> int:
    found = 0
    for month in months:
        found |= calendar.in_month(month)
    return found


def _all(field: _Field) -> frozenset[int]:
    return frozenset(range(field.low, field.high + 1))


def _day_fields(text: str, day: str, month: str, weekday: str) -> DayFields:
    months = _values(text, month, _MONTH)
    any_day, any_weekday = (not _ANY.isdisjoint(field.split(",")) for field in (day, weekday))
    last = _LAST_DAY in day.split(",")
    parts = [part for part in day.split(",") if part != _LAST_DAY]
    days = _values(text, ",".join(parts), _DAY) if parts else frozenset()
    nth: set[tuple[int, int]] = set()
    plain: list[str] = []
    for part in weekday.split(","):
        if match := _NTH.fullmatch(part):
            nth.update(_nth(text, match))
        else:
            plain.append(part)
    if nth and plain:
        what = "weekdays of each week and nth weekdays of the month don't go together"
        raise CronError(text, what, remedy=_REMEDY)
    weekdays = _values(text, ",".join(plain), _WEEKDAY) if plain else frozenset()
    # As croniter counts: beside an asterisk, a field that has all is one too.
    if len(days) + last == len(_all(_DAY)) and "*" in weekday:
        any_day = True
    if weekdays == _all(_WEEKDAY) and "*" in day:
        any_weekday = True
    nothing: frozenset[int] = frozenset()
    if nth and not any_day:
        what = "days of the month and nth weekdays of the month don't go together"
        raise CronError(text, what, remedy=_REMEDY)
    if nth:
        return DayFields(nothing, False, months, nothing, frozenset(nth))
    if any_day and any_weekday:
        return DayFields(_all(_DAY), False, months, nothing, frozenset())
    if any_day:
        return DayFields(nothing, False, months, weekdays, frozenset())
    return DayFields(days, last, months, nothing if any_weekday else weekdays, frozenset())


def _nth(text: str, match: re.Match[str]) -> Iterable[tuple[int, int]]:
    if match["last"]:
        return [(int(match["last"]) % 7, calendar.LAST)]
    weekday, n = match["weekday"], int(match["n"])
    if "/" in weekday or weekday == "*" or (weekday[0].isdigit() and "-" in weekday):
        what = f"'{match[0]}' is no nth weekday; name one weekday, or names such as mon-fri"
        raise CronError(text, what, remedy=_REMEDY)
    return [(each, n) for each in _values(text, weekday, _WEEKDAY)]


def _values(text: str, written: str, field: _Field) -> frozenset[int]:
    """What a field means. Raises CronError."""
    found: set[int] = set()
    for part in written.split(","):
        if part in _ANY and (part == "*" or (field in (_DAY, _WEEKDAY) and written == part)):
            found.update(_all(field))
        elif match := _RANGE.fullmatch(part.replace("*/", f"{field.low}-{field.high}/")):
            found.update(_range(text, part, match, field))
        elif match := _START.fullmatch(part):
            low = _number(text, part, match["low"], field)
            found.update(range(low, field.high + 1, _step(text, part, match["step"], field)))
        else:
            found.add(_number(text, part, part, field))
    return frozenset(found)


def _range(text: str, part: str, match: re.Match[str], field: _Field) -> list[int]:
    high_text = match["high"]
    if field is _DAY and high_text == _LAST_DAY:
        high_text = str(_DAY.high)
    low = _number(text, part, match["low"], field)
    high = _number(text, part, high_text, field)
    step = _step(text, part, match["step"] or "1", field)
    if low == high:  # `sun-sun`: the whole week
        low, high = field.low, field.high
    if low < high:
        return [*range(low, high + 1, step)]
    before = [*range(low, field.high + 1, step)]
    # As croniter counts on over the end, which is not always every step-th value.
    left, size = field.high - before[-1], field.high - field.low + 1
    skip = step - left if before[-1] - field.low + step > size and left < step else 0
    return [*before, *range(field.low + skip, high + 1, step)]


def _step(text: str, part: str, step: str, field: _Field) -> int:
    if int(step) < 1:
        raise CronError(text, f"'{part}' of its {field.name} has the step 0", remedy=_REMEDY)
    return int(step)


def _number(text: str, part: str, value: str, field: _Field) -> int:
    if value in field.names:
        return field.names.index(value) + field.low
    number = int(value) if _NUMBER.fullmatch(value) else None
    if field is _WEEKDAY and number == 7:
        return 0
    if number is None or not field.low <= number <= field.high:
        what = f"'{part}' is no {field.name} ({field.low} to {field.high})"
        raise CronError(text, what, remedy=_REMEDY)
    return number


def _spans(values: Collection[int]) -> Iterable[str]:
    """`1`, `3-5`... of values; two neighbours stay apart."""
    ordered = sorted(values)
    start = 0
    for place, value in enumerate(ordered):
        if place + 1 < len(ordered) and ordered[place + 1] == value + 1:
            continue
        if place - start > 1:
            yield f"{ordered[start]}-{value}"
        else:
            yield from (str(each) for each in ordered[start : place + 1])
        start = place + 1


def _compact(values: Collection[int], spans: list[str], field: _Field) -> str:
    """The shortest: all, every so many, or spans."""
    if len(values) == field.high - field.low + 1:
        return "*"
    text = ",".join(spans)
    ordered = sorted(values)
    if len(ordered) < 3 or len(spans) > len(ordered):
        return text
    step = ordered[1] - ordered[0]
    if step == 1 or ordered != [*range(ordered[0], ordered[-1] + 1, step)]:
        return text
    if ordered[0] == field.low and ordered[-1] + step > field.high:
        return f"*/{step}"
    return min(text, f"{ordered[0]}-{ordered[-1]}/{step}", key=len)


def every_day() -> DayFields:
    """All days."""
    return DayFields(_all(_DAY), False, _all(_MONTH), frozenset(), frozenset())
