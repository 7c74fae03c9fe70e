"""What jobs of job groups cost, in words."""

from __future__ import annotations

from dagster_transform.cli.job_groups.costs import cost_of_jobs
from dagster_transform.graph import NodeId
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupName


def groups(count: int, nodes: int) -> list[JobGroup]:
    cron = Cron.parse("@daily")
    return [
        JobGroup(JobGroupName(f"g{n}"), cron, tuple(NodeId(f"p:{n}_{i}") for i in range(nodes)))
        for n in range(count)
    ]


def test_a_job_for_each_of_many() -> None:
    assert cost_of_jobs(groups(20, 50), "each") == (
        "Dagster gets 20 jobs, which load about 0.5 s longer than one job for all "
        "(`job_groups: {jobs: shared}`)."
    )


def test_few_cost_next_to_nothing() -> None:
    assert "1 job, which loads less than 0.1 s longer" in cost_of_jobs(groups(1, 3), "each")


def test_one_for_all() -> None:
    assert cost_of_jobs(groups(20, 50), "shared") == (
        "Dagster gets one job for all of them; one for each would load about 0.5 s longer."
    )
