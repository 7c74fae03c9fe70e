"""Which failures of checks are failures of the run: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from dagster_transform.config import TransformConfig
from dagster_transform.graph import Graph
from dagster_transform.walk import CheckResult

Fails = Callable[[CheckResult], bool]
"""Whether a result makes its run fail."""


class FailOn(str, Enum):
    """Which results of checks make a run fail."""

    ERROR = "error"
    WARN = "warn"
    NEVER = "never"


def fails(result: CheckResult, fail_on: FailOn = FailOn.ERROR, *, builds: bool = True) -> bool:
    """Whether a result makes its run fail.

    As `dbt test`, `dbt source freshness` and `sqlmesh audit` end. Beside builds only what counts
    for them does: neither `dbt build` nor `sqlmesh run` ends with an error because a source is old.

    Args:
        result: The result.
        fail_on: What was asked for.
        builds: Whether the run builds something, or was to.
    """
    if result.passed or fail_on is FailOn.NEVER:
        return False
    counts = result.blocking or (result.error and not builds)
    return counts or fail_on is FailOn.WARN


def fails_of(
    config: TransformConfig, graph: Graph, fail_on: FailOn | None, *, builds: bool
) -> Fails:
    """The rule of a run.

    Args:
        config: What each project says.
        graph: Whose checks they are.
        fail_on: What the run says over it.
        builds: Whether the run builds something, or was to.
    """
    of_project: Mapping[str, FailOn] = {
        name: fail_on or FailOn(project.checks.fail_on) for name, project in config.projects.items()
    }

    def decide(result: CheckResult) -> bool:
        check = graph.check(result.check)
        found = fail_on or FailOn.ERROR
        if check is not None:
            found = of_project.get(check.project, found)
        return fails(result, found, builds=builds)

    return decide
