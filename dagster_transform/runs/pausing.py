"""Pauses of what people name: nodes, SQLMesh environments with all their nodes, and other
resources."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from dagster_transform.claims import WHOLE, Holder, OwnerKind, Store
from dagster_transform.config import TransformConfig
from dagster_transform.graph import Graph, GraphFileError, Node, NodeId, read_graph_file
from dagster_transform.planning import ResourceKey
from dagster_transform.planning.resource_keys import table_of
from dagster_transform.runs.claiming.policy import slots_by_unit
from dagster_transform.runs.resource_names import (
    key_of_environment,
    key_of_node,
    node_called,
    resource_of_key,
    table_to_claim,
)


@dataclass(frozen=True, slots=True)
class Named:
    """What was named to be paused, or resumed.

    Attributes:
        resources: Capacities, by resource key.
        environments: By the key of an environment, the tables of its project's nodes. They are
            paused with it: a run of a paused environment waits as a whole and fails in the end,
            where one of paused nodes leaves them to be followed up.
    """

    resources: Mapping[ResourceKey, int] = field(default_factory=dict)
    environments: Mapping[ResourceKey, Collection[ResourceKey]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.resources or self.environments)


def named_of(
    config: TransformConfig,
    nodes: Collection[Node],
    *,
    called: Iterable[str] = (),
    selected: Iterable[Node] = (),
    environments: Iterable[str] = (),
) -> Named:
    """What is meant.

    Args:
        config: Where the projects, the concurrency tags and the connections are.
        nodes: All nodes; twice, where people call one in two ways.
        called: Names of nodes, or resource keys.
        selected: Further nodes.
        environments: SQLMesh projects, whose environments are meant.

    Raises:
        NotClaimableError: There is no such thing, or its key is not known.
        UnknownProjectError: There is no such project.
        SqlmeshError: A project's configuration can't be used.
    """
    resources: dict[ResourceKey, int] = {}
    for name in called:
        key = resource_of_key(config, name)
        key = key or (table_to_claim(node_called(nodes, name), name), WHOLE)
        resources[key[0]] = key[1]
    for node in selected:
        resources[table_to_claim(node, node.name)] = WHOLE
    return Named(
        resources,
        {key_of_environment(config, p): tables_of(p, nodes) for p in environments},
    )


def named_in_files(config: TransformConfig, what: str, as_shown: Collection[Node] = ()) -> Named:
    """What is meant, where only the graph files are at hand.

    Args:
        config: Where they are.
        what: A resource key, a SQLMesh project, whose environment is meant, or a node.
        as_shown: The nodes, called as in Dagster, where that is not as by default.

    Raises:
        NotClaimableError: There is no such thing, or its key is not known.
        GraphFileError: A graph file is missing: run `dagster-transform prepare`.
        SqlmeshError: The project's configuration can't be used.
    """
    if (found := resource_of_key(config, what)) is not None:
        return Named(dict([found]))
    if what not in config.projects:
        return Named({key_of_node(config, what, as_shown): WHOLE})
    nodes: Iterable[Node] = ()
    with suppress(GraphFileError):  # the environment can be paused all the same
        nodes = read_graph_file(config.graph_path(what), what).graph.nodes.values()
    return named_of(config, list(nodes), environments=[what])


def tables_of(project: str, nodes: Iterable[Node]) -> set[ResourceKey]:
    """The tables of a project's nodes, as far as they are known."""
    mine = {table_of(node) for node in nodes if node.project == project}
    return {table for table in mine if table is not None}


def nodes_held_up(
    graph: Graph, config: TransformConfig, keys: Collection[ResourceKey]
) -> dict[NodeId, ResourceKey]:
    """The nodes that are not built while some resources are paused, with one of these each: those
    whose tables they are, and those that take a slot of them."""
    slots = slots_by_unit(graph, config)
    found: dict[NodeId, ResourceKey] = {}
    for node in graph.nodes.values():
        table = table_of(node)
        mine = [table] if table in keys and table is not None else []
        mine += [slot.key for slot in slots.get(node.id, ()) if slot.key in keys]
        if mine:
            found[node.id] = mine[0]
    return found


def pause(
    store: Store, named: Named, *, reason: str, until: datetime | None, by: str
) -> list[Holder]:
    """Pause what was named. A pause of the same resource is replaced; not where it is that of a
    node, and its environment was named.

    Args:
        store: The claims store.
        named: What was named.
        reason: For whoever has to wait.
        until: When it ends by itself, aware.
        by: Who pauses; "" is not known.

    Raises:
        StoreError: The claims store can't be used.
    """
    before = _pauses(store)
    wanted = dict.fromkeys(named.environments, WHOLE)
    wanted |= {
        table: WHOLE
        for tables in named.environments.values()
        for table in tables
        if table not in before
    }
    wanted |= named.resources
    return [
        store.pause(key, capacity=capacity, reason=reason, until=until, by=by)
        for key, capacity in wanted.items()
    ]


def resume(store: Store, named: Named) -> list[Holder]:
    """End pauses; of an environment's nodes those that were made with it.

    Returns:
        The pauses that were ended.

    Raises:
        StoreError: The claims store can't be used.
    """
    before = _pauses(store)
    ended = {key for key in named.resources if key in before}
    for key, tables in named.environments.items():
        if (own := before.get(key)) is not None:
            ended |= {key, *(t for t in tables if t in before and _alike(own, before[t]))}
    return [before[key] for key in sorted(ended) if store.resume(key)]


def paused_now(store: Store) -> list[Holder]:
    """All pauses, by resource key.

    Raises:
        StoreError: The claims store can't be used.
    """
    return list(_pauses(store).values())


def _pauses(store: Store) -> dict[ResourceKey, Holder]:
    found = (holder for holder in store.holders() if holder.owner_kind is OwnerKind.PERSON)
    return {holder.resource_key: holder for holder in found}


def _alike(one: Holder, other: Holder) -> bool:
    """Whether two pauses were made together."""
    return (one.run_id, one.reason, one.expires_at) == (
        other.run_id,
        other.reason,
        other.expires_at,
    )
