"""What the build of a node may ask of its run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dagster_transform.sqlmesh.intervals import Interval


@dataclass(frozen=True, slots=True)
class BuildCallbacks:
    """What a build may ask of its run.

    Attributes:
        is_cancelled: Whether to stop before the next batch.
        held: Whether the node is still this run's to build; if not, nothing is recorded.
        help_with: Has another thread do a part of the unit, once one is free.
        failed: Called with an error, on the thread on which it happened.
        progressed: Told how many batches are done, and the one that was done last.
        audits: Whether the build runs a blocking audit of the node, by its check's name; all but
            those that the run has for later.
        sample_rows: How many of the rows that an audit finds wrong are read.
    """

    is_cancelled: Callable[[], bool]
    held: Callable[[], bool]
    help_with: Callable[[Callable[[], None]], None]
    failed: Callable[[BaseException], None]
    progressed: Callable[[int, Interval], None]
    audits: Callable[[str], bool] = lambda _: True
    sample_rows: int = 0
