"""What a cron and a time zone may look like, wherever people write one: in transform.yaml, in the
`meta` of a dbt node."""

from __future__ import annotations

from zoneinfo import ZoneInfo

A_CRON = "a cron of five fields, or @daily and such"
"""What is expected, for errors."""
A_TIME_ZONE = "a name such as Europe/Zurich"
"""Likewise."""

_FIELDS = 5


def is_cron(text: object) -> bool:
    """Whether it is a cron of five fields, or an alias such as `@daily`."""
    from croniter import croniter  # only those pay for it who use it

    if not isinstance(text, str) or not croniter.is_valid(text):
        return False
    return text.startswith("@") or len(text.split()) == _FIELDS


def is_time_zone(text: object) -> bool:
    """Whether it is an IANA name of a time zone."""
    try:
        return isinstance(text, str) and bool(ZoneInfo(text))
    except (KeyError, ValueError, OSError):
        return False
