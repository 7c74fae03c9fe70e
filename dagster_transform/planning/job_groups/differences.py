"""How two plans of job groups differ, node by node. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupName, JobGroupPlan


class What(str, Enum):
    """What differs."""

    NEW_GROUP = "new group"
    VANISHED_GROUP = "group vanishes"
    RENAMED_GROUP = "group is renamed"
    GROUP_CRON = "group's cron"
    MOVES = "moves"
    APPEARS = "appears"
    VANISHES = "vanishes"
    CADENCE = "changes cadence"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    Attributes:
        what: What differs.
        name: The group, or the node as people call it.
        before, after: Its group, its cron, its name; "" where there is none.
    """

    what: What
    name: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, with the graph that it is of."""

    plan: JobGroupPlan
    graph: Graph


def differences(before: Planned, after: Planned) -> tuple[Difference, ...]:
    """What differs between two plans: groups first, then nodes by name.

    Nodes are the same if their ids are. A group of which all nodes that are still there are in one
    new group now has been renamed, and its nodes have not moved.
    """
    renamed = _renamed(before.plan, after.plan)
    groups = sorted(_groups(before.plan, after.plan, renamed), key=lambda found: found.name)
    nodes = sorted(_nodes(before, after, renamed), key=lambda found: (found.name, found.what))
    return (*groups, *nodes)


def _renamed(before: JobGroupPlan, after: JobGroupPlan) -> dict[JobGroupName, JobGroupName]:
    old, new = {g.name: g for g in before.groups}, {g.name: g for g in after.groups}
    now = after.group_of()
    found: dict[JobGroupName, JobGroupName] = {}
    for name, group in old.items():
        if name in new:
            continue
        targets = {now[id].name for id in group.nodes if id in now}
        if len(targets) == 1 and not targets & {*old, *found.values()}:
            found[name] = targets.pop()
    return found


def _groups(
    before: JobGroupPlan, after: JobGroupPlan, renamed: Mapping[JobGroupName, JobGroupName]
) -> Iterator[Difference]:
    old, new = {g.name: g for g in before.groups}, {g.name: g for g in after.groups}
    for name, group in old.items():
        now = new.get(renamed.get(name, name))
        if now is None:
            yield Difference(What.VANISHED_GROUP, name, group.cron.describe())
            continue
        if now.name != name:
            yield Difference(What.RENAMED_GROUP, name, name, now.name)
        if now.cron != group.cron:
            crons = group.cron.describe(), now.cron.describe()
            yield Difference(What.GROUP_CRON, now.name, *crons)
    for name, group in new.items():
        if name not in old and name not in renamed.values():
            yield Difference(What.NEW_GROUP, name, after=group.cron.describe())


def _nodes(
    before: Planned, after: Planned, renamed: Mapping[JobGroupName, JobGroupName]
) -> Iterator[Difference]:
    old, new = before.plan.group_of(), after.plan.group_of()
    for id in sorted({*before.graph.nodes, *after.graph.nodes}):
        name = (after.graph.node(id) or before.graph.nodes[id]).name
        was, now = _name_in(old, id), _name_in(new, id)
        if id not in after.graph.nodes:
            yield Difference(What.VANISHES, name, was)
        elif id not in before.graph.nodes:
            yield Difference(What.APPEARS, name, after=now)
        elif renamed.get(JobGroupName(was), was) != now:
            yield Difference(What.MOVES, name, was, now)
        if id not in before.graph.nodes or id not in after.graph.nodes:
            continue
        crons = before.plan.crons.get(id), after.plan.crons.get(id)
        # One that is in no group may merely be left out of a plan.
        if crons[0] != crons[1] and (all(crons) or was or now):
            words = [cron.describe() if cron else "" for cron in crons]
            yield Difference(What.CADENCE, name, *words)


def _name_in(groups: Mapping[NodeId, JobGroup], id: NodeId) -> str:
    found = groups.get(id)
    return found.name if found else ""
