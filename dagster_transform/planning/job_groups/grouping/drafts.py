"""Groups while a plan is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dagster_transform.graph import Graph, InputId, NodeId
from dagster_transform.planning.cron import Cron, coarsest_covering
from dagster_transform.planning.job_groups.expected_durations import expected_seconds
from dagster_transform.planning.job_groups.grouping.labels import Label, Labels
from dagster_transform.planning.job_groups.grouping.units import NO_LABEL, Units, units_in_order
from dagster_transform.planning.job_groups.values import JobGroupName


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of a graph by number, in its order.

    Attributes:
        ids: The id of each.
        units: What depends on what; nodes without a cron have no label.
        labels: The labels by number, in an order that depends on nothing but what they say.
        seconds: How long a build of each is expected to take.
    """

    ids: Sequence[NodeId]
    units: Units
    labels: Sequence[Label]
    seconds: Sequence[float]

    @classmethod
    def of(cls, graph: Graph, labels: Labels, durations: Mapping[NodeId, float]) -> Nodes:
        """The nodes of a graph with the labels that they have in it."""
        distinct = {id(label): label for label in labels.by_node.values()}
        in_order = sorted(distinct.values(), key=Label.sort_key)
        number_of_label = {id(label): number for number, label in enumerate(in_order)}
        number_of: dict[InputId, int] = {
            node_id: number for number, node_id in enumerate(graph.order)
        }
        up = [
            [number_of[above] for above in graph.upstream(node_id) if above in number_of]
            for node_id in graph.order
        ]
        numbers = [
            number_of_label[id(labels.by_node[node_id])] if node_id in labels.by_node else NO_LABEL
            for node_id in graph.order
        ]
        seconds = [expected_seconds(graph.nodes[node_id], durations) for node_id in graph.order]
        return cls(graph.order, units_in_order(up, numbers), in_order, seconds)

    def label(self, node: int) -> Label | None:
        """The label of a node; None where it has no cron."""
        number = self.units.labels[node]
        return None if number == NO_LABEL else self.labels[number]


@dataclass(frozen=True, slots=True)
class Draft:
    """A group in the making.

    Attributes:
        members: Its nodes by number.
        cron: When it ticks; covers those of all its nodes.
        apart: What `keep_apart` goes by, equal for all its nodes.
        name: What it is called where that is settled; else None.
        pinned: Whether people have placed nodes in it, so that it can't become a part of another.
        closed: Whether it takes no node that people have not placed in it.
    """

    members: tuple[int, ...]
    cron: Cron
    apart: tuple[str, ...] = ()
    name: JobGroupName | None = None
    pinned: bool = False
    closed: bool = False


def common_cron(crons: Iterable[Cron]) -> Cron | None:
    """The cron of a group whose nodes have these: one of them, if it covers the others, else the
    least one that does; None: there is none."""
    return coarsest_covering(sorted(set(crons), key=lambda cron: (cron.per_day, cron.text)))


def groups_of(count: int, drafts: Sequence[Draft]) -> list[int]:
    """The number of each node's draft; -1: it is in none.

    Args:
        count: How many nodes there are.
        drafts: The groups.
    """
    groups = [NO_LABEL] * count
    for number, draft in enumerate(drafts):
        for member in draft.members:
            groups[member] = number
    return groups
