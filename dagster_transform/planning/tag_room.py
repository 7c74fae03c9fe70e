"""How many runs may have nodes of a concurrency tag. Pure.

A build takes slots of its tags, over all runs; that holds at the database whatever was launched.
But more runs than a tag has slots would only wait in their processes, so ticks and the transform's
sensor launch no more of them.
"""

from __future__ import annotations

from dagster_transform.graph import NodeId
from dagster_transform.planning.situation import Scheduled, Situation


class TagRoom:
    """Counts, of each concurrency tag, the runs that are still to build a node of it.

    Args:
        situation: The runs that have not ended, queued ones included.
        scheduled: The tags of nodes.
    """

    def __init__(self, situation: Situation, scheduled: Scheduled) -> None:
        self._scheduled = scheduled
        self._runs: dict[str, set[str]] = {}
        for node, runs in situation.under_way.items():
            for tag in scheduled.tags.get(node, ()):
                self._runs.setdefault(tag, set()).update(run.run_id for run in runs)

    def why_not(self, node: NodeId, run: str) -> str | None:
        """Why a node can't be launched, in words; None: it can.

        Args:
            node: The node.
            run: A name of the run that it would be launched in.
        """
        for tag in self._scheduled.tags.get(node, ()):
            runs, limit = self._runs.get(tag, set()), self._scheduled.limits[tag]
            if run not in runs and len(runs) >= limit:
                return (
                    f"waits for the concurrency tag {tag}, which has {limit}: runs under way that "
                    f"are still to build nodes of it: {len(runs)}"
                )
        return None

    def take(self, node: NodeId, run: str) -> None:
        """A node is launched in a run."""
        for tag in self._scheduled.tags.get(node, ()):
            self._runs.setdefault(tag, set()).add(run)
