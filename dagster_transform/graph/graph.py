"""The graph: nodes, sources and checks with their dependencies, as one immutable value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import Any, TypeGuard, TypeVar, cast

from dagster_transform.graph.counts import counted
from dagster_transform.graph.errors import (
    CycleError,
    DanglingDependencyError,
    DuplicateIdError,
    DuplicateRelationError,
    UnknownIdError,
)
from dagster_transform.graph.ids import CheckId, InputId, NodeId, SourceId, UnitId, check_id
from dagster_transform.graph.nodes import Check, Column, Node, Position, Relation, Source, When

_T = TypeVar("_T", Node, Source, Check)
_Id = TypeVar("_Id", bound=InputId)
_Resolved = Mapping[InputId, InputId]
"""What stands in the place of sources."""


@dataclass(frozen=True, slots=True, repr=False)
class Graph:
    """Nodes, sources and checks; build it with `Graph.of`, which validates, or `Graph.combine`.

    Two graphs are equal if their nodes, sources and checks are.

    Attributes:
        nodes, sources, checks: Read-only, by id, in the order of the ids.
        order: Ids of all nodes, each after the nodes that it depends on; among nodes that could
            come next the smallest id does, so it depends on nothing but the graph.
        by_relation: Who stands for a relation: the id of the node that builds it, else of the
            first source (by id) that reads it. Connection identity is part of a relation.
    """

    nodes: Mapping[NodeId, Node]
    sources: Mapping[SourceId, Source]
    checks: Mapping[CheckId, Check]
    order: tuple[NodeId, ...] = field(compare=False)
    by_relation: Mapping[Relation, InputId] = field(compare=False)
    _upstream: Mapping[InputId, tuple[InputId, ...]] = field(compare=False)
    _downstream: Mapping[InputId, tuple[NodeId, ...]] = field(compare=False)
    _checks_of: Mapping[InputId, tuple[Check, ...]] = field(compare=False)

    @classmethod
    def of(
        cls,
        nodes: Iterable[Node] = (),
        sources: Iterable[Source] = (),
        checks: Iterable[Check] = (),
    ) -> Graph:
        """The graph of these nodes, sources and checks, in whatever order they come.

        Raises:
            DuplicateIdError: Two of them have one id.
            DanglingDependencyError: A node's dependency, or what a check names, is neither a node
                nor a source.
            DuplicateRelationError: Two nodes build one relation.
            CycleError: Nodes depend on each other in a circle; a node that reads itself does.
        """
        node_by_id, source_by_id, check_by_id = _by_id(nodes, sources, checks)
        by_relation = _index_relations(node_by_id, source_by_id)
        upstream: dict[InputId, tuple[InputId, ...]] = {
            id: tuple(dict.fromkeys(node.deps)) for id, node in node_by_id.items()
        }
        downstream: dict[InputId, list[NodeId]] = {id: [] for id in node_by_id}
        downstream.update((id, []) for id in source_by_id)
        for id in node_by_id:
            for dep in upstream[id]:
                if dep not in downstream:
                    raise DanglingDependencyError(id, dep)
                downstream[dep].append(id)
        upstream.update(dict.fromkeys(source_by_id, ()))
        checks_of: dict[InputId, list[Check]] = {}
        for check in check_by_id.values():
            for read in _ids_of(check):
                if read not in downstream:
                    raise DanglingDependencyError(check.id, read)
            checks_of.setdefault(check.target, []).append(check)
        return cls(
            nodes=MappingProxyType(node_by_id),
            sources=MappingProxyType(source_by_id),
            checks=MappingProxyType(check_by_id),
            order=_topological_order(node_by_id, upstream, downstream),
            by_relation=MappingProxyType(by_relation),
            _upstream=upstream,
            _downstream={id: tuple(readers) for id, readers in downstream.items()},
            _checks_of={id: tuple(found) for id, found in checks_of.items()},
        )

    @classmethod
    def combine(cls, graphs: Iterable[Graph]) -> Graph:
        """One graph of several projects' graphs, linked where their relations meet.

        A source whose relation a node of another project builds is resolved: it disappears, and
        whoever read it depends on the node. So is a source whose relation another project has as a
        source too: the one with a key of its own stays, else the first. A check that was shown on
        it is shown on what is in its place and takes its id from there; if that has a check of
        that name already, the name (and with it the id) gets `_<project of the check>` at its end.

        Raises what `Graph.of` raises: projects that read each other can make a cycle.
        """
        parts = tuple(graphs)
        nodes, sources, checks = _by_id(
            (node for part in parts for node in part.nodes.values()),
            (source for part in parts for source in part.sources.values()),
            (check for part in parts for check in part.checks.values()),
        )
        builders = {node.relation: node for node in nodes.values()}
        _index_relations(nodes, {})
        stays: dict[Relation, Source] = {}
        for source in sorted(sources.values(), key=_gives_way):
            stays.setdefault(source.relation, source)
        resolved: dict[InputId, InputId] = {}
        for source in sources.values():
            builder, first = builders.get(source.relation), stays[source.relation]
            if builder is not None and builder.project != source.project:
                resolved[source.id] = builder.id
            elif first is not source and (_gives_way(source) or source.key == first.key):
                resolved[source.id] = first.id
        return cls.of(
            (_relink_node(node, resolved) for node in nodes.values()),
            (source for source in sources.values() if source.id not in resolved),
            _relink_checks(checks.values(), resolved),
        )

    def named(self, names: Mapping[InputId, str]) -> Graph:
        """The same graph with other names of its nodes and sources; `names` has all of them."""
        nodes = {id: replace(node, name=names[id]) for id, node in self.nodes.items()}
        sources = {id: replace(source, name=names[id]) for id, source in self.sources.items()}
        return replace(self, nodes=MappingProxyType(nodes), sources=MappingProxyType(sources))

    def timed(self, when: Callable[[Check], When]) -> Graph:
        """The same graph, its checks at other times."""
        checks = {
            id: check if (at := when(check)) is check.when else replace(check, when=at)
            for id, check in self.checks.items()
        }
        if checks == self.checks:
            return self
        of = {id: tuple(checks[c.id] for c in found) for id, found in self._checks_of.items()}
        return replace(self, checks=MappingProxyType(checks), _checks_of=of)

    def node(self, id: UnitId | SourceId) -> Node | None:
        """The node of an id; None where it is that of something else."""
        return self.nodes.get(cast("NodeId", id))

    def source(self, id: UnitId | SourceId) -> Source | None:
        """The source of an id; None where it is that of something else."""
        return self.sources.get(cast("SourceId", id))

    def check(self, id: UnitId | SourceId) -> Check | None:
        """The check of an id; None where it is that of something else."""
        return self.checks.get(cast("CheckId", id))

    def is_node(self, id: UnitId | SourceId) -> TypeGuard[NodeId]:
        """Whether an id is that of a node."""
        return id in self.nodes

    def upstream(self, id: InputId) -> tuple[InputId, ...]:
        """Ids of the nodes and sources that a node reads, in its framework's order; a source
        reads nothing. Raises UnknownIdError."""
        return _of_id(self._upstream, id)

    def depths(self) -> dict[InputId, int]:
        """By id, how many nodes there are on the longest way down to a node; a source has 0."""
        found: dict[InputId, int] = dict.fromkeys(self.sources, 0)
        for node_id in self.order:
            found[node_id] = 1 + max((found[above] for above in self.upstream(node_id)), default=0)
        return found

    def downstream(self, id: InputId) -> tuple[NodeId, ...]:
        """Ids of the nodes that read a node or source, sorted. Raises UnknownIdError."""
        return _of_id(self._downstream, id)

    def ancestors(self, ids: Iterable[InputId]) -> frozenset[InputId]:
        """Ids of all nodes and sources above any of `ids`. One of `ids` is among them only if it
        is above another one. Raises UnknownIdError."""
        return _closure(ids, self.upstream)

    def descendants(self, ids: Iterable[InputId]) -> frozenset[NodeId]:
        """Ids of all nodes below any of `ids` (nodes or sources). One of `ids` is among them only
        if it is below another one. Raises UnknownIdError."""
        return _closure(ids, self.downstream)

    def nearest_upstream(
        self, among: Callable[[InputId], bool]
    ) -> dict[NodeId, tuple[InputId, ...]]:
        """By node, of the nodes and sources that `among` takes those that it reads, directly or
        through nodes that `among` does not take; each once, in the order of what is read."""
        found: dict[NodeId, tuple[InputId, ...]] = {}
        for node_id in self.order:
            mine: dict[InputId, None] = {}
            for above in self.upstream(node_id):
                if among(above):
                    mine[above] = None
                elif self.is_node(above):
                    mine.update(dict.fromkeys(found[above]))
            found[node_id] = tuple(mine)
        return found

    def checks_of(self, id: InputId) -> tuple[Check, ...]:
        """The checks that are shown on a node or source, by id. Raises UnknownIdError."""
        if id not in self._upstream:
            raise UnknownIdError(id)
        return self._checks_of.get(id, ())

    def __repr__(self) -> str:
        counts = (
            counted(len(self.nodes), "node"),
            counted(len(self.sources), "source"),
            counted(len(self.checks), "check"),
        )
        return f"Graph({', '.join(counts)})"

    def __hash__(self) -> int:
        return hash((self.order, len(self.sources), len(self.checks)))

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings can't be pickled or copied.
        parts = (self.nodes, self.sources, self.checks)
        return Graph.of, tuple(tuple(part.values()) for part in parts)


def _by_id(
    nodes: Iterable[Node], sources: Iterable[Source], checks: Iterable[Check]
) -> tuple[dict[NodeId, Node], dict[SourceId, Source], dict[CheckId, Check]]:
    """All three by id, each in the order of the ids. Raises DuplicateIdError."""
    seen: set[UnitId | SourceId] = set()

    def sort(things: Iterable[_T]) -> list[_T]:
        found: list[_T] = []
        for thing in things:
            if thing.id in seen:
                raise DuplicateIdError(thing.id)
            seen.add(thing.id)
            found.append(thing)
        return sorted(found, key=_id_of)

    return (
        {node.id: node for node in sort(nodes)},
        {source.id: source for source in sort(sources)},
        {check.id: check for check in sort(checks)},
    )


def _ids_of(check: Check) -> tuple[InputId, ...]:
    """Ids of all that a check names."""
    position = check.position or Position()
    return (check.target, *check.also, *position.after, *position.behind, *position.before)


def _gives_way(source: Source) -> bool:
    """Whether another source of the same relation gives the asset its key."""
    return not source.key or source.key_is_default


def _id_of(thing: Node | Source | Check) -> str:
    return thing.id


def _index_relations(
    nodes: Mapping[NodeId, Node], sources: Mapping[SourceId, Source]
) -> dict[Relation, InputId]:
    by_relation: dict[Relation, InputId] = {}
    for node in nodes.values():
        other = by_relation.setdefault(node.relation, node.id)
        if other != node.id:
            raise DuplicateRelationError(node.relation, other, node.id)
    for source in sources.values():
        by_relation.setdefault(source.relation, source.id)
    return by_relation


def _topological_order(
    nodes: Mapping[NodeId, Node],
    upstream: Mapping[InputId, tuple[InputId, ...]],
    downstream: Mapping[InputId, list[NodeId]],
) -> tuple[NodeId, ...]:
    """Kahn's algorithm; the heap makes the ties sorted. Raises CycleError."""
    missing = {id: sum(dep in nodes for dep in upstream[id]) for id in nodes}
    ready = [id for id, count in missing.items() if not count]
    heapify(ready)
    order: list[NodeId] = []
    while ready:
        id = heappop(ready)
        order.append(id)
        for reader in downstream[id]:
            missing[reader] -= 1
            if not missing[reader]:
                heappush(ready, reader)
    if len(order) < len(nodes):
        cycle = _find_cycle({id for id, count in missing.items() if count}, upstream)
        names = [nodes[id].name for id in cycle]
        # Two projects may use one name; ids then say which node is meant.
        ambiguous = len(set(names)) < len(set(cycle))
        raise CycleError(cycle, cycle if ambiguous else names)
    return tuple(order)


def _find_cycle(
    stuck: set[NodeId], upstream: Mapping[InputId, tuple[InputId, ...]]
) -> list[NodeId]:
    """A cycle among `stuck`, in the direction of the data, from its smallest id back to it.

    Every id that is stuck has one above it that is stuck too, so that walking up must come back.
    """
    path: dict[NodeId, None] = {}
    id = min(stuck)
    while id not in path:
        path[id] = None
        id = min(stuck.intersection(upstream[id]))
    walked = list(path)
    cycle = walked[walked.index(id) :][::-1]
    first = cycle.index(min(cycle))
    return [*cycle[first:], *cycle[:first], cycle[first]]


def _closure(ids: Iterable[InputId], step: Callable[[InputId], tuple[_Id, ...]]) -> frozenset[_Id]:
    found: set[_Id] = set()
    pending: list[InputId] = list(ids)
    while pending:
        new = [id for id in step(pending.pop()) if id not in found]
        found.update(new)
        pending.extend(new)
    return frozenset(found)


def _of_id(found: Mapping[InputId, tuple[_Id, ...]], id: InputId) -> tuple[_Id, ...]:
    try:
        return found[id]
    except KeyError:
        raise UnknownIdError(id) from None


def _relink(ids: Iterable[InputId], resolved: _Resolved) -> tuple[InputId, ...]:
    return tuple(dict.fromkeys(resolved.get(id, id) for id in ids))


def _relink_node(node: Node, resolved: _Resolved) -> Node:
    if resolved.keys().isdisjoint(node.deps):
        return node
    deps = _relink(node.deps, resolved)
    if len(deps) == len(node.deps):
        return replace(node, deps=deps)
    # Two dependencies have become one: the places of those behind it are others.
    places = [deps.index(resolved.get(dep, dep)) for dep in node.deps]
    return replace(
        node, deps=deps, columns=tuple(_relink_column(column, places) for column in node.columns)
    )


def _relink_column(column: Column, places: Sequence[int]) -> Column:
    sources = dict.fromkeys((places[place], name) for place, name in column.sources)
    return replace(column, sources=tuple(sources))


def _relink_checks(checks: Iterable[Check], resolved: _Resolved) -> list[Check]:
    kept: list[Check] = []
    moved: list[Check] = []
    taken: set[tuple[InputId, str]] = set()
    for check in checks:
        if check.target in resolved:
            moved.append(check)
        else:
            kept.append(check)
            taken.add((check.target, check.name))
    for check in moved:
        target, name = resolved[check.target], check.name
        while (target, name) in taken:
            name = f"{name}_{check.project}"
        taken.add((target, name))
        kept.append(replace(check, id=check_id(target, name), target=target, name=name))
    return [
        check if resolved.keys().isdisjoint(_ids_of(check)) else _relink_check(check, resolved)
        for check in kept
    ]


def _relink_check(check: Check, resolved: _Resolved) -> Check:
    also = tuple(id for id in _relink(check.also, resolved) if id != check.target)
    position = check.position
    if position is not None:  # what waits for a check is a node, and stays one
        after, behind = _relink(position.after, resolved), _relink(position.behind, resolved)
        position = replace(position, after=after, behind=behind)
    return replace(check, also=also, position=position)
