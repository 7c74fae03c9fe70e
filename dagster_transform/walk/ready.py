"""Which unit starts next: those that are ready, and the room that their workers have.

Units wait in lanes, one for each project and kind, so that a full worker costs nothing however many
of its units are ready.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping

from dagster_transform.graph import UnitId
from dagster_transform.planning import Limits, ResourceKey, RunPlan, Unit, UnitKind
from dagster_transform.walk.ports import Worker

Lane = tuple[str, UnitKind]


class Room:
    """What each worker can begin now.

    Args:
        workers: By project.
        limits: Of the walk.
    """

    def __init__(self, workers: Mapping[str, Worker], limits: Limits) -> None:
        self._workers = workers
        self._limits = limits
        self._busy: Counter[str] = Counter()  # units in flight, by project
        self._builds = 0  # in flight, of projects that are bounded
        self._promoting: set[str] = set()  # projects whose promotion is in flight
        self._holder: dict[ResourceKey, str] = {}  # exclusive resource -> project that has it open

    def holders(self, project: str) -> set[str]:
        """Other projects that have open what `project` needs for itself."""
        needed = self._workers[project].exclusive
        return {self._holder[r] for r in needed if r in self._holder} - {project}

    def is_busy(self, projects: Iterable[str]) -> bool:
        """Whether units of any of these projects are in flight."""
        return any(self._busy[project] for project in projects)

    def has_room(self, lane: Lane) -> bool:
        """Whether one more unit of a lane may be in flight."""
        project, kind = lane
        # A promotion ends by closing the connections of every other thread.
        if project in self._promoting or (kind is UnitKind.PROMOTE and self._busy[project]):
            return False
        most = self._limits.max_concurrent_models
        if self._is_bounded(project, kind) and self._builds >= most:
            return False
        return self._busy[project] < self._workers[project].capacity

    def take(self, unit: Unit) -> None:
        """A unit starts: those that have open what its project needs are idle, and close it."""
        project = unit.project
        for holder in self.holders(project):
            self._workers[holder].close_files()
            self._holder = {r: p for r, p in self._holder.items() if p != holder}
        self._holder.update(dict.fromkeys(self._workers[project].exclusive, project))
        self._busy[project] += 1
        self._builds += self._is_bounded(project, unit.kind)
        if unit.kind is UnitKind.PROMOTE:
            self._promoting.add(project)

    def give_back(self, unit: Unit) -> None:
        """A unit that had started is in flight no longer."""
        self._busy[unit.project] -= 1
        self._builds -= self._is_bounded(unit.project, unit.kind)
        if unit.kind is UnitKind.PROMOTE:
            self._promoting.discard(unit.project)

    def _is_bounded(self, project: str, kind: UnitKind) -> bool:
        return kind is UnitKind.BUILD and project not in self._limits.unbounded


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
            holders = room.holders(lane[0])
            if room.is_busy(holders):
                continue
            candidate = (bool(holders), ranks[0])
            if best is None or candidate < best:
                best, found = candidate, lane
        return None if found is None else self._units[heapq.heappop(self._lanes[found])]

    def _add(self, rank: int) -> None:
        unit = self._units[rank]
        heapq.heappush(self._lanes.setdefault((unit.project, unit.kind), []), rank)
