"""What ticks and the transform's sensor launch from, and the runs that they ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import dagster as dg

from dagster_transform.config import TransformConfig
from dagster_transform.dagster._compat_jobs import LocationAssets
from dagster_transform.dagster.schedules.other_assets import OtherAssets
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.graph import Graph, NodeId, names_of
from dagster_transform.planning import ResourceKey
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupPlan
from dagster_transform.planning.resource_keys import table_of
from dagster_transform.planning.situation import Scheduled
from dagster_transform.runs.tags import ATTEMPT, JOB_GROUP, OWNERS, TICK, concurrency_key


@dataclass(frozen=True)
class Launching:
    """What ticks and the sensor launch from: known when definitions load.

    Attributes:
        config: Where claims are kept, and for how long work may wait.
        plan: The job groups.
        graph: The combined graph.
        keys: Keys of the graph.
        sensor: The name of the transform's sensor.
        shared_job: The name of the job through which groups are launched that have none.
    """

    config: TransformConfig
    plan: JobGroupPlan
    graph: Graph
    keys: Keys
    sensor: str
    shared_job: str

    @cached_property
    def scheduled(self) -> Scheduled:
        """The nodes of job groups; made at the first tick, and not where definitions load."""
        called = names_of(self.keys.named(self.graph))
        return Scheduled.of(self.plan, self.graph, called, self.config.tags)

    @cached_property
    def tables(self) -> dict[ResourceKey, NodeId]:
        """By table, the node that writes it, as far as that is known."""
        found = ((table_of(node), node.id) for node in self.graph.nodes.values())
        return {key: node_id for key, node_id in found if key is not None}

    @cached_property
    def whole(self) -> frozenset[NodeId]:
        """Nodes of which every build is a whole one: dbt's."""
        return frozenset(n for n, node in self.graph.nodes.items() if node.framework == "dbt")

    def others(
        self, context: dg.ScheduleEvaluationContext | dg.SensorEvaluationContext
    ) -> OtherAssets:
        """The other assets of the code location that nodes of job groups read; none where they are
        ignored.

        Args:
            context: Dagster's, which knows them, but where somebody only looks at what a tick would
                do.
        """
        if self.config.job_groups.upstream_assets == "ignore":
            return OtherAssets()
        try:
            repository = context.repository_def
        except dg.DagsterInvariantViolationError:
            repository = None
        if repository is None:
            return OtherAssets()
        return self.others_of(repository.asset_graph, repository)

    def others_of(
        self, assets: LocationAssets, repository: dg.RepositoryDefinition | None = None
    ) -> OtherAssets:
        """The other assets that nodes of job groups read, whether they go along or not.

        Args:
            assets: Those of the code location.
            repository: Of the code location.
        """
        return OtherAssets.of(
            assets,
            self.graph,
            self.keys,
            self.plan.crons.keys(),
            go_along=self.takes_along,
            repository=repository,
        )

    @property
    def takes_along(self) -> bool:
        """Whether other assets go along with nodes."""
        return self.config.job_groups.upstream_assets == "include"

    @cached_property
    def groups(self) -> dict[str, JobGroup]:
        """By name."""
        return {group.name: group for group in self.plan.groups}


def schedule_name(group: str) -> str:
    """The name of a job group's schedule. Dagster keeps by it whether the schedule is switched
    on."""
    return f"{group}_schedule"


def run_request(
    launching: Launching,
    group: JobGroup,
    nodes: Collection[NodeId],
    *,
    run_key: str,
    tick: datetime,
    attempt: int = 0,
    job_name: str | None = None,
    always: Iterable[dg.AssetKey] = (),
    checks: Iterable[dg.AssetCheckKey] = (),
) -> dg.RunRequest:
    """A run of some of a job group.

    Args:
        launching: What there is.
        group: The group.
        nodes: What it builds.
        run_key: Dagster launches one run for a key.
        tick: The first tick that it answers for, aware and in UTC.
        attempt: How often what it builds was lost with its run before.
        job_name: What a sensor launches; None: what the schedule does.
        always: Further keys that it selects.
        checks: Checks of these.
    """
    concurrency = {tag for node in nodes for tag in launching.scheduled.tags.get(node, ())}
    return dg.RunRequest(
        run_key=run_key,
        job_name=job_name,
        asset_selection=[*(launching.keys.assets[node] for node in nodes), *always],
        # None of the nodes' is planned: what is up to date then keeps its results, and the run
        # carries out those of what it builds (`asked_for` in execution/run.py).
        asset_check_keys=[*checks],
        run_config=_run_config(group),
        tags={
            **group.tags,
            JOB_GROUP: group.name,
            TICK: tick.isoformat(),
            **{concurrency_key(tag): "true" for tag in sorted(concurrency)},
            **({OWNERS: ", ".join(group.owners)} if group.owners else {}),
            **({ATTEMPT: str(attempt)} if attempt else {}),
        },
    )


def _run_config(group: JobGroup) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if group.max_concurrent_models is not None:
        options["max_concurrent_models"] = group.max_concurrent_models
    if group.checks is not None:
        options["checks"] = {"when": group.checks}
    return {"resources": {"transform": {"config": options}}} if options else {}
