"""What a run of a project knows, once it has looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagster_transform.planning import ResourceKey
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from dagster_transform.sqlmesh.runs.checks import Checks
from dagster_transform.sqlmesh.runs.threads import UnitThreads
from dagster_transform.sqlmesh.runs.way_of_run import WayOfRun
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.walk import Moved


@dataclass(frozen=True, slots=True)
class Assessed:
    """What a run knows from `assess` to `close`."""

    way: WayOfRun
    checks: Checks
    connections: Sequence[Any]
    exclusive: frozenset[ResourceKey]
    elsewhere: Moved

    @property
    def evaluation(self) -> Evaluation:
        """What evaluating a node takes now."""
        return self.way.assessment.evaluation


@dataclass(frozen=True, slots=True)
class Open:
    """What a run works with from `open` to `close`.

    Attributes:
        threads: They do its units.
        backends: Where they build.
        in_line: Units that may wait for a thread.
    """

    threads: UnitThreads
    backends: ProjectBackends
    in_line: int
