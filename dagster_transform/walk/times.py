"""When the units of a walk were ready, began and ended, and what they waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dagster_transform.graph import UnitId
from dagster_transform.planning import RunPlan
from dagster_transform.planning.timeline import OWN_LIMITS, Spell
from dagster_transform.walk.events import Finished

_LEAST = 0.05
"""Seconds below which waiting for the run's own limits is none: the walk was busy elsewhere."""


@dataclass(slots=True)
class _Times:
    ready: float
    attempts: list[tuple[float, float]] = field(default_factory=list)
    waited: dict[str, float] = field(default_factory=dict)
    running: float | None = None
    held_up: tuple[float, str] | None = None  # since when, by what


class WalkTimes:
    """Notes what the walk tells it.

    Args:
        now: The walk's clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._of: dict[UnitId, _Times] = {}

    def ready(self, unit: UnitId) -> None:
        """All that a unit depends on is done."""
        self._of.setdefault(unit, _Times(self._now()))

    def held_up(self, unit: UnitId, reason: str) -> None:
        """The gate does not let it pass."""
        times = self._of[unit]
        if times.held_up is None or times.held_up[1] != reason:
            self._pass(times)
            times.held_up = (self._now(), reason)

    def began(self, unit: UnitId) -> None:
        """An attempt has begun."""
        times, now = self._of[unit], self._now()
        self._pass(times)
        if not times.attempts:
            own = now - times.ready - sum(times.waited.values())
            if own >= _LEAST:
                times.waited[OWN_LIMITS] = own
        times.running = now

    def ended(self, unit: UnitId) -> None:
        """An attempt has ended."""
        times = self._of[unit]
        if times.running is not None:
            times.attempts.append((times.running, self._now()))
            times.running = None

    def finished(self, unit: UnitId) -> None:
        """It has come to its end in this walk, whether it ever began or not."""
        if (times := self._of.get(unit)) is not None:
            self._pass(times)

    def spells(self, run_plan: RunPlan, finished: Mapping[UnitId, Finished]) -> list[Spell]:
        """The times of the units that were ever ready, in the plan's order."""
        return [
            Spell(
                unit.id,
                unit.kind,
                finished[unit.id].outcome,
                finished[unit.id].good,
                times.ready,
                tuple(times.attempts),
                dict(times.waited),
                unit.after,
            )
            for unit in run_plan.units.values()
            if unit.id in finished and (times := self._of.get(unit.id)) is not None
        ]

    def _pass(self, times: _Times) -> None:
        if times.held_up is not None:
            since, reason = times.held_up
            times.waited[reason] = times.waited.get(reason, 0.0) + self._now() - since
            times.held_up = None
