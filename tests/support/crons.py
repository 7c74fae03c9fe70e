"""Crons at random, and days on which clocks are changed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

ZONES = (
    "UTC",
    "Europe/Zurich",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Chatham",  # at a quarter to three
    "America/Havana",  # at midnight
    "Africa/Cairo",
    "America/Santiago",
    "Asia/Beirut",
    "Europe/Dublin",  # its winter time is the one that differs
    "Africa/Casablanca",
    "America/Nuuk",  # at eleven in the evening
    "Atlantic/Azores",
)
"""Antarctica/Troll, whose clock is changed by two hours, is not among them: there Dagster's own
iterators fail."""
YEAR = 2026


def changes_of(zone: str) -> list[datetime]:
    """Noon in UTC of the days of 2026 in which a zone's clock is changed; of New Year if none."""
    info, noon = ZoneInfo(zone), datetime(YEAR, 1, 1, 12, tzinfo=timezone.utc)
    days = [noon + timedelta(days=day) for day in range(365)]
    return [
        day
        for day in days
        if day.astimezone(info).utcoffset()
        != (day - timedelta(days=1)).astimezone(info).utcoffset()
    ] or [noon]


CHANGES = {zone: changes_of(zone) for zone in ZONES}


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> str:
    """One field of a cron, of numbers between two."""
    numbers = st.integers(low, high)
    first, second, step = draw(numbers), draw(numbers), draw(st.integers(1, high))
    return draw(
        st.sampled_from(
            [
                "*",
                f"{first}",
                f"*/{step}",
                f"{first}/{step}",
                f"{first}-{second}",
                f"{first}-{second}/{step}",
                f"{first},{second}",
                f"{first},{second},{draw(numbers)}-{high}",
            ]
        )
    )


MINUTES = st.sampled_from(["0", "30", "15", "*/15", "15,45"]) | fields(0, 59)
HOURS = st.sampled_from(["*", "0", "1", "2", "3", "23", "0-3", "1,2", "2,3"]) | fields(0, 23)
EACH_DAY = st.just("*")
WEEKDAYS = st.sampled_from(["mon-fri", "sun", "fri-mon", "6,7", "1"]) | fields(0, 7)


@st.composite
def crons(draw: st.DrawFn) -> str:
    """Five fields, mostly of all days."""
    days = st.sampled_from(["*"] * 8 + ["L", "?", "1-31"]) | fields(1, 31)
    months = st.sampled_from(["*"] * 8 + ["jan", "mar,oct", "nov-feb"]) | fields(1, 12)
    weekdays = st.sampled_from(["*"] * 8) | WEEKDAYS
    day = draw(days)
    if day == "*":
        weekdays |= st.sampled_from(["1#2", "L5", "mon-wed#5"])
    return " ".join((draw(MINUTES), draw(HOURS), day, draw(months), draw(weekdays)))


@st.composite
def often(draw: st.DrawFn) -> str:
    """Five fields of all days, or of some weekdays."""
    return f"{draw(MINUTES)} {draw(HOURS)} * * {draw(EACH_DAY | WEEKDAYS)}"


@st.composite
def moments(draw: st.DrawFn, zone: str) -> datetime:
    """A moment of 2026, often near to a change of a zone's clock, to the second."""
    near = draw(st.sampled_from(CHANGES[zone])) + timedelta(hours=draw(st.integers(-48, 24)))
    anywhere = datetime(YEAR, 1, 1, tzinfo=timezone.utc) + timedelta(
        minutes=draw(st.integers(0, 365 * 24 * 60))
    )
    off = timedelta(seconds=draw(st.sampled_from([0, 0, 1, 59, 60, 1800])))
    return draw(st.sampled_from([near, near, anywhere])) + off
