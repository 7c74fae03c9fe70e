"""Tags that runs have, and assets."""

from __future__ import annotations

import re

JOB_GROUP = "dagster_transform/job_group"
"""Of a run that a job group's schedule launched, and of each node that is in the group: its
name."""
TICK = "dagster_transform/tick"
"""Of a run: the tick that launched it, in UTC."""
OWNERS = "dagster_transform/owners"
"""Of a run: who owns the job group."""
ATTEMPT = "dagster_transform/attempt"
"""Of a run: how often what it builds was lost with its run before."""
TOLD = "dagster_transform/told"
"""Of a run that a tick or the transform's sensor launched: that it has said what it came to. One
that has failed without was lost: its process has died."""
FOLLOWED_UP = "dagster_transform/followed_up"
"""Of a run that was lost: that what it has not built is followed up."""
UNRENEWED = "dagster_transform/claims_not_renewed_since"
"""Of a run: when the transform's sensor has seen that nobody renews its claims."""

_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_KEY = 63  # after the slash, for Dagster


def concurrency_key(name: str) -> str:
    """The key of a run's tag for a concurrency tag that its nodes have: its value is `true`. For
    `tag_concurrency_limits` of an instance's run queue.

    Args:
        name: The concurrency tag's.
    """
    return f"dagster_transform/{_NOT_IN_KEYS.sub('_', f'concurrency.{name}')[:_LONGEST_KEY]}"
