"""What two nodes must have in common to share a job group."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dagster_transform.graph import Graph, Node, NodeId
from dagster_transform.planning.cron import MINIMUM_CADENCE, Cron, CronError, clamped
from dagster_transform.planning.job_groups.values import JobGroupName, JobGroupSettings

_NO_CRON = "it has no cron: it is built when somebody selects it"
_MOST_NAMES = 10


@dataclass(frozen=True, slots=True)
class Label:
    """Nodes of one label may share a group; those of two labels only where cadences are merged.

    Attributes:
        cron: When the nodes are due, clamped to the minimum cadence.
        apart: What `keep_apart` goes by: a value for each of its entries.
        pinned: The group in which people have placed them; its nodes stay there.
    """

    cron: Cron
    apart: tuple[str, ...] = ()
    pinned: JobGroupName | None = None

    def sort_key(self) -> tuple[str, str, tuple[str, ...], str]:
        """Depends on nothing but what the label says."""
        return self.cron.time_zone, self.cron.text, self.apart, self.pinned or ""


@dataclass(frozen=True, slots=True)
class Labels:
    """The label of each node that has a cron.

    Attributes:
        by_node: Not in it are nodes without a cron, and those whose cron can't be read.
        unscheduled: Nodes in no group, and why.
        warnings: Crons that are clamped or can't be read.
    """

    by_node: Mapping[NodeId, Label]
    unscheduled: Mapping[NodeId, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def label_nodes(graph: Graph, settings: JobGroupSettings) -> Labels:
    """The labels of all nodes of a graph, in its order."""
    apart = apart_by(settings.keep_apart)
    crons: dict[tuple[str, str | None], tuple[Cron, bool] | CronError] = {}
    # Equal labels are one object, so that comparing them is fast.
    labels: dict[tuple[str, str, tuple[str, ...], JobGroupName | None], Label] = {}
    by_node: dict[NodeId, Label] = {}
    unscheduled: dict[NodeId, str] = {}
    too_fast: dict[Cron, list[str]] = {}
    wrong: dict[str, list[str]] = {}
    for node_id in graph.order:
        node = graph.nodes[node_id]
        if node.cron is None:
            unscheduled[node_id] = _NO_CRON
            continue
        spelling = (node.cron, node.time_zone)
        if spelling not in crons:
            crons[spelling] = _read(*spelling)
        found = crons[spelling]
        if isinstance(found, CronError):
            unscheduled[node_id] = f"its cron {node.cron!r} can't be read: {found.cause}"
            wrong.setdefault(f"{node.cron!r}: {found.cause}", []).append(node.name)
            continue
        cron, is_clamped = found
        if is_clamped:
            too_fast.setdefault(cron, []).append(node.name)
        key = (cron.text, cron.time_zone, apart(node), settings.pinned.get(node_id))
        label = labels.get(key)
        if label is None:
            label = labels[key] = Label(cron, *key[2:])
        by_node[node_id] = label
    warnings = [
        f"{some(names)} would be due more often than every {_minutes()} minutes, the minimum of "
        f"a job group: launched by the cron {cron.text}."
        for cron, names in too_fast.items()
    ]
    warnings += [
        f"{some(names)} can't be scheduled: the cron {why}" for why, names in wrong.items()
    ]
    return Labels(by_node, unscheduled, tuple(warnings))


def apart_by(keep_apart: Iterable[str]) -> Callable[[Node], tuple[str, ...]]:
    """What tells nodes apart that are to be in different groups: a text for each entry of
    `keep_apart`, "" where a node has nothing of the kind."""
    each = [_value_of(entry) for entry in keep_apart]
    return lambda node: tuple([value(node) for value in each])


def some(names: Iterable[str]) -> str:
    """Names in a sentence: at most ten, and how many more there are."""
    found = sorted(names)
    more = len(found) - _MOST_NAMES
    if more > 1:
        return f"{', '.join(found[:_MOST_NAMES])} and {more} more"
    return " and ".join(filter(None, (", ".join(found[:-1]), *found[-1:])))


def _read(text: str, time_zone: str | None) -> tuple[Cron, bool] | CronError:
    try:
        cron = Cron.parse(text, time_zone)
    except CronError as error:
        return error
    slower = clamped(cron)
    return slower, slower != cron


def _value_of(entry: str) -> Callable[[Node], str]:
    kind, _, pattern = entry.partition(":")
    if kind == "tag":
        wanted = re.sub(r"[\[?]", r"[\g<0>]", pattern)  # only * is special
        return lambda node: " ".join(sorted(tag for tag in node.tags if fnmatchcase(tag, wanted)))
    if kind == "owner":
        return lambda node: " ".join(sorted(node.owners))
    if kind == "schema":
        return lambda node: node.relation.schema or ""
    return lambda node: node.project


def _minutes() -> int:
    return int(MINIMUM_CADENCE.total_seconds() // 60)
