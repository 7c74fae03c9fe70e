"""What a unit needs before it starts, besides its upstreams and its project run: claims, slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dagster_transform.graph import UnitId
from dagster_transform.planning import Outcome, ResourceKey, Unit


@dataclass(frozen=True, slots=True)
class Later:
    """A unit can't start yet: something that it needs is not free.

    Attributes:
        seconds: After how long to ask again. When a unit of this walk ends it is asked too.
        reason: What is in the way, in words.
    """

    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A unit will not start in this walk.

    Attributes:
        outcome: What it is instead: `claimed`, `waiting` or `cancelled`.
        reason: In words.
    """

    outcome: Outcome
    reason: str


class Gate(Protocol):
    """What a walk asks before it starts a unit; called from the walk's own thread only."""

    def enter(self, unit: Unit, /) -> Later | Refused | None:
        """Whether a unit may start now; None: it may, and has what it needs until it leaves."""

    def leave(self, unit: Unit, /) -> None:
        """An attempt of a unit that had entered has ended; the unit may enter again."""

    def finish(self, unit: Unit, /) -> None:
        """A unit has come to its end in this walk, whether it ever started or not."""


class OpenGate:
    """Lets every unit start."""

    def enter(self, _: Unit) -> Later | Refused | None:
        """It may."""
        return None

    def leave(self, _: Unit) -> None:
        """Nothing was taken."""

    def finish(self, _: Unit) -> None:
        """Nothing was taken."""


@dataclass(frozen=True, slots=True)
class SharedResources:
    """What a project run shares with other runs, from before it looks at its project to its end.

    Attributes:
        files: Files that one process only can have open.
        environment: What plans have to themselves and runs share; None where there is none.
        alone: Whether it needs the environment to itself.
    """

    files: frozenset[ResourceKey] = frozenset()
    environment: ResourceKey | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Revoked:
    """A unit must not go on, because what it had entered with was lost. Put into the inbox.

    Attributes:
        unit: Its id; one that does not run is nothing to the walk.
        reason: In words.
    """

    unit: UnitId
    reason: str
