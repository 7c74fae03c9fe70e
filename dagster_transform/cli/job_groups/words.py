"""Numbers of job groups in words."""

from __future__ import annotations

_MINUTE = 60


def duration(seconds: float) -> str:
    """How long something takes, to two figures: `45 s`, `3 min`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    hours, rest = divmod(round(whole / _MINUTE), 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"
