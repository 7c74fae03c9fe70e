"""What people call nodes, sources and checks: by their asset keys, as Dagster shows them.

A node has one name in logs, reasons, tables, plans and lists: its asset key with slashes, which is
what people see in Dagster and can paste into its search. That of a check is its asset's and its
own, with a colon in between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from dagster_transform.graph.graph import Graph
from dagster_transform.graph.ids import InputId, SourceId, UnitId, node_id
from dagster_transform.graph.nodes import Node, Source

_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def default_key(thing: Node | Source) -> tuple[str, ...]:
    """The parts of an asset key that no translator has changed: `[catalog, schema, model]`,
    whatever the environment names its views; dbt's key."""
    return thing.key or _parts(thing.reference)


def name_of_key(parts: Iterable[str]) -> str:
    """`flights/marts/delays`, as Dagster writes a key for people."""
    return "/".join(parts)


def name_of_reference(reference: str) -> str:
    """The name of what a graph does not have, of SQLMesh's name for it: a model that only the
    environment has, say. A standalone audit has no key: its own name."""
    return name_of_key(_parts(reference)) or reference


def named_by_keys(graph: Graph, keys: Mapping[InputId, Iterable[str]]) -> Graph:
    """The graph, its nodes and sources named by their asset keys.

    Args:
        graph: A graph, as graph files have it.
        keys: The keys of all nodes and sources.
    """
    return graph.named({id: name_of_key(parts) for id, parts in keys.items()})


def names_of(graph: Graph) -> Callable[[UnitId], str]:
    """What people call nodes and checks: the node's name, and `<name>:<check>`; of anything else
    its id."""
    names: dict[UnitId | SourceId, str] = {n.id: n.name for n in graph.nodes.values()}
    names.update((source.id, source.name) for source in graph.sources.values())
    names.update((c.id, f"{names[c.target]}:{c.name}") for c in graph.checks.values())
    found = MappingProxyType(names)
    return lambda unit: found.get(unit, unit)


def names_by_reference(graph: Graph, project: str) -> Callable[[str], str]:
    """What people call the nodes of a SQLMesh project, of which the reference is known; also of
    those that the graph does not have."""

    def called(reference: str) -> str:
        node = graph.node(node_id(project, reference))
        return node.name if node is not None else name_of_reference(reference)

    return called


def _parts(reference: str) -> tuple[str, ...]:
    return tuple(part.replace('""', '"') for part in _QUOTED.findall(reference))
