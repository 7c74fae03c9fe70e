"""What the three ways of a run have in common.

A run of a project goes one of three ways: it builds what its environment has (`promoted_run`), it
builds a time anew (`restating_run`), or it carries out a plan (`planning_run`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from dagster_transform.graph import UnitId
from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from dagster_transform.sqlmesh.state.assessment import Assessment
from dagster_transform.sqlmesh.state.work import Work


class WayOfRun(Protocol):
    """How a run goes about its project; made once the project has been looked at."""

    @property
    def assessment(self) -> Assessment:
        """What there is to do."""

    @property
    def plans(self) -> bool:
        """Whether it changes the environment, which nobody else may use then."""

    def begin(self, building: Collection[str], backends: ProjectBackends) -> None:
        """Carry out what comes before the first node.

        Args:
            building: References of the nodes that the run builds; they are claimed.
            backends: The backends in which the run builds.
        """

    def why_not(self, reference: str, is_cancelled: Callable[[], bool]) -> str:
        """Why a node is not to be built any more; empty if it is. From the thread that builds it,
        which may have to wait until this can be said, but not for a unit that is cancelled."""

    def read_again(self, works: Mapping[str, Work]) -> Mapping[str, Sequence[Interval]]:
        """Read what is recorded of nodes again, into the snapshots of their work.

        Args:
            works: By reference.

        Returns:
            Of nodes of which others have built something: the batches that are still to be built,
            by reference.
        """

    def promotion_tables(self, unit: UnitId) -> Mapping[str, bool]:
        """The models whose tables a promotion makes or changes (True) or judges (False) besides
        what is built, by reference."""

    def promote(self, unit: UnitId) -> None:
        """Carry out a promotion, or a step of it; no other unit runs meanwhile."""

    def end(self) -> None:
        """Carry out what comes after the last unit."""


def take_out_what_others_built(way: WayOfRun, references: Iterable[str]) -> None:
    """Take what others have built since the assessment out of the work, now that nobody else can.

    Args:
        way: Its work is changed: a node with nothing to build any more has all its batches
            recorded.
        references: Nodes that are claimed and have not started.
    """
    works = {r: work for r in references if (work := way.assessment.work.get(r)) is not None}
    for reference, batches in way.read_again(works).items():
        works[reference].keep_only(batches)
