"""What one tick of a job group launches now, and what has to wait. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dagster_transform.graph import NodeId
from dagster_transform.planning.job_groups.values import JobGroupName
from dagster_transform.planning.situation import Scheduled, Situation, minute
from dagster_transform.planning.tag_room import TagRoom
from dagster_transform.planning.upstreams import Upstreams

_NAMED = 3
"""Nodes that a reason is given for, where a tick launches nothing."""


@dataclass(frozen=True, slots=True)
class TickPlan:
    """What a tick comes to; each node that is due is in exactly one of the two.

    Attributes:
        launched: Nodes to launch now, in the group's order.
        postponed: Why each of the others waits, in words.
    """

    launched: tuple[NodeId, ...]
    postponed: dict[NodeId, str] = field(default_factory=dict)

    def skipped(self, scheduled: Scheduled) -> str:
        """What is said of a tick that launches nothing although something is due."""
        reasons = Counter(self.postponed.values())
        words = []
        for reason, count in reasons.most_common(_NAMED):
            nodes = [node for node, why in self.postponed.items() if why == reason]
            name = scheduled.called(nodes[0])
            words.append(f"{name}{f' and {count - 1} more' if count > 1 else ''}: {reason}")
        if len(reasons) > _NAMED:
            words.append(f"{len(reasons) - _NAMED} more reasons")
        return f"Nothing can go yet. {'; '.join(words)}."


def plan_tick(
    group: JobGroupName,
    due: Sequence[NodeId],
    tick: datetime,
    situation: Situation,
    scheduled: Scheduled,
    *,
    followed_up: bool = True,
) -> TickPlan:
    """What a tick launches, and what it postpones.

    A node waits while somebody builds it or holds its table, while an earlier tick of it waits,
    while something above it is due by this tick and not done, and while as many runs as a
    concurrency tag of it has slots are still to build nodes of that tag; the rest of the group goes
    ahead.

    Args:
        group: The job group.
        due: Its nodes that are due, in its order: each after what it reads.
        tick: Aware.
        situation: What is known.
        scheduled: The nodes of all job groups.
        followed_up: Whether somebody launches what is postponed as soon as it can go (the
            transform's sensor). Where nobody does, it waits until the next tick of its group. So
            only what is held now stays behind: of other groups and of runs that are still to build
            it nothing is waited for, or a daily node would never be built that reads one which is
            due with each of its ticks.
    """
    room = TagRoom(situation, scheduled)
    seen = situation if followed_up else Situation(read_assets=situation.read_assets)
    upstreams = Upstreams(seen, scheduled, for_assets=followed_up)
    launched: dict[NodeId, None] = {}
    postponed: dict[NodeId, str] = {}
    for node in due:
        why = situation.held(node, by_runs_to_come=followed_up)
        if why is None and followed_up and situation.pending.get(node):
            first = min(situation.pending[node])
            why = f"waits for its own tick of {minute(first)}"
        if why is None:
            why = upstreams.awaited(node, tick, launched, postponed)
        if why is None and followed_up:
            why = room.why_not(node, group)
        if why is None:
            launched[node] = None
            room.take(node, group)
        else:
            postponed[node] = why
    return TickPlan(tuple(launched), postponed)
