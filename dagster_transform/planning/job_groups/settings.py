"""What transform.yaml says of job groups, for a graph. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.graph import (
    Graph,
    NodeFinder,
    NodeId,
    Presence,
    SelectionError,
    terms_of,
)
from dagster_transform.planning.job_groups.errors import JobGroupError
from dagster_transform.planning.job_groups.values import (
    JobGroupName,
    JobGroupSettings,
    MergeCadences,
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class PinnedError(JobGroupError):
    """A node can't be in the job group where transform.yaml has pinned it."""


def job_group_settings(config: TransformConfig, graph: Graph) -> JobGroupSettings:
    """What people want of job groups.

    Args:
        config: What transform.yaml says.
        graph: The graph, its nodes named as people call them.

    Raises:
        ConfigError: What is pinned is no node, or in two groups; or that is no name of a group.
    """
    said = config.job_groups
    return JobGroupSettings(
        max_job_groups=said.max_job_groups,
        smallest=said.smallest,
        largest=said.largest,
        merge_cadences=MergeCadences(said.merge_cadences),
        keep_apart=said.keep_apart,
        pinned=_pinned(config, graph),
        reserved=frozenset(_names_of_jobs(config)),
    )


def not_in_environment(config: TransformConfig, graph: Graph) -> dict[NodeId, str]:
    """The nodes that no run builds before somebody applies a plan, and why, in words.

    Not those of projects whose runs apply plans by themselves.
    """
    found: dict[NodeId, str] = {}
    for node in graph.nodes.values():
        project = config.projects.get(node.project)
        if (
            node.presence is Presence.ABSENT
            and isinstance(project, SqlmeshProject)
            and project.plan != "auto"
        ):
            found[node.id] = f"environment {project.environment} does not have it yet"
    return found


def _names_of_jobs(config: TransformConfig) -> Iterator[str]:
    """Names of other jobs, and of the op and the job of a transform that is called as it is by
    default: Dagster has one set of names for jobs and ops."""
    yield from ("transform", "transform_job_groups", *config.check_jobs)
    for project in config.projects:
        yield from (f"{project}_{job}" for job in ("plan", "janitor", "checks"))


def _pinned(config: TransformConfig, graph: Graph) -> dict[NodeId, JobGroupName]:
    found: dict[NodeId, JobGroupName] = {}
    finder = NodeFinder(graph)
    for name, selections in config.job_groups.pinned.items():
        where = ("job_groups", "pinned", name)
        if not _NAME.fullmatch(name):
            raise config.located_at(
                where,
                PinnedError(
                    "a job group's name has letters, digits and underscores, and does not begin "
                    "with a digit"
                ),
            )
        for place, selection in enumerate(selections):
            try:
                ids = {id for term in terms_of(selection) for id in finder.of_term(term)}
            except SelectionError as error:
                cause = error.cause.removesuffix(".")
                wrong = PinnedError(cause, remedy=error.remedy)
                raise config.located_at((*where, place), wrong) from None
            for id in sorted(ids):
                if found.setdefault(id, JobGroupName(name)) != name:
                    both = PinnedError(
                        f"{graph.nodes[id].name} is pinned to {found[id]} already",
                        remedy="Pin a node to one job group.",
                    )
                    raise config.located_at((*where, place), both)
    return found
