"""Job groups in Dagster: a job and a schedule for each, or one job that all their schedules
launch, and the sensor that launches what could not go at its tick."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from dagster_transform.config import ConfigError, ConfigProblem, TransformConfig
from dagster_transform.config.job_group_file import (
    JobGroupEntry,
    JobGroupFile,
    read_job_group_file,
)
from dagster_transform.dagster._compat_jobs import LocationAssets, job_of_its_own
from dagster_transform.dagster.definitions.assets import multi_asset
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.dagster.schedules.job_groups import broken_schedule, group_schedule
from dagster_transform.dagster.schedules.launching import Launching
from dagster_transform.dagster.sensors.transform import transform_sensor
from dagster_transform.dagster.translation.inner_names import op_name
from dagster_transform.dagster.translation.specs import Translation, part_of, with_tags
from dagster_transform.dagster.translation.translator import LONGEST_TAG
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph, NodeId, name_of_key
from dagster_transform.planning.cron import Cron, CronError
from dagster_transform.planning.job_groups.file import as_written, load_job_groups
from dagster_transform.planning.job_groups.settings import job_group_settings, not_in_environment
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupPlan
from dagster_transform.runs.tags import JOB_GROUP

_log = logging.getLogger("dagster_transform")
_RETRY = {"dagster/retry_strategy": "FROM_ASSET_FAILURE"}
_NAMED = 10


class JobGroupJobError(TransformError):
    """A job group can't have the job that it should have."""


@dataclass(frozen=True, slots=True)
class GroupOps:
    """What the ops of job groups are made of.

    Attributes:
        name: The name of the transform's op.
        made: The graph in Dagster's terms.
        transform: What the ops work with.
        executor: Of their jobs.
    """

    name: str
    made: Translation
    transform: Transform
    executor: dg.ExecutorDefinition


@dataclass(frozen=True, slots=True)
class GroupJobs:
    """What Dagster has of job groups.

    Attributes:
        jobs: Asset jobs.
        schedules: One for each group.
        sensors: The transform's sensor.
    """

    jobs: tuple[Any, ...] = ()
    schedules: tuple[dg.ScheduleDefinition, ...] = ()
    sensors: tuple[dg.SensorDefinition, ...] = ()


@dataclass(frozen=True, slots=True)
class JobGroups:
    """The job groups of a transform, as its file has them.

    Attributes:
        file: The file.
        plan: What it says of the graph.
        errors: Why a group can't be used as it is, by its name; its schedule says so at each tick.
        missing: Keys of nodes that the file has in a group and that can't be loaded, by group.
    """

    file: JobGroupFile
    plan: JobGroupPlan
    errors: Mapping[str, TransformError] = field(default_factory=dict)
    missing: Mapping[str, tuple[dg.AssetKey, ...]] = field(default_factory=dict)

    def tagged(self, made: Translation) -> Translation:
        """A graph in Dagster's terms, each asset tagged with its group."""
        tags = {
            made.keys.assets[node_id]: {JOB_GROUP: group.name[:LONGEST_TAG]}
            for group in self.plan.groups
            for node_id in group.nodes
        }
        return with_tags(made, tags)

    def build(self, ops: GroupOps, taken: Collection[str]) -> GroupJobs:
        """The jobs and schedules of the groups, and the transform's sensor.

        Args:
            ops: What their ops are made of.
            taken: Names of other jobs and of ops.
        """
        config, made = ops.transform.config, ops.made
        shared_name, sensor_name = (f"{op_name(ops.name)}_{x}" for x in ("job_groups", "sensor"))
        refused = {*taken, shared_name}
        every_key = [spec.key for spec in made.specs.values()]
        every_key += [key for keys in self.missing.values() for key in keys]
        launching = Launching(
            config, self.plan, ops.transform.graph, made.keys, sensor_name, shared_name
        )
        shared = dg.define_asset_job(
            shared_name,
            selection=dg.AssetSelection.assets(*every_key),
            description="What the schedules of the job groups launch: of each the nodes due.",
            run_tags=_RETRY,
            executor_def=ops.executor,
        )
        if launching.takes_along:
            shared = job_of_its_own(shared, None, _along(launching, self.plan.crons))
        status = (
            dg.DefaultScheduleStatus.RUNNING
            if config.job_groups.schedules == "running"
            else dg.DefaultScheduleStatus.STOPPED
        )
        loaded = datetime.now(timezone.utc)
        job_of: dict[str, Any] = {}
        schedules = []
        for group in self.plan.groups:
            missing, error = self.missing.get(group.name, ()), self.errors.get(group.name)
            job = shared
            if group.name in refused:
                error = error or JobGroupJobError(
                    f"Job group {group.name} of {config.job_group_file}: Dagster has a job or an "
                    "op of that name.",
                    remedy="Call the group otherwise.",
                )
            elif config.job_groups.jobs == "each" and (group.nodes or missing):
                job = _own_job(ops, group, missing, launching)
            job_of[group.name] = job
            schedules.append(
                broken_schedule(group.name, group.cron, job, status, error)
                if error is not None
                else group_schedule(group, launching, job, status, loaded=loaded, always=missing)
            )
        # Without its schedule Dagster would forget whether it was switched on.
        for name, entry in self.file.entries.items():
            if name not in job_of:
                job_of[name] = shared
                error = self.errors.get(name) or JobGroupJobError(f"Job group {name} has no cron.")
                schedules.append(broken_schedule(name, _cron_of(entry), shared, status, error))
        sensors = (transform_sensor(launching, job_of),) if job_of else ()
        jobs = {job.name: job for job in job_of.values()}
        if config.job_groups.jobs == "shared":
            jobs[shared_name] = shared
        return GroupJobs(tuple(jobs.values()), tuple(schedules), sensors)


def read_job_groups(
    config: TransformConfig,
    made: Translation,
    transform: Transform,
    missing: Mapping[str, Collection[dg.AssetKey]],
) -> JobGroups:
    """The job groups of a transform that has a job group file.

    What does not fit the graph any more (a node whose cron has changed, a circle that a new
    dependency makes) is told by the schedules: the rest of the code location loads.

    Args:
        config: Where the file is.
        made: The graph in Dagster's terms.
        transform: The graph.
        missing: Keys of nodes that can't be loaded, as far as they are known, by project.

    Raises:
        ConfigError: The file itself can't be used.
    """
    file = read_job_group_file(config.job_group_file)
    graph = made.keys.named(transform.graph)
    settings = job_group_settings(config, graph)
    missing_of = {name: _missing(entry, graph, missing) for name, entry in file.entries.items()}
    now = datetime.now(timezone.utc)
    try:
        loaded = load_job_groups(
            file, graph, settings, now=now, left_out=not_in_environment(config, graph)
        )
    except TransformError as error:
        _log.error("%s", error)
        # The groups that are right go on.
        written = as_written(file, graph, settings, now=now)
        return JobGroups(file, written.plan, _by_group(written.errors), missing_of)
    # Nodes that are not there because their project can't be loaded have been told of.
    drift = [] if missing else loaded.drift
    for problem in drift[:_NAMED]:
        _log.warning("%s", problem)
    if len(drift) > _NAMED:
        _log.warning("%d more: run `dagster-transform job-groups check`.", len(drift) - _NAMED)
    return JobGroups(file, loaded.plan, missing=missing_of)


def _by_group(problems: Iterable[ConfigProblem]) -> dict[str, TransformError]:
    """What is wrong, by the group that it is wrong with."""
    found: dict[str, list[ConfigProblem]] = {}
    for problem in problems:
        _, _, rest = problem.where.partition(".")
        found.setdefault(rest.split(".")[0], []).append(problem)
    return {
        name: ConfigError(those, remedy="Mend the file; `job-groups check` says whether it is.")
        for name, those in found.items()
    }


def _missing(
    entry: JobGroupEntry, graph: Graph, missing: Mapping[str, Collection[dg.AssetKey]]
) -> tuple[dg.AssetKey, ...]:
    """What stands in Dagster for nodes of a group that can't be loaded."""
    known = {name_of_key(key.path): key for keys in missing.values() for key in keys}
    found = dict.fromkeys(known[node] for node in entry.nodes if node in known)
    names = {node.name for node in graph.nodes.values()}
    if any(node not in names and node not in known for node in entry.nodes):
        # It may be one of a project of which not even that is known.
        unknown = [project for project, keys in missing.items() if not keys]
        found |= dict.fromkeys(dg.AssetKey([project, "not_loaded"]) for project in unknown)
    return tuple(found)


def _along(
    launching: Launching, nodes: Collection[NodeId]
) -> Callable[[LocationAssets], list[dg.AssetKey]]:
    """What may go along with nodes, for a job to select it."""

    def found(assets: LocationAssets) -> list[dg.AssetKey]:
        if not launching.takes_along:
            return []
        return launching.others_of(assets).along(nodes)

    return found


def _own_job(
    ops: GroupOps, group: JobGroup, missing: Collection[dg.AssetKey], launching: Launching
) -> Any:
    """The job of a group, with an op of its own."""
    made = ops.made
    keys = [*(made.keys.assets[node_id] for node_id in group.nodes), *missing]
    job = dg.define_asset_job(
        group.name,
        selection=dg.AssetSelection.assets(*keys),
        description=_about(group),
        run_tags={**_RETRY, **group.tags, JOB_GROUP: group.name},
        executor_def=ops.executor,
    )
    along = _along(launching, group.nodes)
    if missing:  # what can't be loaded is red, in this job too
        return job_of_its_own(job, None, along) if launching.takes_along else job
    assets = frozenset(made.keys.assets[node_id] for node_id in group.nodes)
    return job_of_its_own(
        job,
        lambda: multi_asset(
            f"{op_name(ops.name)}_{group.name}", part_of(made, assets), ops.transform
        ),
        along,
    )


def _about(group: JobGroup) -> str:
    said = (group.description, f"Ticks {group.cron.describe()}.", group.reason)
    return "\n\n".join(each for each in said if each)


def _cron_of(entry: JobGroupEntry) -> Cron:
    try:
        return Cron.parse(entry.cron, entry.time_zone)
    except CronError:
        return Cron.parse("@daily")  # it launches nothing, and says why
