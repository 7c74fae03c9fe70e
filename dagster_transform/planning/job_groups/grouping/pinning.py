"""Nodes that people have placed in groups by hand."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_transform.graph import Graph
from dagster_transform.planning.job_groups.errors import JobGroupError
from dagster_transform.planning.job_groups.grouping.drafts import (
    Draft,
    Nodes,
    common_cron,
    groups_of,
)
from dagster_transform.planning.job_groups.grouping.labels import some
from dagster_transform.planning.job_groups.grouping.naming import is_of_cadence
from dagster_transform.planning.job_groups.grouping.units import UnitsInCircle, contract, numbers_of
from dagster_transform.planning.job_groups.values import JobGroupName


def pinned_drafts(graph: Graph, nodes: Nodes) -> list[Draft]:
    """A group for each name that nodes are pinned to, with these nodes, by name.

    Such a group takes other nodes only where its name is one that their cadence would get.

    Raises:
        JobGroupError: No cron has the ticks of all nodes of a group, or groups read each other.
    """
    members: dict[JobGroupName, list[int]] = {}
    for node in range(len(nodes.ids)):
        label = nodes.label(node)
        if label is not None and label.pinned is not None:
            members.setdefault(label.pinned, []).append(node)
    drafts = [pinned_draft(graph, nodes, name, found) for name, found in sorted(members.items())]
    refuse_circles(graph, nodes, drafts)
    return drafts


def refuse_circles(graph: Graph, nodes: Nodes, drafts: Sequence[Draft]) -> None:
    """Raises JobGroupError where a way leaves a group and comes back to it, or groups read each
    other."""
    try:
        contract(nodes.units, groups_of(len(nodes.ids), drafts), [0] * len(drafts))
    except UnitsInCircle as circle:
        text = _circle(graph, nodes, drafts, circle)
        raise JobGroupError(
            f"Job groups with the nodes that are pinned to them would depend on each other in a "
            f"circle: {text}.",
            remedy="Pin what lies between to the same group (`pinned` in transform.yaml), or less.",
        ) from None


def pinned_draft(graph: Graph, nodes: Nodes, name: JobGroupName, members: list[int]) -> Draft:
    """A group of nodes that are pinned to it. Raises JobGroupError where no cron has the ticks of
    all of them."""
    labels = [label for node in members if (label := nodes.label(node)) is not None]
    cron = common_cron({label.cron for label in labels})
    if cron is None:
        crons = ", ".join(sorted({str(label.cron) for label in labels}))
        raise JobGroupError(
            f"{some(graph.nodes[nodes.ids[node]].name for node in members)} are pinned to the job "
            f"group {name}, and no cron has the ticks of all of them: {crons}.",
            remedy="In transform.yaml (`pinned`), pin nodes of different cadences or time zones to "
            "different groups.",
        )
    aparts = {label.apart for label in labels}
    apart = aparts.pop() if len(aparts) == 1 else ()
    closed = bool(aparts) or not is_of_cadence(name, cron, apart)
    return Draft(tuple(members), cron, apart, name, pinned=True, closed=closed)


def _circle(graph: Graph, nodes: Nodes, drafts: Sequence[Draft], circle: UnitsInCircle) -> str:
    """The nodes of one circle, in the direction of the data: `a (job group x) -> b -> ...`."""
    units = nodes.units
    block_of = groups_of(len(nodes.ids), drafts)
    # What is in a circle or below one reads something that is too: going up must come back.
    edges: dict[int, tuple[int, int, int]] = {}
    number_of = numbers_of(units, block_of, len(drafts))
    for node in units.order:
        for above in units.up[node]:
            here, there = number_of[node], number_of[above]
            if here != there and there in circle.stuck:
                edges.setdefault(here, (there, above, node))
    path: dict[int, None] = {}
    number = min(circle.stuck)
    while number not in path:
        path[number] = None
        number = edges[number][0]
    walked = list(path)
    steps = [edges[each] for each in walked[walked.index(number) :]][::-1]

    def called(node: int) -> str:
        name = graph.nodes[nodes.ids[node]].name
        block = block_of[node]
        return name if block < 0 else f"{name} (job group {drafts[block].name})"

    parts: list[str] = []
    for _, above, node in steps:
        if not parts or parts[-1] != called(above):
            parts.append(called(above))
        parts.append(called(node))
    return " -> ".join(parts)
