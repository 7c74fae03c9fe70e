"""When the checks of projects run: what transform.yaml says, and what a run says over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dagster_transform.config import TransformConfig
from dagster_transform.graph import Check, Graph, When


@dataclass(frozen=True, slots=True)
class CheckTimes:
    """When the checks of a project run.

    Attributes:
        when: All of them.
        blocking: Blocking ones, if at another time than the others; None: they don't.
    """

    when: When = When.AFTER_EACH
    blocking: When | None = None

    def of(self, check: Check) -> When:
        """When a check of the project runs.

        One that judges code comes before the node of that code, or not at all: afterwards what it
        would have kept out is in the table.
        """
        found = self.blocking if check.blocking and self.blocking is not None else self.when
        if found is When.AFTER_ALL and check.position is not None:
            return When.AFTER_EACH if check.target in check.position.before else found
        return found


def times_of(config: TransformConfig) -> dict[str, CheckTimes]:
    """What transform.yaml says, by project."""
    return {
        name: CheckTimes(
            When(project.checks.when),
            None if project.checks.blocking is None else When(project.checks.blocking),
        )
        for name, project in config.projects.items()
    }


def over(times: CheckTimes, when: When | None, blocking: When | None) -> CheckTimes:
    """What a run says over what transform.yaml says: `when` alone is meant for all checks."""
    if when is not None:
        return CheckTimes(when, blocking)
    return times if blocking is None else replace(times, blocking=blocking)


def timed(graph: Graph, times: Mapping[str, CheckTimes]) -> Graph:
    """The graph with the times of its checks.

    Args:
        graph: A graph.
        times: By project; of others `after_each`.
    """
    usual = CheckTimes()
    return graph.timed(lambda check: times.get(check.project, usual).of(check))


def in_one_pool(graph: Graph) -> Graph:
    """The graph as a run sees it that builds nothing: whatever is selected of its checks is run,
    and none waits for another."""
    return graph.timed(lambda _: When.AFTER_ALL)
