"""What a project run of a test asks and says about the claims of its run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dagster_transform.databases.backends import BackendId
from dagster_transform.graph import UnitId
from dagster_transform.planning import ResourceKey

Hear = Callable[[str, frozenset[BackendId]], None]


def _hold(_: UnitId) -> bool:
    return True


def _pass_over(_: str, __: frozenset[BackendId]) -> None:
    return


@dataclass(frozen=True)
class Guard:
    """A `walk.ports.ClaimGuard`.

    Attributes:
        held: Whether the run still has its claims on a unit.
        hear: Given what is built (a unit by its id, an environment by its key) and in which
            backends.
    """

    held: Callable[[UnitId], bool] = _hold
    hear: Hear = _pass_over

    def holds(self, unit: UnitId) -> bool:
        return self.held(unit)

    def builds_in(self, unit: UnitId, backends: frozenset[BackendId]) -> None:
        self.hear(unit, backends)

    def plans_in(self, environment: ResourceKey, backends: frozenset[BackendId]) -> None:
        self.hear(environment, backends)
