"""What must come before what in a run, looking through nodes that it does not build."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from dagster_transform.graph import (
    Check,
    CheckId,
    Graph,
    InputId,
    NodeId,
    Position,
    PromotionId,
    UnitId,
    When,
)
from dagster_transform.planning.values import Unit, UnitKind


class Reach:
    """What must come before what, looking through nodes that this run does not build.

    Args:
        graph: The graph.
        build: The nodes that are built.
        checks: The checks that no build runs.
        promotion: The promotion that shows a node to readers, also of nodes that were built before.

    Attributes:
        check_units: Those of the checks.
    """

    def __init__(
        self,
        graph: Graph,
        build: Collection[NodeId],
        checks: Sequence[Check],
        promotion: Mapping[NodeId, PromotionId],
    ) -> None:
        self.check_units: dict[CheckId, Unit] = {}
        self._graph = graph
        self._build = build
        self._promotion = promotion
        self._blocking: dict[InputId, set[CheckId]] = {}  # target -> its blocking checks
        # A node may be below all that such a check reads, while those between it and the check's
        # target are not.
        self._wide: list[CheckId] = []
        self._first: dict[NodeId, set[CheckId]] = {}  # node -> checks that it is the first below
        self._below: dict[InputId, frozenset[NodeId]] = {}
        self._through: dict[InputId, frozenset[UnitId]] = {}
        for check in checks:
            if check.position is None:
                self.check_units[check.id] = _check_unit(check, graph, build, promotion)
                if check.holds_back:
                    self._blocking.setdefault(check.target, set()).add(check.id)
                    self._wide += [check.id] * bool(check.also)
        positioned = [(check, check.position) for check in checks if check.position is not None]
        for own in (False, True):  # checks of a node's own code come last before the node
            group = [
                (c, position) for c, position in positioned if (c.target in position.before) is own
            ]
            self.check_units.update(
                {c.id: self._position_unit(c, position) for c, position in group}
            )
            for check, position in group:
                self._hold_back(check, position)

    def before(self, node_id: NodeId) -> frozenset[UnitId]:
        """Ids of the units that come before the build of `node_id`."""
        node = self._graph.nodes[node_id]
        return frozenset(self._ahead(node.deps, node.project, node_id))

    def _position_unit(self, check: Check, position: Position) -> Unit:
        target = check.target
        own = target if self._graph.is_node(target) and target in position.before else None
        after = self._ahead(position.behind, check.project, own)
        after |= {n for n in position.after if self._graph.is_node(n) and n in self._build}
        return _unit(check, after)

    def _hold_back(self, check: Check, position: Position) -> None:
        """Note which nodes are the first below a check."""
        if not check.holds_back:
            return
        below = set(position.before)
        for first in position.before:
            if first not in self._build:
                below |= self._descendants(first)
        for node_id in below.intersection(self._build):
            self._first.setdefault(node_id, set()).add(check.id)

    def _ahead(
        self, reads: Iterable[InputId], project: str, node_id: NodeId | None = None
    ) -> set[UnitId]:
        """Ids of the units that come before what reads some nodes and sources.

        Args:
            reads: Their ids.
            project: Whose reader it is.
            node_id: The reader, if it is a node.
        """
        reads = tuple(reads)
        found: set[UnitId] = set()
        targets = ((c, self._graph.checks[c].target) for c in self._wide)
        wide = (c for c, target in targets if self._is_below(reads, node_id, target))
        first = self._first.get(node_id, ()) if node_id is not None else ()
        for before in {*self._nearest(reads), *wide, *first}:
            check = self._graph.check(before)
            if check is not None and not self._holds(check, reads, node_id):
                continue
            above = self._graph.node(before)
            if above is None or above.id in self._build:
                found.add(before)
            # Another project reads the view, and there is no view before the promotion.
            if above is not None and above.project != project and above.id in self._promotion:
                found.add(self._promotion[above.id])
        return found

    def before_promotion(self, members: set[NodeId]) -> frozenset[UnitId]:
        """Its nodes, and their blocking checks that can be carried out before it."""
        above = {*members, *self._graph.ancestors(members)}
        checks = {c for n in members for c in self._blocking.get(n, ())}
        return frozenset({*members, *(c for c in checks if self.check_units[c].after <= above)})

    def _holds(self, check: Check, reads: Collection[InputId], node_id: NodeId | None) -> bool:
        """Whether what reads something below a blocking check's target waits for the check.

        As in dbt: only if it is below all that the check reads, or there would be a circle.
        """
        for read in self.check_units[check.id].after:
            if read == check.target:
                continue
            if not self._graph.is_node(read):
                if node_id is not None and self._promotion.get(node_id) == read:
                    return False
                continue
            if not self._is_below(reads, node_id, read):
                return False
        return True

    def _is_below(self, reads: Collection[InputId], node_id: NodeId | None, above: InputId) -> bool:
        """Whether a node, or what else reads some nodes and sources, is below another one."""
        below = self._descendants(above)
        if node_id is not None:
            return node_id in below
        return above in reads or any(read in below for read in reads)

    def _descendants(self, read: InputId) -> frozenset[NodeId]:
        if read not in self._below:
            self._below[read] = self._graph.descendants((read,))
        return self._below[read]

    def _nearest(self, reads: Iterable[InputId]) -> frozenset[UnitId]:
        """The nearest nodes that are built, above what reads these, and the checks up to there."""
        found: set[UnitId] = set()
        for read in reads:
            found.update(self._blocking.get(read, ()))
            if not self._graph.is_node(read):
                continue
            if read in self._build or read in self._promotion:
                found.add(read)
            if read not in self._build:
                found |= self._look_through(read)
        return frozenset(found)

    def _look_through(self, node_id: NodeId) -> frozenset[UnitId]:
        """Not recursive: a chain of 10,000 nodes must not end at Python's recursion limit."""
        stack: list[NodeId] = [node_id]
        while stack:
            current = stack[-1]
            if current in self._through:
                stack.pop()
                continue
            unbuilt = [d for d in self._parents(current) if d not in self._build]
            if missing := [d for d in unbuilt if d not in self._through]:
                stack.extend(missing)
                continue
            self._through[current] = self._nearest(self._graph.nodes[current].deps)
            stack.pop()
        return self._through[node_id]

    def _parents(self, node_id: NodeId) -> Iterable[NodeId]:
        return (d for d in self._graph.nodes[node_id].deps if self._graph.is_node(d))


def _check_unit(
    check: Check,
    graph: Graph,
    build: Collection[NodeId],
    promotion: Mapping[NodeId, PromotionId],
) -> Unit:
    """A check waits for every node that it reads and that this run builds."""
    reads = {n for n in (check.target, *check.also) if graph.is_node(n)}
    # Data that only a plan has built is checked where it lies, before readers see it; another
    # project's check is such a reader.
    shown = {
        promotion[n] for n in reads if n in promotion and graph.nodes[n].project != check.project
    }
    return _unit(check, {*(n for n in reads if n in build), *shown})


def _unit(check: Check, after: set[UnitId]) -> Unit:
    return Unit(
        check.id,
        UnitKind.CHECK,
        check.project,
        frozenset(after),
        blocking=check.blocking,
        last=check.when is not When.AFTER_EACH,
    )
