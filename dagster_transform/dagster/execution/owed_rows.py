"""What is owed, as rows of the claims store."""

from __future__ import annotations

from collections.abc import Iterable

from dagster_transform.claims import PendingNode
from dagster_transform.planning.follow_up import Owed


def as_row(owed: Owed, location: str) -> PendingNode:
    """What is owed, as it is stored: job groups of two code locations may have one name."""
    return PendingNode(
        f"{location}/{owed.job_group}",
        owed.tick_text,
        owed.node,
        owed.reason,
        awaits=owed.awaits,
        began=owed.began,
    )


def owed_of(rows: Iterable[PendingNode], location: str) -> Iterable[Owed]:
    """What is owed in a code location, of all that is stored."""
    for row in rows:
        place, _, group = row.job_group.rpartition("/")
        tick = Owed.read_tick(row.tick)
        if place == location and tick is not None and row.since is not None:
            yield Owed(
                group,
                row.node,
                *tick,
                row.since,
                row.reason,
                row.launched_run_id,
                row.awaits,
                row.began,
            )
