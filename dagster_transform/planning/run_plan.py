"""The run plan: which nodes and checks one run will do, in what order, and why not the others.

`plan_run` is a pure function of the graph, the selection and what each project run says of
its nodes (`Readiness`). Its result is a small dependency graph of *units*. The walk interprets it;
nothing else decides what starts when.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

from dagster_transform.errors import TransformError
from dagster_transform.graph import (
    Check,
    CheckId,
    Graph,
    InputId,
    NodeId,
    UnitId,
    When,
)
from dagster_transform.planning.reach import Reach
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


_NOT_BESIDE_BUILDS = {
    When.APART: "it runs apart from builds (checks: apart)",
    When.NONE: "no checks are asked for (checks: none)",
}

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
        the checks of a selected node that is not built are left out with their node, but where that
        was built unjudged; checks selected without their node run alone.

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
        if check.when in _NOT_BESIDE_BUILDS:
            left_out[check_id] = LeftOut(Outcome.WAITING, _NOT_BESIDE_BUILDS[check.when])
        elif check.target in build:
            if not check.runs_in_build:
                judging.append(check)
        elif (
            graph.is_node(check.target)
            and check.target in chosen
            and check.needs_target
            and not readiness.get(check.target, Readiness()).unjudged
        ):
            why = left_out[check.target]
            ended = why.outcome is Outcome.FAILED  # the node has; the check could not be run
            outcome = Outcome.BLOCKED if ended else why.outcome
            left_out[check_id] = LeftOut(outcome, f"its node is {why.outcome.value}")
        else:
            judging.append(check)

    reach = Reach(graph, build, judging, shows)
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
