"""The graph split into job groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.job_groups.grouping.assembling import assemble
from dagster_transform.planning.job_groups.grouping.cadences import (
    fewest_merges,
    finer_labels,
    relabelled,
)
from dagster_transform.planning.job_groups.grouping.drafts import (
    Draft,
    Nodes,
    common_cron,
    groups_of,
)
from dagster_transform.planning.job_groups.grouping.earlier import (
    Start,
    keep_as_it_is,
    keep_what_is_valid,
)
from dagster_transform.planning.job_groups.grouping.labels import label_nodes
from dagster_transform.planning.job_groups.grouping.merging import join_equal, merge
from dagster_transform.planning.job_groups.grouping.peeling import peel
from dagster_transform.planning.job_groups.grouping.pinning import pinned_drafts
from dagster_transform.planning.job_groups.grouping.quotient import edges_between
from dagster_transform.planning.job_groups.grouping.splitting import split
from dagster_transform.planning.job_groups.grouping.units import NO_LABEL, Units, contract
from dagster_transform.planning.job_groups.values import (
    JobGroupPlan,
    JobGroupSettings,
    MergeCadences,
)

_MOST_COMPARED = 1_000
"""So many groups are compared with each other, each with each; where there are more, whole cadences
are merged first."""
_MOST_JOINED = 2_000
"""Where cadences can't be merged: beyond so many, groups stay as they were peeled."""

_Merge = Callable[[Sequence[Draft], Sequence[set[int]], JobGroupSettings], list[Draft]]


def plan_job_groups(
    graph: Graph,
    durations: Mapping[NodeId, float],
    settings: JobGroupSettings,
    previous: JobGroupPlan | None = None,
) -> JobGroupPlan:
    """Split the nodes of a graph into job groups.

    Each node with a cron is in exactly one group. The ticks of its cron (clamped to the minimum
    cadence) are among those of the group, and groups do not depend on each other in a circle; nodes
    without a cron are in no group, and what reads them depends on what they read.

    Args:
        graph: The graph of all projects.
        durations: How long builds are expected to take, in seconds, as far as that is known.
        settings: What people want.
        previous: An earlier plan: nodes stay in its groups as far as they may, and groups keep
            their names and what people have written of them.

    Raises:
        JobGroupError: Nodes can't be where they are pinned.
    """
    labels = label_nodes(graph, settings)
    nodes = Nodes.of(graph, labels, durations)
    found = _keep(graph, nodes, settings, previous) if previous and previous.groups else None
    if found is None:
        start = Start(pinned_drafts(graph, nodes))
        found = start, _group(nodes, start.drafts, settings, merge)
    start, drafts = found
    drafts = split(nodes, drafts, settings)
    return assemble(
        graph, labels, nodes, drafts, settings=settings, previous=previous, warnings=start.warnings
    )


def _keep(
    graph: Graph, nodes: Nodes, settings: JobGroupSettings, previous: JobGroupPlan
) -> tuple[Start, list[Draft]] | None:
    """What an earlier plan begins with, and what becomes of it; None: it is better made anew."""
    start = keep_what_is_valid(graph, nodes, previous, settings)
    if start is None:
        return None
    drafts = _group(nodes, start.drafts, settings, merge)
    if {draft.name for draft in start.drafts} <= {draft.name for draft in drafts}:
        return start, drafts
    # A group had to go to make room for a new one: there may be less change without that one.
    other = keep_what_is_valid(graph, nodes, previous, settings, crowded=True)
    if other is None:
        return start, drafts
    others = _group(nodes, other.drafts, settings, merge)
    if _change(nodes, previous, others) < _change(nodes, previous, drafts):
        return other, others
    return start, drafts


def _change(nodes: Nodes, previous: JobGroupPlan, drafts: Sequence[Draft]) -> tuple[int, int]:
    """How much groups change a plan: how many of its names are lost, with which a schedule loses
    its state; and how many nodes are not in the group that they were in."""
    names = {draft.name for draft in drafts}
    were = {node: group.name for group in previous.groups for node in group.nodes}
    moved = sum(
        were.get(nodes.ids[member], draft.name) != draft.name
        for draft in drafts
        for member in draft.members
    )
    return sum(group.name not in names for group in previous.groups), moved


def place_new_nodes(
    graph: Graph,
    durations: Mapping[NodeId, float],
    settings: JobGroupSettings,
    previous: JobGroupPlan,
) -> JobGroupPlan:
    """An earlier plan with the nodes that it does not have yet, and without those that are no more.

    A new node goes to a group of its cadence, the one with most of what it reads and is read by; to
    one of a finer cadence where there is none (unless `merge_cadences` is `never`); to a new group
    where that would make a circle or there is none at all. All else stays as it is, even where the
    settings would have it otherwise, unless a new node lies between two nodes of one group.

    Args:
        graph: The graph of all projects.
        durations: How long builds are expected to take, in seconds, as far as that is known.
        settings: What people want.
        previous: The earlier plan; its groups have no circle.

    Raises:
        JobGroupError: Nodes can't be where they are pinned.
    """
    # What an earlier plan has placed is where people want it.
    placed = {node_id for group in previous.groups for node_id in group.nodes}
    pinned = {node_id: name for node_id, name in settings.pinned.items() if node_id not in placed}
    open_settings = replace(settings, pinned=pinned)
    labels = label_nodes(graph, open_settings)
    nodes = Nodes.of(graph, labels, durations)
    start = keep_as_it_is(graph, nodes, previous, open_settings)
    drafts = _group(nodes, start.drafts, open_settings, join_equal)
    return assemble(
        graph,
        labels,
        nodes,
        drafts,
        settings=open_settings,
        previous=previous,
        warnings=start.warnings,
        as_in_file=True,
    )


def _group(
    nodes: Nodes, blocks: Sequence[Draft], settings: JobGroupSettings, merge: _Merge
) -> list[Draft]:
    """All nodes in groups; blocks are what some of these begin with."""
    of_blocks = range(len(nodes.labels), len(nodes.labels) + len(blocks))
    units, new_of = contract(nodes.units, groups_of(len(nodes.ids), blocks), of_blocks)
    count = of_blocks.stop

    def peels(units: Units) -> int:
        return max(peel(units, count), default=-1) + 1

    if settings.merge_cadences is MergeCadences.ALWAYS:
        units = relabelled(units, finer_labels(units, nodes.labels))
    groups = peel(units, count)
    if settings.merge_cadences is MergeCadences.NEEDED and max(groups, default=0) > _MOST_COMPARED:
        finer = finer_labels(units, nodes.labels)
        units = fewest_merges(units, finer, peels, _MOST_COMPARED)
        groups = peel(units, count)
    drafts = _drafts(nodes, blocks, units, new_of, groups)
    if len(drafts) > _MOST_JOINED:
        return drafts
    return merge(drafts, edges_between(units, groups), settings)


def _drafts(
    nodes: Nodes,
    blocks: Sequence[Draft],
    units: Units,
    new_of: Sequence[int],
    groups: Sequence[int],
) -> list[Draft]:
    """Groups of units as groups of nodes; one that is a block is that."""
    members: list[list[int]] = [[] for _ in range(max(groups, default=-1) + 1)]
    for node, unit in enumerate(new_of):
        if nodes.units.labels[node] != NO_LABEL:
            members[groups[unit]].append(node)
    found: list[Draft | None] = [None] * len(members)
    for number, block in enumerate(blocks):
        found[groups[number]] = block
    labels_of_unit = {groups[unit]: units.labels[unit] for unit in range(len(units))}
    return [
        block or _new_draft(nodes, tuple(of_group), labels_of_unit[number])
        for number, (block, of_group) in enumerate(zip(found, members, strict=True))
    ]


def _new_draft(nodes: Nodes, members: tuple[int, ...], label: int) -> Draft:
    """A group of nodes that have one label or were taken for such."""
    crons = {found.cron for node in members if (found := nodes.label(node)) is not None}
    cron = common_cron(crons) or nodes.labels[label].cron
    return Draft(members, cron, nodes.labels[label].apart)
