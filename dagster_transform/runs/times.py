"""What the walks of one run note of its time, for its timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from dagster_transform.planning.timeline import Spell, Timeline, timeline_of


class RunTimes:
    """The times of a run's walks, from when this is made.

    Args:
        now: The walks' clock.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._began = now()
        self._walks: list[Sequence[Spell]] = []
        self._waited: dict[str, float] = {}

    def walked(self, spells: Sequence[Spell], waited: Mapping[str, float]) -> None:
        """A walk has ended.

        Args:
            spells: Of its units, each after those that it depends on.
            waited: Seconds that the run waited as a whole, by what was in the way.
        """
        self._walks.append(spells)
        for reason, seconds in waited.items():
            self._waited[reason] = self._waited.get(reason, 0.0) + seconds

    def timeline(self) -> Timeline:
        """What the time up to now went into."""
        return timeline_of(self._walks, began=self._began, ended=self._now(), waited=self._waited)
