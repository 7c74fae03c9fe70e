"""From a job group file and a graph to job groups, and what is wrong or has drifted. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from dagster_transform.config import ConfigError, ConfigProblem
from dagster_transform.config.job_group_file import ROOT, JobGroupEntry, JobGroupFile
from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.grouping import (
    place_new_nodes,
    plan_job_groups,
)
from dagster_transform.planning.job_groups.grouping.labels import apart_by, label_nodes
from dagster_transform.planning.job_groups.members import Members, members_of, selections_of
from dagster_transform.planning.job_groups.validity import circular, crons_of, unfit_members
from dagster_transform.planning.job_groups.values import (
    JobGroup,
    JobGroupName,
    JobGroupPlan,
    JobGroupSettings,
)

_REMEDY = (
    "Mend the file, or let `dagster-transform job-groups generate` place the nodes anew: it keeps "
    "what fits."
)


@dataclass(frozen=True, slots=True)
class LoadedJobGroups:
    """The job groups of a file.

    Attributes:
        plan: The groups of the file, and in them the nodes that the file does not have. A group of
            which no node is left is there too: its schedule must not lose its state.
        drift: What has changed since the file was written and does no harm, in the order of the
            file: nodes that are new, are no more, have no cron any more, or had to make way; and
            where the file is not as transform.yaml wants it.
        selections: What people have written as `select`, by group.
    """

    plan: JobGroupPlan
    drift: tuple[ConfigProblem, ...] = ()
    selections: Mapping[JobGroupName, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WrittenJobGroups:
    """What a file says, whether it can be or not.

    Attributes:
        plan: Its groups: what `plan_job_groups` takes as the plan before.
        errors: Why it can't be as it is; empty: it can.
        drift: As of LoadedJobGroups, but for new nodes.
        selections: Likewise.
    """

    plan: JobGroupPlan
    errors: tuple[ConfigProblem, ...]
    drift: tuple[ConfigProblem, ...]
    selections: Mapping[JobGroupName, str]


def load_job_groups(
    file: JobGroupFile,
    graph: Graph,
    settings: JobGroupSettings,
    *,
    now: datetime,
    durations: Mapping[NodeId, float] | None = None,
    left_out: Mapping[NodeId, str] | None = None,
) -> LoadedJobGroups:
    """The job groups of a file, with the nodes that are not in it placed by rule.

    Args:
        file: The file.
        graph: The graph, its nodes named as people call them.
        settings: By what the nodes are placed that the file does not have.
        now: Aware; ticks that would be missed are looked for after it.
        durations: How long builds of nodes took, in seconds; others are expected by kind.
        left_out: Nodes that need no group unless the file gives them one, and why.

    Raises:
        ConfigError: The file can't be used for this graph; it says all that is wrong, and where.
        JobGroupError: A new node can't be where it is pinned.
    """
    written = as_written(file, graph, settings, now=now)
    if written.errors:
        raise ConfigError(written.errors, remedy=_REMEDY)
    placed = written.plan.group_of()
    aside = {id: why for id, why in (left_out or {}).items() if id not in placed}
    plan = place_new_nodes(unscheduled(graph, aside), durations or {}, settings, written.plan)
    plan = with_empty_groups(_with_left_out(plan, graph, aside), written.plan)
    drift = (
        *written.drift,
        *_not_as_in_file(file, graph, written.plan, plan),
        *_unlike(file, graph, written.plan, settings),
    )
    return LoadedJobGroups(plan, tuple(sorted(drift, key=_place)), written.selections)


def plan_without(
    graph: Graph,
    durations: Mapping[NodeId, float],
    settings: JobGroupSettings,
    previous: JobGroupPlan | None,
    left_out: Mapping[NodeId, str],
) -> JobGroupPlan:
    """The job groups of all nodes but some.

    Args:
        graph: The graph.
        durations: How long builds of nodes took, in seconds.
        settings: What people want of job groups.
        previous: The groups before, of which is kept what can be.
        left_out: Nodes that are in no group, and why.

    Raises:
        JobGroupError: Nodes can't be where they are pinned.
    """
    plan = plan_job_groups(unscheduled(graph, left_out), durations, settings, previous)
    return _with_left_out(plan, graph, left_out)


def unscheduled(graph: Graph, ids: Mapping[NodeId, str]) -> Graph:
    """The same graph, in which some nodes have no cron."""
    if not ids:
        return graph
    nodes = {id: replace(n, cron=None) if id in ids else n for id, n in graph.nodes.items()}
    return replace(graph, nodes=nodes)


def as_written(
    file: JobGroupFile, graph: Graph, settings: JobGroupSettings, *, now: datetime
) -> WrittenJobGroups:
    """What a file says of a graph, whether it can be or not; arguments as of `load_job_groups`.
    A group whose cron can't be read is left out of the plan."""
    labels = label_nodes(graph, settings)
    node_crons = {id: label.cron for id, label in labels.by_node.items()}
    members = members_of(file, graph, node_crons)
    crons, errors = crons_of(file)
    errors += [
        file.problem(name, f"Dagster has a job or an op called {name}: call the group otherwise")
        for name in file.entries
        if settings.is_reserved(name)
    ]
    errors += members.errors
    errors += unfit_members(file, members, graph, crons, node_crons, now=now)
    errors += circular(file, members, graph)
    groups = tuple(_group(name, file.entries[name], cron, members) for name, cron in crons.items())
    plan = JobGroupPlan(groups, node_crons)
    return WrittenJobGroups(
        plan, tuple(errors), tuple(sorted(members.drift, key=_place)), selections_of(file)
    )


def _group(name: JobGroupName, entry: JobGroupEntry, cron: Cron, members: Members) -> JobGroup:
    return JobGroup(
        name=name,
        cron=cron,
        nodes=members.nodes[name],
        description=entry.description,
        tags=dict(entry.tags),
        owners=entry.owners,
        max_concurrent_models=entry.max_concurrent_models,
        checks=entry.checks,
    )


def with_empty_groups(plan: JobGroupPlan, written: JobGroupPlan) -> JobGroupPlan:
    """The plan with the groups of the file of which no node is left."""
    there = {group.name for group in plan.groups}
    empty = [group for group in written.groups if group.name not in there]
    return replace(plan, groups=(*plan.groups, *empty))


def _not_as_in_file(
    file: JobGroupFile, graph: Graph, written: JobGroupPlan, plan: JobGroupPlan
) -> Iterator[ConfigProblem]:
    known = written.group_of()
    for group in plan.groups:
        for id in group.nodes:
            name = graph.nodes[id].name
            if id in known:
                if known[id].name != group.name:
                    said = (
                        f"{name} can't stay in this group, since a new node lies between it and "
                        f"others: it goes to {group.name}"
                    )
                    yield file.problem(known[id].name, said)
                continue
            if group.name in file.entries:
                said = f"{name} is in no group of the file; it goes to this one"
                yield file.problem(group.name, said)
            else:
                said = f"{name} is in no group of the file; it goes to a new one, {group.name}"
                yield file.document.problem((ROOT,), said)


def _with_left_out(
    plan: JobGroupPlan, graph: Graph, left_out: Mapping[NodeId, str]
) -> JobGroupPlan:
    """The plan, with why those nodes are in no group that would have been in one."""
    why = {id: why for id, why in left_out.items() if graph.nodes[id].cron is not None}
    return replace(plan, unscheduled={**plan.unscheduled, **why})


def _place(problem: ConfigProblem) -> tuple[int, int]:
    return problem.line, problem.column


def _unlike(
    file: JobGroupFile, graph: Graph, written: JobGroupPlan, settings: JobGroupSettings
) -> Iterator[ConfigProblem]:
    """What the file has otherwise than transform.yaml wants it: `generate` makes it so."""
    for id, group in written.group_of().items():
        wanted = settings.pinned.get(id)
        if wanted is not None and wanted != group.name:
            said = f"{graph.nodes[id].name} is here, and pinned to {wanted} in transform.yaml"
            yield file.problem(group.name, f"{said}: `job-groups generate` moves it")
    apart = apart_by(settings.keep_apart)
    for group in written.groups:
        if settings.keep_apart and len({apart(graph.nodes[id]) for id in group.nodes}) > 1:
            said = f"has nodes that keep_apart ({', '.join(settings.keep_apart)}) keeps apart"
            yield file.problem(group.name, f"{said}: `job-groups generate` parts them")
