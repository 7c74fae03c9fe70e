"""What it costs to give each job group a job of its own."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_transform.graph.counts import counted
from dagster_transform.planning.job_groups.values import JobGroup

# Measured with 1,000 and 4,000 assets that have a check each, in 2 to 40 jobs, on a machine of two
# slow cores: how much longer a code location loads than with one job for all of them.
_SECONDS_A_NODE = 0.32 / 1000
_SECONDS_A_JOB = 0.01


def cost_of_jobs(groups: Sequence[JobGroup], jobs: str) -> str:
    """What `jobs` in transform.yaml costs, in words.

    Args:
        groups: The job groups.
        jobs: `each` or `shared`.
    """
    nodes = sum(len(group.nodes) for group in groups)
    seconds = nodes * _SECONDS_A_NODE + len(groups) * _SECONDS_A_JOB
    more = f"about {seconds:.1f} s" if seconds >= 0.1 else "less than 0.1 s"
    if jobs == "shared":
        return f"Dagster gets one job for all of them; one for each would load {more} longer."
    loads = "loads" if len(groups) == 1 else "load"
    return (
        f"Dagster gets {counted(len(groups), 'job')}, which {loads} {more} longer than one job for "
        "all (`job_groups: {jobs: shared}`)."
    )
