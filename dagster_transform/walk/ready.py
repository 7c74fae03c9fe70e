"""Which unit starts next, among those that are ready.

Units wait in lanes, one for each project and kind, so that a full worker costs nothing however many
of its units are ready.
"""

from __future__ import annotations

import heapq

from dagster_transform.graph import UnitId
from dagster_transform.planning import RunPlan, Unit
from dagster_transform.walk.room import Lane, Room


class ReadyUnits:
    """The units whose upstreams are done, in the plan's order; some of them have to wait.

    Args:
        run_plan: What is walked.
    """

    def __init__(self, run_plan: RunPlan) -> None:
        self._units = list(run_plan.units.values())
        self._rank = {unit.id: rank for rank, unit in enumerate(self._units)}
        self._lanes: dict[Lane, list[int]] = {}  # ranks, a heap each
        self._resting: list[tuple[float, int]] = []  # (when to try again, rank)
        self._held_up: dict[int, float] = {}  # rank of a unit at the gate -> when to ask again

    @property
    def waiting(self) -> bool:
        """Whether some wait for a moment or for the gate."""
        return bool(self._resting or self._held_up)

    def add(self, unit: UnitId) -> None:
        """A unit may start."""
        self._add(self._rank[unit])

    def rest(self, unit: UnitId, until: float) -> None:
        """A unit may start again at a moment of the walk's clock."""
        heapq.heappush(self._resting, (until, self._rank[unit]))

    def hold_up(self, unit: UnitId, until: float) -> None:
        """A unit may not pass the gate yet: ask again at a moment, or when a unit has ended."""
        self._held_up[self._rank[unit]] = until

    def wake(self, now: float) -> None:
        """Make ready what has waited long enough."""
        while self._resting and self._resting[0][0] <= now:
            self._add(heapq.heappop(self._resting)[1])
        for rank in [rank for rank, when in self._held_up.items() if when <= now]:
            del self._held_up[rank]
            self._add(rank)

    def ask_again(self) -> None:
        """Make ready all that the gate has held up."""
        held_up, self._held_up = self._held_up, {}
        for rank in held_up:
            self._add(rank)

    def next_moment(self) -> float | None:
        """When the first of those that wait is to be woken; None if none waits."""
        moments = [*self._held_up.values(), *(when for when, _ in self._resting[:1])]
        return min(moments, default=None)

    def stop_waiting(self) -> None:
        """None of those that wait will start any more."""
        self._resting.clear()
        self._held_up.clear()

    def take_next(self, room: Room) -> Unit | None:
        """The first unit in the plan's order among those that can start now; None if none can.

        First comes what needs nothing that another worker has open: a worker that still has units
        keeps its files, and no file is opened and closed for every node.
        """
        best: tuple[bool, int] | None = None
        found: Lane | None = None
        for lane, ranks in self._lanes.items():
            if not ranks or not room.has_room(lane):
                continue
            holders = room.holders_of_files(lane[0])
            if room.is_busy(holders):
                continue
            candidate = (bool(holders), ranks[0])
            if best is None or candidate < best:
                best, found = candidate, lane
        return None if found is None else self._units[heapq.heappop(self._lanes[found])]

    def _add(self, rank: int) -> None:
        unit = self._units[rank]
        heapq.heappush(self._lanes.setdefault((unit.project, unit.kind), []), rank)
