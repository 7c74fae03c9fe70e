"""Jobs that run checks and build nothing, and their schedules."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_transform.config import CheckJob, TransformConfig
from dagster_transform.dagster._compat_check_jobs import plan_apart
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.errors import TransformError
from dagster_transform.graph import Check, Graph, When

_log = logging.getLogger("dagster_transform")


class CheckJobError(TransformError):
    """A job of checks that transform.yaml asks for can't be made."""


@dataclass(frozen=True, slots=True)
class CheckJobs:
    """Jobs of checks.

    Attributes:
        jobs: Asset jobs, by name.
        schedules: Of those that have a cron.
    """

    jobs: tuple[Any, ...]
    schedules: tuple[dg.ScheduleDefinition, ...]


def check_jobs(
    config: TransformConfig, graph: Graph, keys: Keys, taken: Collection[str]
) -> CheckJobs:
    """`<project>_checks` for each project some of whose checks run apart, and those of
    `check_jobs` in transform.yaml.

    Args:
        config: What it says.
        graph: The combined graph, its checks at their times.
        keys: Keys of the checks.
        taken: Names of other jobs and of ops.

    Raises:
        CheckJobError: A job has the name of another one or of an op, or names a project that there
            is not.
    """
    wanted = dict(_of_projects(config))
    for name, asked in config.check_jobs.items():
        if name in wanted or name in taken:
            raise CheckJobError(
                f"check_jobs.{name} in {config.file}: a job or an op has that name already.",
                remedy="Call it otherwise.",
            )
        if unknown := [project for project in asked.projects if project not in config.projects]:
            raise CheckJobError(
                f"check_jobs.{name} in {config.file}: there is no project {', '.join(unknown)}.",
                remedy=f"Projects are {', '.join(config.projects)}.",
            )
        wanted[name] = asked
    loaded = {check.project for check in graph.checks.values()}
    loaded |= {node.project for node in graph.nodes.values()}
    jobs, schedules = [], []
    for name, asked in wanted.items():
        own = name not in config.check_jobs
        projects = asked.projects or tuple(config.projects)
        checks = [
            keys.checks[check.id]
            for check in graph.checks.values()
            if check.project in projects and _is_meant(check, graph, asked, own=own)
        ]
        # What can't be loaded is red, however it is launched.
        missing = [dg.AssetKey([each, "not_loaded"]) for each in projects if each not in loaded]
        if not checks and not missing:
            _log.warning(f"Job {name} is left out: it would run no check.")
            continue
        selection: dg.AssetSelection = dg.AssetSelection.checks(*checks)
        if missing:
            selection |= dg.AssetSelection.assets(*missing)
        job = dg.define_asset_job(
            name,
            selection=selection,
            description=f"Runs checks of {', '.join(projects)}, all at once, and builds nothing.",
        )
        jobs.append(job)
        if own:
            plan_apart(name, checks)
        if asked.cron is not None:
            schedules.append(
                dg.ScheduleDefinition(
                    job=job, cron_schedule=asked.cron, execution_timezone=asked.time_zone or "UTC"
                )
            )
    return CheckJobs(tuple(jobs), tuple(schedules))


def _of_projects(config: TransformConfig) -> Iterator[tuple[str, CheckJob]]:
    for name, project in config.projects.items():
        checks = project.checks
        if When.APART.value in (checks.when, checks.blocking):
            yield (
                f"{name}_checks",
                CheckJob(projects=(name,), cron=checks.cron, time_zone=checks.time_zone),
            )


def _is_meant(check: Check, graph: Graph, job: CheckJob, *, own: bool) -> bool:
    """Whether a job runs a check; that of a project runs what does not run beside builds."""
    if check.when is When.NONE or (own and check.when is not When.APART):
        return False
    judged = graph.node(check.target)
    return not job.tags or (judged is not None and not set(job.tags).isdisjoint(judged.tags))
