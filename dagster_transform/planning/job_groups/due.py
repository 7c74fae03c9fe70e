"""Which nodes of a job group a tick builds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from dagster_transform.graph import NodeId
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.values import JobGroup


def due_at(
    group: JobGroup, crons: Mapping[NodeId, Cron], since: datetime, tick: datetime
) -> tuple[NodeId, ...]:
    """The nodes of a group that became due after a moment and up to a tick, in the group's order.

    Args:
        group: The group.
        crons: Of its nodes.
        since: Aware: the tick before, where nothing was missed.
        tick: Aware.
    """
    # Each cron is asked once: a group has few, and many nodes.
    due = {cron for cron in {crons[id] for id in group.nodes} if any(cron.due(since, tick))}
    return tuple(node_id for node_id in group.nodes if crons[node_id] in due)
