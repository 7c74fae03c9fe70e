"""Graphs for job groups, and what must be true of every plan of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from dagster_transform.graph import Graph, Node, NodeId, Relation
from dagster_transform.planning.cron import Cron, clamped
from dagster_transform.planning.job_groups import JobGroupPlan, JobGroupSettings, MergeCadences
from dagster_transform.planning.job_groups.grouping.labels import apart_by


def timed_node(
    name: str,
    cron: str | None = "@daily",
    deps: Iterable[str] = (),
    *,
    zone: str | None = None,
    project: str = "p",
    kind: str = "FULL",
    **fields: object,
) -> Node:
    """A node `<project>:<name>`; deps are names of the same project, or ids."""
    ids = tuple(dep if ":" in dep else f"{project}:{dep}" for dep in deps)
    return Node(
        f"{project}:{name}", project, "sqlmesh", name, name, kind,
        Relation("duckdb:/x", "c", "s", f"{project}_{name}"),
        deps=ids, cron=cron, time_zone=zone, **fields,
    )  # fmt: skip


def groups_by_name(plan: JobGroupPlan) -> dict[str, list[str]]:
    """The names of each group's nodes, without their project."""
    return {g.name: [node.partition(":")[2] for node in g.nodes] for g in plan.groups}


def memberships(plan: JobGroupPlan) -> dict[NodeId, str]:
    return {node: group.name for group in plan.groups for node in group.nodes}


def readers_through(graph: Graph, plan: JobGroupPlan) -> list[tuple[NodeId, NodeId]]:
    """Pairs of scheduled nodes of which the second reads the first, also through nodes in no
    group; slowly and plainly."""
    found = []
    for start in plan.crons:
        pending, seen = list(graph.downstream(start)), set()
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in plan.crons:
                found.append((start, node))
            else:
                pending.extend(graph.downstream(node))
    return found


def assert_sound(graph: Graph, plan: JobGroupPlan, settings: JobGroupSettings) -> None:
    """What is true of every plan, whatever the graph and the settings."""
    crons = {
        node.id: clamped(Cron.parse(node.cron, node.time_zone))
        for node in graph.nodes.values()
        if node.cron is not None
    }
    assert plan.crons == crons
    # 1. every scheduled node in exactly one group, the others listed
    placed = [node for group in plan.groups for node in group.nodes]
    assert sorted(placed) == sorted(crons)
    assert set(plan.unscheduled) == set(graph.nodes) - set(crons)
    assert all(group.nodes for group in plan.groups)
    of = memberships(plan)
    for group in plan.groups:
        for node in group.nodes:
            # 2, 8. one cron and zone, which has all ticks of its nodes
            assert group.cron.covers(crons[node])
            assert group.cron.time_zone == crons[node].time_zone
        # 5. nothing faster than the minimum
        assert clamped(group.cron) == group.cron
        assert group.reason.endswith(".")
        if not any(node in settings.pinned for node in group.nodes):
            apart = apart_by(settings.keep_apart)
            assert len({apart(graph.nodes[node]) for node in group.nodes}) == 1
            if settings.merge_cadences is MergeCadences.NEVER:
                assert {crons[node] for node in group.nodes} == {group.cron}
    # 3. no circle: each group comes after what it reads, nodes too
    places = {group.name: place for place, group in enumerate(plan.groups)}
    assert len(places) == len(plan.groups)
    reads: dict[str, set[str]] = {name: set() for name in places}
    for above, below in readers_through(graph, plan):
        assert places[of[above]] <= places[of[below]], (above, below)
        if of[above] != of[below]:
            reads[of[below]].add(of[above])
    assert {group.name: group.depends_on for group in plan.groups} == {
        name: tuple(sorted(found)) for name, found in reads.items()
    }
    # 6. not more groups than there may be, or it is said what to change
    if len(plan.groups) > settings.max_job_groups:
        assert any("max_job_groups" in warning for warning in plan.warnings)
    for node, name in settings.pinned.items():
        if node in crons:
            assert of[node] == name
    for group in plan.groups:
        if settings.largest is not None and len(group.nodes) > settings.largest:
            assert any("largest" in warning for warning in plan.warnings)


def components_of(graph: Graph, plan: JobGroupPlan, nodes: Iterable[NodeId]) -> list[set[NodeId]]:
    """Nodes of one group, by what depends on what among them; slowly and plainly."""
    left, found = set(nodes), []
    edges: Mapping[NodeId, set[NodeId]] = {node: set() for node in left}
    for above, below in readers_through(graph, plan):
        if above in left and below in left:
            edges[above].add(below)
            edges[below].add(above)
    while left:
        pending, component = [left.pop()], set()
        while pending:
            node = pending.pop()
            component.add(node)
            pending.extend(edges[node] - component)
        left -= component
        found.append(component)
    return found


def random_graph(
    count: int, crons: tuple[str, ...], *, coarsening: float = 0.0, seed: int = 1
) -> Graph:
    """Nodes that read up to six earlier ones, three on average.

    Args:
        count: How many.
        crons: The finest first.
        coarsening: Which part of the nodes that read something is as coarse as the coarsest of it,
            or a little coarser; the cadences of the others are random.
        seed: The same seed gives the same graph.
    """
    chosen = random.Random(seed)
    paces: list[int] = []
    nodes: list[Node] = []
    for number in range(count):
        deps = sorted({chosen.randrange(number) for _ in range(min(number, chosen.randint(0, 6)))})
        pace = chosen.randrange(len(crons))
        if deps and chosen.random() < coarsening:
            coarser = max(paces[dep] for dep in deps) + (chosen.random() < 0.1)
            pace = min(coarser, len(crons) - 1)
        paces.append(pace)
        nodes.append(timed_node(f"n{number:06}", crons[pace], [f"n{dep:06}" for dep in deps]))
    return Graph.of(nodes)
