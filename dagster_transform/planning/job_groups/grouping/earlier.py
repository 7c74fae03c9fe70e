"""Groups of an earlier plan as the start of the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from dagster_transform.graph import Graph
from dagster_transform.planning.job_groups.errors import JobGroupError
from dagster_transform.planning.job_groups.grouping.drafts import Draft, Nodes, common_cron
from dagster_transform.planning.job_groups.grouping.keeping import NOWHERE, Home, keep
from dagster_transform.planning.job_groups.grouping.labels import Label, some
from dagster_transform.planning.job_groups.grouping.pinning import pinned_draft
from dagster_transform.planning.job_groups.values import (
    JobGroup,
    JobGroupName,
    JobGroupPlan,
    JobGroupSettings,
    MergeCadences,
)

_MOST_GROUPS = 2_000
"""A plan of more groups is made anew."""
_Left = dict[tuple[JobGroupName, str], list[int]]
"""Nodes that have left a group: its name, and why."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a plan begins with.

    Attributes:
        drafts: Groups that there are already; without a circle.
        warnings: Which nodes have left theirs, in words.
    """

    drafts: Sequence[Draft]
    warnings: Sequence[str] = field(default_factory=tuple)


def keep_what_is_valid(
    graph: Graph,
    nodes: Nodes,
    previous: JobGroupPlan,
    settings: JobGroupSettings,
    *,
    crowded: bool = False,
) -> Start | None:
    """The groups of an earlier plan, with those of their nodes that may stay, and with new ones
    where they fit; `crowded`: also where what reads them has to move for that.

    Returns:
        None where the plan is better made anew: pinned nodes leave no other way.

    Raises:
        JobGroupError: The group that a node is pinned to misses its ticks.
    """
    if len(previous.groups) > _MOST_GROUPS:
        return None

    return _start(graph, nodes, previous, settings, as_it_is=False, crowded=crowded)


def keep_as_it_is(
    graph: Graph, nodes: Nodes, previous: JobGroupPlan, settings: JobGroupSettings
) -> Start:
    """The groups of an earlier plan with all of their nodes, and with new ones where they fit.

    Raises:
        JobGroupError: The group that a new node is pinned to misses its ticks.
    """
    start = _start(graph, nodes, previous, settings, as_it_is=True, crowded=False)
    if start is None:
        raise JobGroupError(
            "A node that is pinned to a job group makes a circle of groups.",
            remedy="Pin it elsewhere (`pinned` in transform.yaml), or generate the groups anew.",
        )
    return start


def _start(
    graph: Graph,
    nodes: Nodes,
    previous: JobGroupPlan,
    settings: JobGroupSettings,
    *,
    as_it_is: bool,
    crowded: bool,
) -> Start | None:
    """The groups, `as_it_is` or as they may be; None where pinned nodes would have to leave."""
    members, pinned = _members(nodes, previous)
    never = settings.merge_cadences is MergeCadences.NEVER
    # One group more would have to be merged with another, and more nodes would move.
    full = len(previous.groups) >= settings.max_job_groups
    left: _Left = {}
    drafts: list[Draft] = []
    for group in previous.groups:
        stay = members.get(group.name, [])
        if not as_it_is:
            stay = _staying(nodes, previous, group, stay, left, never=never)
        here = pinned.pop(group.name, [])
        if here and not stay and not as_it_is:
            drafts.append(pinned_draft(graph, nodes, group.name, here))
        else:
            _refuse_missed(graph, nodes, group, here)
            drafts.append(_draft(nodes, group, stay, here))
    drafts += [pinned_draft(graph, nodes, name, found) for name, found in sorted(pinned.items())]
    earlier = [NOWHERE] * len(nodes.ids)
    for number, draft in enumerate(drafts):
        for member in draft.members:
            earlier[member] = number
    kept = keep(
        nodes,
        earlier,
        [_home(nodes, draft) for draft in drafts],
        largest=settings.largest,
        covering=not never and (as_it_is or full),
        crowded=crowded,
    )
    for node in kept.moved:
        if _is_pinned(nodes.label(node)):
            return None
        name = drafts[earlier[node]].name
        if name is not None:
            why = "with them there, job groups would depend on each other in a circle"
            left.setdefault((name, why), []).append(node)
    found: list[list[int]] = [[] for _ in drafts]
    for node, home in enumerate(kept.homes):
        if home != NOWHERE:
            found[home].append(node)
    warnings = [
        f"{some(graph.nodes[nodes.ids[node]].name for node in those)} can't stay in the job group "
        f"{name}: {why}."
        for (name, why), those in left.items()
    ]
    return Start(
        [
            _with_members(nodes, draft, those, as_it_is)
            for draft, those in zip(drafts, found, strict=True)
            if those
        ],
        warnings,
    )


def _members(
    nodes: Nodes, previous: JobGroupPlan
) -> tuple[dict[JobGroupName, list[int]], dict[JobGroupName, list[int]]]:
    """By group, the nodes that an earlier plan has in it, and those that are pinned to it; nodes
    that have no cron are in none."""
    group_of = {node_id: group.name for group in previous.groups for node_id in group.nodes}
    members: dict[JobGroupName, list[int]] = {}
    pinned: dict[JobGroupName, list[int]] = {}
    for node, node_id in enumerate(nodes.ids):
        label = nodes.label(node)
        if label is None:
            continue
        if label.pinned is not None:
            pinned.setdefault(label.pinned, []).append(node)
        elif node_id in group_of:
            members.setdefault(group_of[node_id], []).append(node)
    return members, pinned


def _staying(
    nodes: Nodes,
    previous: JobGroupPlan,
    group: JobGroup,
    members: Sequence[int],
    left: _Left,
    *,
    never: bool,
) -> list[int]:
    """Those of a group's nodes that may stay in it, where cadences are `never` merged or else; the
    others are entered among those that have left it."""
    labels = [(node, label) for node in members if (label := nodes.label(node)) is not None]
    if not labels:
        return []
    most = Counter(label.apart for _, label in labels)
    apart = max(most, key=lambda found: (most[found], found))
    paces = Counter(label.cron for _, label in labels if label.apart == apart)
    only = None
    if never:
        only = max(paces, key=lambda cron: (cron == group.cron, paces[cron], cron.text))
    stay = []
    for node, label in labels:
        before = previous.crons.get(nodes.ids[node], label.cron)
        if label.apart != apart:
            why = "`keep_apart` tells them from its other nodes"
        elif before != label.cron:
            why = "the cron has changed"
        elif only is not None and label.cron != only:
            why = "their cadence is another one, and merge_cadences is `never`"
        elif only is None and not group.cron.covers(label.cron):
            why = f"its cron {group.cron} has not all of their ticks"
        else:
            stay.append(node)
            continue
        left.setdefault((group.name, why), []).append(node)
    return stay


def _refuse_missed(graph: Graph, nodes: Nodes, group: JobGroup, pinned: Sequence[int]) -> None:
    """Raises JobGroupError where a group has not all ticks of nodes that are pinned to it."""
    missed = [
        node
        for node in pinned
        if (label := nodes.label(node)) is not None and not group.cron.covers(label.cron)
    ]
    if missed:
        names = some(graph.nodes[nodes.ids[node]].name for node in missed)
        raise JobGroupError(
            f"{names} can't be pinned to the job group {group.name}: its cron {group.cron} has not "
            "all of their ticks.",
            remedy="Pin them elsewhere (`pinned` in transform.yaml), or all that is to be there.",
        )


def _draft(nodes: Nodes, group: JobGroup, stay: Sequence[int], pinned: Sequence[int]) -> Draft:
    """A group with the nodes that stay in it and those that are pinned to it."""
    aparts = Counter(label.apart for node in stay if (label := nodes.label(node)) is not None)
    apart = max(aparts, key=lambda found: (aparts[found], found), default=())
    members = tuple(sorted({*stay, *pinned}))
    return Draft(members, group.cron, apart, group.name, bool(pinned), closed=not members)


def _home(nodes: Nodes, draft: Draft) -> Home:
    labels = {id(label): label for node in draft.members if (label := nodes.label(node))}
    hosted = frozenset(label.cron for label in labels.values())
    return Home(draft.cron, draft.apart, hosted, draft.closed)


def _with_members(nodes: Nodes, draft: Draft, members: Sequence[int], as_it_is: bool) -> Draft:
    crons = {label.cron for node in members if (label := nodes.label(node)) is not None}
    cron = draft.cron if as_it_is else common_cron(crons) or draft.cron
    return Draft(tuple(members), cron, draft.apart, draft.name, draft.pinned, draft.closed)


def _is_pinned(label: Label | None) -> bool:
    return label is not None and label.pinned is not None
