"""Job groups: the DAG split by cadence and dependencies, as a pure plan."""

from __future__ import annotations

from dagster_transform.planning.job_groups.errors import JobGroupError
from dagster_transform.planning.job_groups.grouping import place_new_nodes, plan_job_groups
from dagster_transform.planning.job_groups.simulated import Simulation
from dagster_transform.planning.job_groups.simulation import simulate
from dagster_transform.planning.job_groups.values import (
    JobGroup,
    JobGroupName,
    JobGroupPlan,
    JobGroupSettings,
    MergeCadences,
)

__all__ = [
    "JobGroup",
    "JobGroupError",
    "JobGroupName",
    "JobGroupPlan",
    "JobGroupSettings",
    "MergeCadences",
    "Simulation",
    "place_new_nodes",
    "plan_job_groups",
    "simulate",
]
