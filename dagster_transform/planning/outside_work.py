"""What was done outside of Dagster, and what is to become of it: pure.

Once each, by what is stored: something that was built later than Dagster knows of is told to it,
and is known from then on. No list of what was told is kept anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

MOST = 500
"""So much one look stores: an evaluation has a minute, and an event takes milliseconds."""
_Id = TypeVar("_Id")


@dataclass(frozen=True, slots=True)
class ToTell(Generic[_Id]):
    """What Dagster does not know of.

    Attributes:
        now: What is told now, the oldest first.
        busy: What is left alone, because a run of ours has it and will say so itself.
        more: How much is left for the next look.
    """

    now: tuple[_Id, ...] = ()
    busy: tuple[_Id, ...] = ()
    more: int = 0

    @property
    def all(self) -> bool:
        """Whether nothing is left for another look."""
        return not self.busy and not self.more


class Step(Enum):
    """What a new plan asks for."""

    NOTHING = "nothing"
    WAIT = "wait"
    """The plan has not come to its end, or there is none."""
    PREPARE = "prepare"
    """The graph file is about another plan."""


def to_tell(
    done_at: Mapping[_Id, float],
    known_at: Mapping[_Id, float],
    busy: Collection[_Id],
    most: int = MOST,
) -> ToTell[_Id]:
    """What of the work that was done is to be stored.

    Args:
        done_at: When something was built or judged, in seconds since 1970. Read before the others.
        known_at: When Dagster was last told of it, likewise. Read last: what a run has told since
            is known then.
        busy: What runs under way may have done, and not told of yet.
        most: How much is told at once.
    """
    unknown = {each: at for each, at in done_at.items() if known_at.get(each, 0.0) < at}
    free = sorted((each for each in unknown if each not in busy), key=lambda e: (unknown[e], e))
    return ToTell(
        tuple(free[:most]),
        tuple(each for each in unknown if each in busy),
        max(0, len(free) - most),
    )


def step_of(plan_id: str | None, *, finalized: bool, prepared: str | None) -> Step:
    """What is to be done about an environment's plan.

    Args:
        plan_id: The environment's plan; None: it was never planned.
        finalized: Whether that has come to its end.
        prepared: The plan that the graph file is about; None: none, or there is no such file.
    """
    if plan_id is None or not finalized:
        return Step.WAIT
    return Step.NOTHING if plan_id == prepared else Step.PREPARE
