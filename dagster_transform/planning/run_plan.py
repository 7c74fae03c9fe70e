"""The run plan: which nodes and checks one run will do, in what order, and why not the others.

`plan_run` is a pure function of the graph, the selection and what each project run says of
its nodes (`Readiness`). Its result is a small dependency graph of *units*. The walk interprets it;
nothing else decides what starts when.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

from dagster_transform.errors import TransformError
from dagster_transform.graph import Check, CheckId, Graph, InputId, NodeId, PromotionId, UnitId
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


_INCOMPLETE = frozenset(
    {Outcome.WAITING, Outcome.NOT_PROMOTED, Outcome.CLAIMED, Outcome.FAILED, Outcome.BLOCKED}
)


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
    build, left_out = _sort_out(graph, nodes, readiness)
    while partial := _partial_promotions(build, readiness, left_out):
        readiness = {**readiness, **partial}
        build, left_out = _sort_out(graph, nodes, readiness)
    promotion = {n: r.promotion for n, r in readiness.items() if n in build and r.promotion}
    check_units: dict[CheckId, Unit] = {}
    chosen = set(nodes)
    for check_id in sorted(checks):
        check = graph.checks[check_id]
        if check.target in build:
            if not check.in_build:
                check_units[check_id] = _check_unit(check, graph, build, promotion)
        elif graph.is_node(check.target) and check.target in chosen:
            why = left_out[check.target]
            ended = why.outcome is Outcome.FAILED  # the node has; the check could not be run
            outcome = Outcome.BLOCKED if ended else why.outcome
            left_out[check_id] = LeftOut(outcome, f"its node is {why.outcome.value}")
        else:
            check_units[check_id] = _check_unit(check, graph, build, promotion)

    reach = _Reach(graph, build, check_units, promotion)
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
    return RunPlan(
        units=MappingProxyType(_dependencies_first(units)),
        left_out=MappingProxyType(left_out),
        limits=limits or Limits(),
    )


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
        root = next((incomplete[d] for d in graph.nodes[node_id].deps if d in incomplete), None)
        if node_id not in chosen:
            if root is not None:
                incomplete[node_id] = root
            continue
        ready = readiness.get(node_id, Readiness())
        if ready.outcome is not None:
            shown = ready.promotion if ready.shown else None
            left_out[node_id] = LeftOut(ready.outcome, ready.reason, shown, ready.built_at)
        elif root is not None:
            why = left_out[root]
            reason = f"its upstream {graph.nodes[root].name} is {why.outcome.value}: {why.reason}"
            ended = why.outcome in (Outcome.FAILED, Outcome.BLOCKED)
            left_out[node_id] = LeftOut(Outcome.BLOCKED if ended else Outcome.WAITING, reason)
        else:
            build.add(node_id)
            continue
        if left_out[node_id].outcome in _INCOMPLETE:
            incomplete[node_id] = root or node_id
    return build, left_out


class _Reach:
    """What must come before a node, looking through nodes that this run does not build."""

    def __init__(
        self,
        graph: Graph,
        build: Collection[NodeId],
        checks: Mapping[CheckId, Unit],
        promotion: Mapping[NodeId, PromotionId],
    ) -> None:
        self._graph = graph
        self._build = build
        self._checks = checks
        self._promotion = promotion
        self._blocking: dict[InputId, set[CheckId]] = {}  # target -> its blocking checks
        for check_id, unit in checks.items():
            if unit.blocking:
                self._blocking.setdefault(graph.checks[check_id].target, set()).add(check_id)
        # A node may be below all that such a check reads, while those between it and the check's
        # target are not.
        self._wide = [c for c, unit in checks.items() if unit.blocking and graph.checks[c].also]
        self._below: dict[InputId, frozenset[NodeId]] = {}
        self._through: dict[InputId, frozenset[UnitId]] = {}

    def before(self, node_id: NodeId) -> frozenset[UnitId]:
        """Ids of the units that come before the build of `node_id`."""
        project = self._graph.nodes[node_id].project
        found: set[UnitId] = set()
        wide = (c for c in self._wide if node_id in self._descendants(self._graph.checks[c].target))
        for before in {*self._nearest(node_id), *wide}:
            check = self._graph.check(before)
            if check is not None and not self._holds(check, node_id):
                continue
            found.add(before)
            # Another project reads the view, and there is no view before the promotion.
            above = self._graph.node(before)
            if above is not None and above.project != project and above.id in self._promotion:
                found.add(self._promotion[above.id])
        return frozenset(found)

    def before_promotion(self, members: set[NodeId]) -> frozenset[UnitId]:
        """Its nodes, and their blocking checks that can be carried out before it."""
        above = {*members, *self._graph.ancestors(members)}
        checks = {c for n in members for c in self._blocking.get(n, ())}
        return frozenset({*members, *(c for c in checks if self._checks[c].after <= above)})

    def _holds(self, check: Check, node_id: NodeId) -> bool:
        """Whether a node below a blocking check's target waits for the check.

        As in dbt: only if it is below all that the check reads, or there would be a circle.
        """
        for read in self._checks[check.id].after:
            if read == check.target:
                continue
            if not self._graph.is_node(read):
                if self._promotion.get(node_id) == read:
                    return False
                continue
            if node_id not in self._descendants(read):
                return False
        return True

    def _descendants(self, read: InputId) -> frozenset[NodeId]:
        if read not in self._below:
            self._below[read] = self._graph.descendants((read,))
        return self._below[read]

    def _nearest(self, node_id: NodeId) -> frozenset[UnitId]:
        """Not recursive: a chain of 10,000 nodes must not end at Python's recursion limit."""
        stack = [node_id]
        while stack:
            current = stack[-1]
            if current in self._through:
                stack.pop()
                continue
            unbuilt = [d for d in self._parents(current) if d not in self._build]
            if missing := [d for d in unbuilt if d not in self._through]:
                stack.extend(missing)
                continue
            found: set[UnitId] = set()
            for dep in self._graph.nodes[current].deps:
                found.update(self._blocking.get(dep, ()))
                if self._graph.is_node(dep) and dep in self._build:
                    found.add(dep)
                else:
                    found.update(self._through.get(dep, ()))
            self._through[current] = frozenset(found)
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
    reads = {n for n in (check.target, *check.also) if graph.is_node(n) and n in build}
    # Data that only a plan has built is checked where it lies, before readers see it; another
    # project's check is such a reader.
    shown = {
        promotion[n] for n in reads if n in promotion and graph.nodes[n].project != check.project
    }
    after = frozenset[UnitId]({*reads, *shown})
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
