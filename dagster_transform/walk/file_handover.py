"""Hand-over of files that one process only can have open, DuckDB's say, between project runs.

A project run that has open what another one needs is asked to close it, once none of its units
runs; it opens it again with its next unit.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagster_transform.planning import ResourceKey
from dagster_transform.walk.ports import Worker


class OpenFiles:
    """Which project's worker has which file open.

    Args:
        workers: By project.
    """

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        self._workers = workers
        self._holder: dict[ResourceKey, str] = {}

    def holders(self, project: str) -> set[str]:
        """Other projects that have open what a project needs for itself."""
        needed = self._workers[project].exclusive
        return {self._holder[file] for file in needed if file in self._holder} - {project}

    def hand_over(self, project: str) -> None:
        """A project's worker opens what it needs: those that have it open, and are idle, close
        it first."""
        for holder in self.holders(project):
            self._workers[holder].close_files()
            self._holder = {file: p for file, p in self._holder.items() if p != holder}
        self._holder.update(dict.fromkeys(self._workers[project].exclusive, project))
