"""The simulation beside a simple one: where each run has slots for all of its nodes, a build begins
when the last one ends that it waits for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.job_groups import (
    JobGroupPlan,
    JobGroupSettings,
    plan_job_groups,
    simulate,
)
from dagster_transform.planning.job_groups.due import due_at
from tests.support.run_plans import node

CRONS = ["*/15 * * * *", "@hourly", "30 * * * *", "0 */2 * * *", "@daily", None]
START = datetime(2026, 10, 24, 20, tzinfo=timezone.utc)
END = START + timedelta(hours=8)
MANY = 1000


@st.composite
def situations(draw: st.DrawFn) -> tuple[Graph, JobGroupPlan, dict[NodeId, float]]:
    zone = draw(st.sampled_from([None, "Europe/Zurich"]))
    nodes = []
    for number in range(draw(st.integers(1, 9))):
        above = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        cron = draw(st.sampled_from(CRONS))
        found = node(f"a:{number}", *(f"a:{each}" for each in sorted(above)))
        nodes.append(replace(found, cron=cron, time_zone=zone if cron else None))
    graph = Graph.of(nodes)
    lasts = st.sampled_from([1, 60, 700, 1800, 5000])
    durations = {node_id: float(draw(lasts)) for node_id in graph.order}
    smallest = JobGroupSettings(smallest=draw(st.integers(1, 5)))
    return graph, plan_job_groups(graph, {}, smallest), durations


def scheduled_above(graph: Graph, plan: JobGroupPlan, node_id: NodeId) -> set[NodeId]:
    found: set[NodeId] = set()
    for above in graph.upstream(node_id):
        assert graph.is_node(above)
        found |= {above} if above in plan.crons else scheduled_above(graph, plan, above)
    return found


def simple(
    graph: Graph, plan: JobGroupPlan, durations: dict[NodeId, float]
) -> dict[tuple[str, datetime], tuple[datetime, datetime]]:
    """When each launch begins and is done."""
    ends: dict[NodeId, datetime] = {}
    found: dict[tuple[str, datetime], tuple[datetime, datetime]] = {}
    ticks = sorted({tick for group in plan.groups for tick in group.cron.ticks(START, END)})
    for tick in ticks:
        due = {
            node_id: group.name
            for group in plan.groups
            if tick in group.cron.ticks(tick, tick + timedelta(seconds=1))
            for node_id in due_at(group, plan.crons, group.cron.previous(tick), tick)
        }
        for node_id in graph.order:
            if node_id in due:
                above = scheduled_above(graph, plan, node_id)
                begun = max([tick, *(ends[each] for each in {*above, node_id} if each in ends)])
                ends[node_id] = done = begun + timedelta(seconds=durations[node_id])
                first, last = found.get((due[node_id], tick), (begun, done))
                found[due[node_id], tick] = min(first, begun), max(last, done)
    return found


@settings(max_examples=150)
@given(situations())
def test_with_slots_for_all_it_goes_as_the_simple_one(
    situation: tuple[Graph, JobGroupPlan, dict[NodeId, float]],
) -> None:
    graph, plan, durations = situation
    found = simulate(plan, graph, durations, START, END, max_concurrent_models=MANY)
    times = {
        (launch.group, launch.tick): (launch.begun, launch.done)
        for launch in found.launches
        if launch.nodes
    }
    assert times == simple(graph, plan, durations)
    for wait in found.waits:
        assert wait.since < wait.until
        assert wait.on_tick <= wait.tick
        assert (wait.on_group, wait.on_tick) in times
        assert wait.on_group != wait.group or wait.on_tick < wait.tick
        assert wait.until <= times[wait.on_group, wait.on_tick][1]
        assert wait.since >= wait.tick
    waiting = {(wait.group, wait.tick) for wait in found.waits}
    for (group, tick), (begun, _) in times.items():
        assert begun == tick or (group, tick) in waiting


@settings(max_examples=100)
@given(situations(), st.integers(1, 3))
def test_with_few_slots_everything_is_built_and_no_run_has_more_at_a_time(
    situation: tuple[Graph, JobGroupPlan, dict[NodeId, float]], slots: int
) -> None:
    graph, plan, durations = situation
    found = simulate(plan, graph, durations, START, END, max_concurrent_models=slots)
    wide = simulate(plan, graph, durations, START, END, max_concurrent_models=MANY)
    assert [(each.group, each.tick, each.nodes) for each in found.launches] == [
        (each.group, each.tick, each.nodes) for each in wide.launches
    ]
    for launch in found.launches:
        work = timedelta(seconds=sum(durations[node_id] for node_id in launch.nodes))
        assert launch.done - launch.begun >= work / slots
    assert found.peak_nodes <= slots * sum(bool(each.nodes) for each in found.launches)
    assert found == simulate(plan, graph, durations, START, END, max_concurrent_models=slots)
