"""Plans of job groups are stable: a small change makes a small difference."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from dagster_transform.graph import Graph, Node, NodeId
from dagster_transform.planning.job_groups import JobGroupPlan, JobGroupSettings, plan_job_groups
from tests.support.job_groups import assert_sound, memberships, random_graph, timed_node

CRONS = ("*/15 * * * *", "@hourly", "@daily", "@weekly")
WANTED = JobGroupSettings()


def added(graph: Graph, chosen: random.Random, number: int) -> Graph:
    """The graph with one model more, of the cadence of what it reads."""
    above = list(graph.order)[: chosen.randrange(1, len(graph.order))]
    deps = sorted(chosen.sample(above, min(len(above), chosen.randint(1, 3))))
    new = timed_node(f"new{number}", graph.nodes[deps[-1]].cron, deps)
    return Graph.of([*graph.nodes.values(), new])


def changed(graph: Graph, chosen: random.Random, number: int, coarsening: float) -> Graph:
    """The graph after one edit, of the sort that the graph is of: which part of the edits keeps
    nodes as coarse as what they read is `coarsening`."""
    what = chosen.choice(("add", "remove", "cron", "dependency"))
    nodes: dict[NodeId, Node] = dict(graph.nodes)
    in_kind = chosen.random() < coarsening
    if what == "add":
        deps = sorted(chosen.sample(list(graph.order), chosen.randint(1, 6)))
        pace = chosen.randrange(len(CRONS))
        if in_kind:
            coarser = max(pace_of(nodes[dep]) for dep in deps) + (chosen.random() < 0.1)
            pace = min(coarser, len(CRONS) - 1)
        return Graph.of([*nodes.values(), timed_node(f"new{number}", CRONS[pace], deps)])
    place = chosen.randrange(1, len(graph.order))
    node = nodes[graph.order[place]]
    if what == "cron":
        pace = chosen.randrange(len(CRONS))
        if in_kind:
            above = [pace_of(nodes[dep]) for dep in node.deps]
            below = [pace_of(nodes[reader]) for reader in graph.downstream(node.id)]
            finest = max(above, default=0)
            coarsest = min(below, default=len(CRONS) - 1)
            pace = chosen.randint(finest, max(finest, coarsest))
        nodes[node.id] = replace(node, cron=CRONS[pace])
    elif what == "dependency":
        earlier = graph.order[:place]
        finer = [dep for dep in earlier if pace_of(nodes[dep]) <= pace_of(node)]
        dep = chosen.choice(finer if in_kind and finer else earlier)
        nodes[node.id] = replace(node, deps=tuple(dict.fromkeys((*node.deps, dep))))
    else:
        del nodes[node.id]
        for id, reader in nodes.items():
            nodes[id] = replace(reader, deps=tuple(d for d in reader.deps if d != node.id))
    return Graph.of(nodes.values())


def pace_of(node: Node) -> int:
    return CRONS.index(str(node.cron))


def kept(before: JobGroupPlan, after: JobGroupPlan) -> float:
    """Which part of the nodes that are in both plans is in the group of the same name."""
    were, are = memberships(before), memberships(after)
    both = were.keys() & are.keys()
    return sum(were[node] == are[node] for node in both) / len(both)


@pytest.mark.parametrize("coarsening", [0.0, 0.95])
def test_one_model_more_changes_one_group(coarsening: float) -> None:
    graph = random_graph(1000, CRONS, coarsening=coarsening)
    before = plan_job_groups(graph, {}, WANTED)
    were = memberships(before)
    chosen = random.Random(1)
    afresh = []
    for number in range(15):
        more = added(graph, chosen, number)
        new = more.nodes.keys() - graph.nodes.keys()
        after = memberships(plan_job_groups(more, {}, WANTED, before))
        assert {node: name for node, name in after.items() if node not in new} == were
        afresh.append(kept(before, plan_job_groups(more, {}, WANTED)) == 1)
    # Also without the earlier plan, mostly: nothing there depends on numbers that one model moves.
    assert sum(afresh) >= 10


@pytest.mark.parametrize("seed", [1, 8])
@pytest.mark.parametrize("coarsening", [0.0, 0.5, 0.95])
def test_after_many_edits_most_is_where_it_was(coarsening: float, seed: int) -> None:
    graph = random_graph(1000, CRONS, coarsening=coarsening, seed=seed)
    first = plan = plan_job_groups(graph, {}, WANTED)
    chosen = random.Random(seed)
    for number in range(100):
        graph = changed(graph, chosen, number, coarsening)
        before, plan = plan, plan_job_groups(graph, {}, WANTED, plan)
        assert kept(before, plan) >= 0.97
    assert_sound(graph, plan, WANTED)
    assert kept(first, plan) >= 0.95
    assert {group.name for group in first.groups} <= {group.name for group in plan.groups}
