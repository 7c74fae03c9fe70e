"""When the log says how far a long build has come: often enough to be seen, seldom enough to cost
nothing. Pure but for the clock that it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dagster_transform.graph import UnitId
from dagster_transform.walk import Progress

LEAST_SECONDS = 5.0
"""Between a build's start and its first line, and between two of its lines."""
_PART = 20
"""And a twentieth of the time that it has taken: ten hours are about 140 lines."""


def is_due(now: float, began: float, said: float) -> bool:
    """Whether one more line is due.

    Args:
        now: The moment; all of them in seconds on one clock.
        began: When the build was started.
        said: When its last line was written; at first when it was started.
    """
    return now - said >= max(LEAST_SECONDS, (now - began) / _PART)


@dataclass(slots=True)
class _Told:
    began: float
    said: float
    latest: Progress | None = None


class ProgressTold:
    """What the log says of builds that go batch by batch.

    Args:
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._told: dict[UnitId, _Told] = {}

    def begin(self, unit: UnitId) -> None:
        """A build was started."""
        now = self._now()
        self._told[unit] = _Told(now, now)

    def line(self, progress: Progress) -> str:
        """What is to be said of it now; empty: nothing."""
        told, now = self._told[progress.unit], self._now()
        told.latest = progress
        if not is_due(now, told.began, told.said):
            return ""
        told.said = now
        done, total = progress.done, progress.total
        return f"batch {done:,} of {total:,}, {progress.what}, {100 * done // total} %"

    def end(self, unit: UnitId) -> Progress | None:
        """The last that was heard of a build that has ended."""
        told = self._told.pop(unit, None)
        return told.latest if told is not None else None
