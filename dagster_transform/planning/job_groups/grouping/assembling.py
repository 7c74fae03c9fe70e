"""The finished plan: groups in order, with their names, reasons and warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dagster_transform.graph import Graph, NodeId
from dagster_transform.graph.counts import counted
from dagster_transform.planning.advice import finer_than_upstream
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.grouping.drafts import Draft, Nodes, groups_of
from dagster_transform.planning.job_groups.grouping.labels import Labels, some
from dagster_transform.planning.job_groups.grouping.naming import EarlierName, name_groups
from dagster_transform.planning.job_groups.grouping.quotient import edges_between, topological
from dagster_transform.planning.job_groups.grouping.reasons import Reasons
from dagster_transform.planning.job_groups.grouping.units import longest_chain
from dagster_transform.planning.job_groups.values import (
    JobGroup,
    JobGroupPlan,
    JobGroupSettings,
    MergeCadences,
)

_MOST_OF_A_SORT = 10


def assemble(
    graph: Graph,
    labels: Labels,
    nodes: Nodes,
    drafts: Sequence[Draft],
    *,
    settings: JobGroupSettings,
    previous: JobGroupPlan | None,
    warnings: Iterable[str],
    as_in_file: bool = False,
) -> JobGroupPlan:
    """The plan that groups make.

    Args:
        graph: The graph of all projects.
        labels: Of its nodes.
        nodes: Its nodes by number.
        drafts: The groups; they have no circle.
        settings: What people want.
        previous: The earlier plan, which names and what people have written come from.
        warnings: What there is to say already.
        as_in_file: Whether the groups are those of a file, which nobody has merged or cut.
    """
    earlier = previous.groups if previous else ()
    places = {group.name: place for place, group in enumerate(earlier)}

    def earlier_place(draft: Draft) -> int:
        return len(places) if draft.name is None else places.get(draft.name, len(places))

    drafts = sorted(drafts, key=lambda found: (earlier_place(found), min(found.members)))
    above = edges_between(nodes.units, groups_of(len(nodes.ids), drafts))
    order = topological(above)
    place_of = {number: place for place, number in enumerate(order)}
    in_order = [drafts[number] for number in order]
    reads = [sorted(place_of[each] for each in above[number]) for number in order]
    number_of = {node_id: number for number, node_id in enumerate(nodes.ids)}
    names = name_groups(
        in_order,
        [
            EarlierName(
                group.name,
                group.cron,
                tuple(number_of[node] for node in group.nodes if node in number_of),
            )
            for group in earlier
        ],
        settings,
    )
    reasons = Reasons(nodes, in_order, names, reads, settings)
    written = {group.name: group for group in earlier}
    groups = []
    for place, draft in enumerate(in_order):
        members = sorted(draft.members)
        name = names[place]
        # What people have written of a group stays.
        group = written.get(name) or JobGroup(name, draft.cron, ())
        groups.append(
            replace(
                group,
                cron=draft.cron,
                nodes=tuple(nodes.ids[member] for member in members),
                depends_on=tuple(sorted(names[each] for each in reads[place])),
                seconds=longest_chain(nodes.units, nodes.seconds, members),
                reason=reasons.of(place),
            )
        )
    crons = {node_id: label.cron for node_id, label in labels.by_node.items()}
    said = (
        *labels.warnings,
        *warnings,
        *([] if as_in_file else _too_many(in_order, settings)),
        *([] if as_in_file else _too_large(groups, settings)),
        *(_other_sizes(groups, settings) if as_in_file else []),
        *_read_from_no_group(graph, crons),
    )
    return JobGroupPlan(tuple(groups), crons, labels.unscheduled, (*said, *_traps(graph, crons)))


def _other_sizes(groups: Sequence[JobGroup], settings: JobGroupSettings) -> list[str]:
    """What the groups of a file have otherwise than people want it."""
    found = []
    if len(groups) > settings.max_job_groups:
        found.append(f"{len(groups)} job groups, and max_job_groups is {settings.max_job_groups}")
    if settings.largest is not None:
        found += [
            f"{counted(len(group.nodes), 'node')} in {group.name}, and `largest` is "
            f"{settings.largest}"
            for group in groups
            if len(group.nodes) > settings.largest
        ]
    remedy = "`dagster-transform job-groups generate` makes the groups as that says"
    return [f"The file has {'; '.join(found)}: {remedy}."] if found else []


def _read_from_no_group(graph: Graph, crons: Mapping[NodeId, Cron]) -> list[str]:
    """Nodes that nobody schedules and that nodes of groups read: these are built all the same."""
    found = []
    for node_id in graph.order:
        if node_id in crons:
            continue
        readers = [each for each in graph.downstream(node_id) if each in crons]
        if readers:
            name, names = graph.nodes[node_id].name, some(graph.nodes[r].name for r in readers)
            read = "reads" if len(readers) == 1 else "read"
            found.append(
                f"{name} is in no group, and nobody builds it before {names}, which {read} it."
            )
    return _first_of(found, "nodes are in no group and are read by some")


def _too_many(drafts: Sequence[Draft], settings: JobGroupSettings) -> list[str]:
    if len(drafts) <= settings.max_job_groups:
        return []
    found = f"There are {len(drafts)} job groups, and max_job_groups is {settings.max_job_groups}"
    if settings.merge_cadences is MergeCadences.NEVER:
        return [f"{found}: set merge_cadences to `needed`, or raise max_job_groups."]
    causes = []
    if len({draft.cron.time_zone for draft in drafts}) > 1:
        causes.append("time zones never share a group")
    if len({draft.apart for draft in drafts if not draft.closed}) > 1:
        causes.append("keep_apart says what else does not")
    if any(draft.pinned for draft in drafts):
        causes.append("nodes are pinned")
    if not causes:
        causes.append("some cadences have no cron that has the ticks of both")
    return [f"{found}: {', '.join(causes)}. Change that, or raise max_job_groups."]


def _too_large(groups: Sequence[JobGroup], settings: JobGroupSettings) -> list[str]:
    largest = settings.largest
    if largest is None:
        return []
    sizes = [
        f"{group.name} has {len(group.nodes)}" for group in groups if len(group.nodes) > largest
    ]
    if not sizes:
        return []
    remedy = f"raise `largest`, or max_job_groups, which is {settings.max_job_groups}, or pin less"
    return [f"Job groups have more than {counted(largest, 'node')} ({', '.join(sizes)}): {remedy}."]


def _traps(graph: Graph, nodes: Iterable[str]) -> list[str]:
    found = finer_than_upstream(graph, [node for node in graph.nodes if node in nodes])
    return _first_of(found, "nodes are finer than what they read")


def _first_of(warnings: list[str], what: str) -> list[str]:
    """At most ten warnings of one sort, and how many more there are."""
    more = len(warnings) - _MOST_OF_A_SORT
    return [*warnings[:_MOST_OF_A_SORT], f"{more} more {what}."] if more > 0 else warnings
