"""From a graph to job groups: peeled, joined, merged, split and named."""

from __future__ import annotations

from dagster_transform.planning.job_groups.grouping.plan import place_new_nodes, plan_job_groups

__all__ = ["place_new_nodes", "plan_job_groups"]
