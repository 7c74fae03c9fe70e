"""The run plan: which nodes and checks one run will do, in what order, and why not the others.

`plan_run` is a pure function of the graph, the selection and what each project run says of
its nodes (`Readiness`). Its result is a small dependency graph of *units*. The walk interprets it;
nothing else decides what starts when.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

from dagster_transform.errors import TransformError
from dagster_transform.graph import (
    Check,
    CheckId,
    Graph,
    InputId,
    NodeId,
    Position,
    PromotionId,
    UnitId,
)
from dagster_transform.planning.values import (
    LeftOut,
    Limits,
    Outcome,
    Readiness,
    RunPlan,
    Unit,
    UnitKind,
)


class RunPlanError(TransformError):
    """The selection can't be carried out in one run."""


INCOMPLETE = frozenset(
    {Outcome.WAITING, Outcome.NOT_PROMOTED, Outcome.CLAIMED, Outcome.FAILED, Outcome.BLOCKED}
)
"""Outcomes of nodes that are not built, after which nothing is built from them."""


def plan_run(
    graph: Graph,
    nodes: Collection[NodeId],
    checks: Collection[CheckId],
    readiness: Mapping[NodeId, Readiness],
    limits: Limits | None = None,
) -> RunPlan:
    """Decide what a run does.

    Args:
        graph: The graph of all projects.
        nodes: Ids of the selected nodes.
        checks: Ids of the selected checks.
        readiness: What the project runs say of selected nodes; one without an entry is built.
        limits: How the walk may go about it.

    Returns:
        The plan. A check that belongs to the build of a node that is built has no unit of its own;
        the checks of a selected node that is not built are left out with their node; checks
        selected without their node run alone.

    Raises:
        KeyError: A selected id is not in the graph.
    """
    units, left_out = units_of(graph, nodes, checks, readiness)
    return RunPlan(
        units=MappingProxyType(_dependencies_first(units)),
        left_out=MappingProxyType(left_out),
        limits=limits or Limits(),
    )


def units_of(
    graph: Graph,
    nodes: Collection[NodeId],
    checks: Collection[CheckId],
    readiness: Mapping[NodeId, Readiness],
) -> tuple[dict[UnitId, Unit], dict[UnitId, LeftOut]]:
    """The units of a run, in any order, and what is left out; see `plan_run`.

    Promotions may close a circle: one that waits for what waits for it.
    """
    build, left_out = _sort_out(graph, nodes, readiness)
    while partial := _partial_promotions(build, readiness, left_out):
        readiness = {**readiness, **partial}
        build, left_out = _sort_out(graph, nodes, readiness)
    promotion = {n: r.promotion for n, r in readiness.items() if n in build and r.promotion}
    shows = {n: r.promotion for n, r in readiness.items() if n not in build and r.promotion}
    shows = promotion | {n: p for n, p in shows.items() if readiness[n].shown}
    judging: list[Check] = []
    chosen = set(nodes)
    for check_id in sorted(checks):
        check = graph.checks[check_id]
        if check.target in build:
            if not check.in_build:
                judging.append(check)
        elif graph.is_node(check.target) and check.target in chosen and check.needs_target:
            why = left_out[check.target]
            left_out[check_id] = LeftOut(why.outcome, f"its node is {why.outcome.value}")
        else:
            judging.append(check)

    reach = _Reach(graph, build, judging, shows)
    check_units = reach.check_units
    units: dict[UnitId, Unit] = {}
    for node_id in graph.order:
        if node_id in build:
            node = graph.nodes[node_id]
            step = readiness[node_id].step if node_id in promotion else None
            units[node_id] = Unit(
                id=node_id,
                kind=UnitKind.BUILD,
                project=node.project,
                after=reach.before(node_id) | ({step} if step else frozenset()),
                promotion=promotion.get(node_id),
            )
        for check in graph.checks_of(node_id):
            if check.id in check_units:
                units[check.id] = check_units[check.id]
    units.update((unit.id, unit) for unit in check_units.values())  # those on sources come last
    for node_id, ready in sorted(readiness.items()):
        name = ready.promotion
        if name is not None and name not in units:  # a plan may have nothing to backfill
            project = graph.nodes[node_id].project
            members = {n for n, p in promotion.items() if p == name}
            units[name] = Unit(name, UnitKind.PROMOTE, project, reach.before_promotion(members))
            for step in sorted({s for n in members if (s := readiness[n].step)}):
                first = {n for n in members if readiness[n].step is None}
                units[step] = Unit(step, UnitKind.PROMOTE, project, reach.before_promotion(first))
    return units, left_out


_PARTIAL = Readiness(Outcome.WAITING, "its plan can be carried out as a whole only")


def _partial_promotions(
    build: Collection[NodeId],
    readiness: Mapping[NodeId, Readiness],
    left_out: Mapping[UnitId, LeftOut],
) -> dict[NodeId, Readiness]:
    """Nodes of promotions of which a part can't be built now: readers must never see a part."""
    broken = {
        r.promotion
        for n, r in readiness.items()
        if r.promotion is not None and r.outcome is None and n not in build
    }
    partial = {n: _PARTIAL for n, r in readiness.items() if r.promotion in broken}
    for n in partial.keys() & left_out.keys():
        if readiness[n].outcome is None:  # the culprit keeps its reason
            partial[n] = Readiness(left_out[n].outcome, left_out[n].reason)
    return partial


def _sort_out(
    graph: Graph, nodes: Collection[NodeId], readiness: Mapping[NodeId, Readiness]
) -> tuple[set[NodeId], dict[UnitId, LeftOut]]:
    """Which nodes are built; and why not the others: their own reason, or that of an upstream."""
    chosen = set(nodes)
    if unknown := chosen - graph.nodes.keys():
        raise KeyError(min(unknown))
    build: set[NodeId] = set()
    left_out: dict[UnitId, LeftOut] = {}
    incomplete: dict[InputId, NodeId] = {}  # node -> the node that is not there for it
    for node_id in graph.order:
        above = ((d, incomplete[d]) for d in graph.nodes[node_id].deps if d in incomplete)
        roots = (r for d, r in above if d != r or not _goes_on_over(r, node_id, readiness))
        root = next(roots, None)
        if node_id not in chosen:
            if root is not None:
                incomplete[node_id] = root
            continue
        ready = readiness.get(node_id, Readiness())
        if ready.outcome is not None:
            shown = ready.promotion if ready.shown else None
            left_out[node_id] = LeftOut(ready.outcome, ready.reason, shown, ready.built_at)
        elif root is not None:
            left_out[node_id] = below_left_out(graph.nodes[root].name, left_out[root])
        else:
            build.add(node_id)
            continue
        if left_out[node_id].outcome in INCOMPLETE:
            incomplete[node_id] = root or node_id
    return build, left_out


def _goes_on_over(above: NodeId, node_id: NodeId, readiness: Mapping[NodeId, Readiness]) -> bool:
    """Whether a node is built although `above`, which it reads, waits: the plan that builds it has
    said so of both, and has seen to it that there is enough data above it."""
    why, ready = readiness.get(above), readiness.get(node_id)
    return (
        why is not None
        and ready is not None
        and why.outcome is Outcome.WAITING
        and why.promotion is not None
        and why.promotion == ready.promotion
    )


def below_left_out(name: str, why: LeftOut) -> LeftOut:
    """What becomes of a node whose upstream is incomplete.

    Args:
        name: What people call the upstream.
        why: Why it was left out.
    """
    ended = why.outcome in (Outcome.FAILED, Outcome.BLOCKED)
    reason = f"its upstream {name} is {why.outcome.value}: {why.reason}"
    return LeftOut(Outcome.BLOCKED if ended else Outcome.WAITING, reason)


class _Reach:
    """What must come before what, looking through nodes that this run does not build.

    Args:
        graph: The graph.
        build: The nodes that are built.
        checks: The checks that run apart from a build.
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
                if check.blocking:
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
        return Unit(
            check.id, UnitKind.CHECK, check.project, frozenset(after), blocking=check.blocking
        )

    def _hold_back(self, check: Check, position: Position) -> None:
        """Note which nodes are the first below a check."""
        if not check.blocking:
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
    after = frozenset[UnitId]({*(n for n in reads if n in build), *shown})
    return Unit(check.id, UnitKind.CHECK, check.project, after, blocking=check.blocking)


def _dependencies_first(units: Mapping[UnitId, Unit]) -> dict[UnitId, Unit]:
    """`units` in an order in which every unit follows those that it waits for."""
    sorter: TopologicalSorter[UnitId] = TopologicalSorter(
        {unit.id: sorted(unit.after) for unit in units.values()}
    )
    try:
        return {unit_id: units[unit_id] for unit_id in sorter.static_order()}
    except CycleError as error:
        # Only promotions can close a cycle: the graph itself has none.
        circle = " -> ".join(error.args[1])
        raise RunPlanError(
            f"This run can't promote at once what it backfills: {circle}.",
            remedy="Select and build the first of these nodes in a run of its own.",
        ) from None
