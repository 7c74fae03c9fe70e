"""What there is to do for one node, and how much of it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster_transform.sqlmesh.errors import SignalError
from dagster_transform.sqlmesh.intervals import Interval


@dataclass(slots=True)
class Work:
    """What there is to do for one node.

    It is changed before anything is built, and then by whoever builds the node.

    Attributes:
        snapshot: The SQLMesh snapshot.
        batches: `[start, end)` in epoch milliseconds, oldest first; empty: only make the table.
        create: Whether the physical table has to be made first.
        prepare: Makes what has to be there before it is built, on the thread that builds it; None:
            everything is there.
        recorded: Numbers of the batches that are in the state already: a retry leaves them out.
        error: Why it fails as soon as it is started: nobody can say whether its batches are ready.
    """

    snapshot: Any
    batches: list[Interval]
    create: bool = False
    prepare: Callable[[], None] | None = None
    recorded: set[int] = field(default_factory=set)
    error: SignalError | None = None

    @property
    def done(self) -> list[Interval]:
        """The batches that are in the state."""
        return [self.batches[index] for index in sorted(self.recorded)]

    @property
    def is_done(self) -> bool:
        """Whether there were batches, and all of them are in the state."""
        return bool(self.batches) and len(self.recorded) == len(self.batches)

    def keep_only(self, batches: Sequence[Interval]) -> None:
        """Others have built the rest: these are still to be built. None are: all count as recorded,
        so that what the node was asked for can be seen."""
        if batches:
            self.batches, self.recorded = list(batches), set()
        else:
            self.recorded = set(range(len(self.batches)))
