"""Rounds: what one run has to do one after the other, because each needs what the last promoted.

Another project reads a planned model through its view, and the view is there, or leads to the new
table, once the plan is promoted, which is when all of the plan is built. So a model of the plan
that is below such a reader can't be in the same plan: it belongs to a further round, with a plan of
its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter

from dagster_transform.graph import Graph, NodeId, PromotionId, UnitId
from dagster_transform.planning.run_plan import units_of
from dagster_transform.planning.values import Readiness, Unit, UnitKind


def divide_into_rounds(
    graph: Graph, nodes: Collection[NodeId], readiness: Mapping[NodeId, Readiness]
) -> list[frozenset[NodeId]]:
    """Divide what a run selects into rounds, each as large as it can be.

    Args:
        graph: The graph of all projects.
        nodes: Ids of the selected nodes.
        readiness: What the project runs say of them, with the promotions of a plan of all of them;
            one without an entry is built.

    Returns:
        The rounds, first to last; one if no promotion waits for what waits for it. A node is in the
        same round as what it reads, or in a later one.
    """
    rounds: list[frozenset[NodeId]] = []
    left = set(nodes)
    while left:
        chosen = _first_round(graph, left, readiness)
        rounds.append(frozenset(chosen))
        left -= chosen
    return rounds or [frozenset()]


def _first_round(
    graph: Graph, nodes: Collection[NodeId], readiness: Mapping[NodeId, Readiness]
) -> set[NodeId]:
    """As many of the nodes as can be done before anything else must be promoted."""
    chosen = set(nodes)
    while True:
        mine = {n: ready for n, ready in readiness.items() if n in chosen}
        units, _ = units_of(graph, chosen, (), mine)
        for promotion in _promotions_in_a_circle(units):
            after = _after_its_promotion(units, promotion)
            if after:
                chosen -= after | graph.descendants(after)
                break
        else:
            return chosen


def _promotions_in_a_circle(units: Mapping[UnitId, Unit]) -> list[PromotionId]:
    try:
        TopologicalSorter({unit.id: sorted(unit.after) for unit in units.values()}).prepare()
    except CycleError as error:
        kinds = {id: units[id].kind for id in error.args[1]}
        return sorted(PromotionId(id) for id, kind in kinds.items() if kind is UnitKind.PROMOTE)
    return []


def _after_its_promotion(units: Mapping[UnitId, Unit], promotion: PromotionId) -> set[NodeId]:
    """The members of a promotion that wait for it.

    A step of a promotion, which some of its members wait for, is no reader: what comes after it
    only for that is not meant.
    """
    below: dict[UnitId, list[UnitId]] = {}
    for unit in units.values():
        for before in unit.after:
            below.setdefault(before, []).append(unit.id)
    steps = {u.id for u in units.values() if u.kind is UnitKind.PROMOTE}
    steps -= {u.promotion for u in units.values() if u.promotion is not None}
    found: set[UnitId] = set()
    stack: list[UnitId] = [promotion]
    while stack:
        new = [id for id in below.get(stack.pop(), ()) if id not in found and id not in steps]
        found.update(new)
        stack.extend(new)
    return {NodeId(id) for id in found if units[id].promotion == promotion}
