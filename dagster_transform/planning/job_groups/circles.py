"""Which groups of nodes wait for each other, and circles of them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dagster_transform.graph import Graph, InputId, NodeId
from dagster_transform.planning.job_groups.values import JobGroupName

Waits = Mapping[JobGroupName, Mapping[JobGroupName, "Because"]]
"""By group, the groups that it waits for, and why."""


@dataclass(frozen=True, slots=True)
class Because:
    """Why a group waits for another one.

    Attributes:
        above: The node of the other group.
        below: The node of this group that is below it.
        direct: Whether it reads it; else there are nodes without a group in between.
    """

    above: NodeId
    below: NodeId
    direct: bool


@dataclass(frozen=True, slots=True)
class Circle:
    """Groups of which each waits for the one before it, and the first for the last.

    Attributes:
        groups: The groups, in the direction of the data.
        why: Of each, why the next one waits for it.
    """

    groups: tuple[JobGroupName, ...]
    why: tuple[Because, ...]


def waits_of(graph: Graph, groups: Mapping[NodeId, JobGroupName]) -> Waits:
    """Which groups wait for which. Nodes that are in no group hold up nobody, but what is below
    them is below what is above them.

    Args:
        graph: The graph.
        groups: The group of each node that is in one.
    """
    found: dict[JobGroupName, dict[JobGroupName, Because]] = {}
    through: dict[InputId, dict[JobGroupName, NodeId]] = {}
    for id in graph.order:
        group = groups.get(id)
        for above in graph.upstream(id):
            if not graph.is_node(above):
                continue
            if (other := groups.get(above)) is not None:
                reached, direct = {other: above}, True
            else:
                reached, direct = through.get(above, {}), False
            if group is None:
                if reached:
                    through[id] = {**reached, **through.get(id, {})}
                continue
            for each, node in reached.items():
                if each == group:
                    continue
                known = found.setdefault(group, {})
                if each not in known or (direct and not known[each].direct):
                    known[each] = Because(node, id, direct)
    return found


def circles_of(waits: Waits, order: Sequence[JobGroupName]) -> Iterator[Circle]:
    """The circles among groups, the shortest first; each group is in one at most.

    Args:
        waits: Which groups wait for which.
        order: All groups; each circle begins with the first of its groups in there.
    """
    left = dict.fromkeys(order)
    while True:
        found = [path for name in left if (path := _around(waits, name, left))]
        if not found:
            return
        names = min(found, key=len)
        begin = min(range(len(names)), key=lambda at: order.index(names[at]))
        names = [*names[begin:], *names[:begin]]
        nexts = [*names[1:], names[0]]
        yield Circle(tuple(names), tuple(waits[b][a] for a, b in zip(names, nexts, strict=True)))
        for name in names:
            del left[name]


def _around(
    waits: Waits, start: JobGroupName, among: Iterable[JobGroupName]
) -> list[JobGroupName] | None:
    """The shortest way from a group back to it, in the direction of the data."""
    allowed = set(among)
    came: dict[JobGroupName, JobGroupName] = {}
    pending = deque([start])
    while pending:
        name = pending.popleft()
        for above in waits.get(name, {}):
            if above == start:
                path = [name]
                while path[-1] != start:
                    path.append(came[path[-1]])
                return path
            if above in allowed and above not in came:
                came[above] = name
                pending.append(above)
    return None
