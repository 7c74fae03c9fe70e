"""Tags that runs have, and assets."""

from __future__ import annotations

JOB_GROUP = "dagster_transform/job_group"
"""Of a run that a job group's schedule launched, and of each node that is in the group: its
name."""
TICK = "dagster_transform/tick"
"""Of a run: the tick that launched it, in UTC."""
OWNERS = "dagster_transform/owners"
"""Of a run: who owns the job group."""
