"""When a pause ends by itself, as people write it. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from dagster_transform.errors import TransformError

_DURATION = re.compile(
    r"(?=\S)(?:(?P<days>\d+)\s*d)?\s*(?:(?P<hours>\d+)\s*h)?\s*(?:(?P<minutes>\d+)\s*m)?"
)


class PauseEndError(TransformError):
    """A text says no moment in the future."""


def end_of_pause(text: str, now: datetime) -> datetime:
    """When a pause ends.

    Args:
        text: `2h`, `90m`, `1d 12h`, from now on; or an ISO 8601 time: `2026-01-31`,
            `2026-01-31T06:00+01:00`. Without a zone it is UTC.
        now: Aware.

    Returns:
        Aware, UTC.

    Raises:
        PauseEndError: It is neither, or over.
    """
    given = text.strip()
    try:
        if found := _DURATION.fullmatch(given):
            length = {unit: int(number) for unit, number in found.groupdict(default="0").items()}
            end = now + timedelta(**length)
        else:
            end = datetime.fromisoformat(given.replace("Z", "+00:00"))
    except OverflowError:
        raise PauseEndError(f"{text!r} is too long a time.") from None
    except ValueError:
        raise PauseEndError(
            f"{text!r} is no duration and no ISO 8601 time.",
            remedy="Write 2h, 1d 12h or 2026-01-31T06:00+01:00.",
        ) from None
    end = end.replace(tzinfo=timezone.utc) if end.tzinfo is None else end
    if end <= now:
        raise PauseEndError(f"{text!r} is over.")
    return end.astimezone(timezone.utc)
