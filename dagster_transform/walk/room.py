"""How many units each project run can do at the same moment, and how many the whole walk may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from dagster_transform.planning import Limits, Unit, UnitKind
from dagster_transform.walk.file_handover import OpenFiles
from dagster_transform.walk.ports import Worker

Lane = tuple[str, UnitKind]
"""Units of one project and kind."""


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
        self._checks = 0  # in flight
        self._promoting: set[str] = set()  # projects whose promotion is in flight
        self._files = OpenFiles(workers)

    def holders_of_files(self, project: str) -> set[str]:
        """Other projects that have open what a project needs for itself."""
        return self._files.holders(project)

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
        checks = self._limits.max_concurrent_checks
        if kind is UnitKind.CHECK and checks is not None and self._checks >= checks:
            return False
        return self._busy[project] < self._workers[project].capacity

    def take(self, unit: Unit) -> None:
        """A unit starts, with the files that its project needs."""
        project = unit.project
        self._files.hand_over(project)
        self._busy[project] += 1
        self._builds += self._is_bounded(project, unit.kind)
        self._checks += unit.kind is UnitKind.CHECK
        if unit.kind is UnitKind.PROMOTE:
            self._promoting.add(project)

    def give_back(self, unit: Unit) -> None:
        """A unit that had started is in flight no longer."""
        self._busy[unit.project] -= 1
        self._builds -= self._is_bounded(unit.project, unit.kind)
        self._checks -= unit.kind is UnitKind.CHECK
        if unit.kind is UnitKind.PROMOTE:
            self._promoting.discard(unit.project)

    def _is_bounded(self, project: str, kind: UnitKind) -> bool:
        return kind is UnitKind.BUILD and project not in self._limits.unbounded
