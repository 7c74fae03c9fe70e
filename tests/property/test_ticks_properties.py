"""What holds of every tick and every evaluation of the sensor, whatever is known."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.follow_up import (
    GRACE,
    LaunchKey,
    Owed,
    RunState,
    follow_up,
    won_nodes,
)
from dagster_transform.planning.job_groups.values import JobGroupName
from dagster_transform.planning.situation import Hold, Scheduled, Situation, UnderWay
from dagster_transform.planning.tick_plan import plan_tick
from tests.support.job_group_graphs import group, node, plan
from tests.support.ticking import HOUR, MIDNIGHT

GROUPS = ("g0", "g1", "g2")
TICKS = [MIDNIGHT + n * HOUR for n in range(-2, 2)]


@st.composite
def scheduled(draw: st.DrawFn) -> Scheduled:
    """Up to nine nodes, each in a group that is not before those of what it reads, or in none."""
    nodes, members = [], dict[str, list[str]]((name, []) for name in GROUPS)
    lowest = dict[str, int]()
    for number in range(draw(st.integers(1, 9))):
        name = f"n{number}"
        above = sorted(draw(st.sets(st.sampled_from([*lowest]), max_size=3))) if lowest else []
        least = max((lowest[each] for each in above), default=0)
        place = draw(st.integers(least, len(GROUPS)))
        lowest[name] = min(place, len(GROUPS) - 1) if place < len(GROUPS) else least
        if place < len(GROUPS):
            members[GROUPS[place]].append(name)
        nodes.append(node(name, "@hourly" if place < len(GROUPS) else None, *above))
    graph = Graph.of(nodes)
    groups = [
        group(name, "@hourly", *(n.partition(":")[2] for n in graph.order if n[2:] in mine))
        for name, mine in members.items()
    ]
    return Scheduled.of(plan(*groups), graph, str)


@st.composite
def known(draw: st.DrawFn, of: Scheduled) -> Situation:
    def some() -> list[NodeId]:
        return draw(st.lists(st.sampled_from(of.order), unique=True)) if of.order else []

    ticks = st.sampled_from(TICKS)
    return Situation(
        holds={n: Hold("r", MIDNIGHT, paused=draw(st.booleans())) for n in some()},
        under_way={
            n: (UnderWay("r", MIDNIGHT, draw(st.none() | ticks)),) for n in some()
        },
        pending={n: tuple(sorted(draw(st.sets(ticks, min_size=1)))) for n in some()},
        launched_until={
            JobGroupName(name): draw(ticks) for name in GROUPS if draw(st.booleans())
        },
    )  # fmt: skip


@given(st.data())
def test_a_tick_launches_or_postpones_each_node_that_is_due(data: st.DataObject) -> None:
    of = data.draw(scheduled())
    situation = data.draw(known(of))
    for name in GROUPS:
        mine = [node for node in of.order if of.groups[node] == name]
        due = [node for node in mine if data.draw(st.booleans())]
        found = plan_tick(JobGroupName(name), due, MIDNIGHT, situation, of)
        assert {*found.launched} | found.postponed.keys() == {*due}
        assert not {*found.launched} & found.postponed.keys()
        assert all(found.postponed.values())
        for each in found.launched:
            assert each not in situation.holds
            assert each not in situation.under_way
            assert each not in situation.pending
            for above in of.reads[each]:
                assert above not in found.postponed
                if above not in found.launched:
                    assert all(tick > MIDNIGHT for tick in situation.pending.get(above, ()))
        for why in found.postponed.values():
            assert why.startswith(("held by", "paused by", "waits for"))
        # Without anything in the way, all goes.
        assert plan_tick(JobGroupName(name), due, MIDNIGHT, Situation(), of).postponed == {}


Runs = dict[str, tuple[RunState, set[NodeId]]]


def seen_of(owed: list[Owed], runs: Runs, now: datetime) -> Situation:
    """What a sensor knows where there is nothing else than what is owed."""
    pending = dict[NodeId, tuple[datetime, ...]]()
    for row in owed:
        if row.launched not in runs:
            pending[row.node] = (*pending.get(row.node, ()), row.tick)
    under_way = {
        node: (UnderWay(key, now),)
        for key, (state, nodes) in runs.items()
        if state is RunState.UNDER_WAY
        for node in nodes
    }
    return Situation(under_way=under_way, pending=pending)


@given(st.data())
def test_all_that_is_owed_is_launched_once_whatever_else_happens(data: st.DataObject) -> None:
    """Two sensors at once, evaluations whose requests are lost, runs that end whenever they like:
    in the end each tick of each node was built, never twice at once."""
    of = data.draw(scheduled())
    ticks = st.sets(st.sampled_from(TICKS), min_size=1)
    rows = {
        (node, tick): Owed(of.groups[node], node, tick, 0, MIDNIGHT)
        for node in of.order
        if data.draw(st.booleans())
        for tick in data.draw(ticks)
    }
    expected = set(rows)
    runs: Runs = {}
    built: list[tuple[NodeId, str]] = []
    answered: dict[tuple[NodeId, object], str] = {}
    now = MIDNIGHT
    for round_ in range(60):
        if not rows:
            break
        now += GRACE + timedelta(seconds=1) if round_ % 3 == 2 else timedelta(seconds=30)
        seen = [(list(rows.values()), dict(runs))] * data.draw(st.integers(1, 2))
        for number, (owed, before) in enumerate(seen):
            states = {key: state for key, (state, _) in before.items()}
            situation = seen_of(owed, before, now)
            found = follow_up(owed, states, situation, of, now=now, max_wait=timedelta(days=9))
            assert not found.given_up
            for row in found.done:
                rows.pop((row.node, row.tick), None)
            for launch in found.launches:
                key = str(LaunchKey(f"{launch.job_group}{number}", round_, now))
                won = []
                for row in launch.owed:
                    stored = rows.get((row.node, row.tick))
                    if stored is not None and stored.launched == row.launched:
                        rows[row.node, row.tick] = Owed(
                            row.job_group, row.node, row.tick, 0, row.since, launched=key
                        )
                        won.append(row)
                nodes = won_nodes(launch, won)
                for row in won:
                    answered[row.node, row.tick] = key
                    if row.node not in nodes:
                        del rows[row.node, row.tick]
                for each in nodes:
                    for state, others in runs.values():
                        assert state is RunState.ENDED or each not in others, "built twice at once"
                if nodes and (round_ > 20 or data.draw(st.booleans())):
                    runs[key] = (RunState.UNDER_WAY, set(nodes))
                    built += [(each, key) for each in nodes]
        for key, (state, nodes) in list(runs.items()):
            if state is RunState.UNDER_WAY and (round_ > 20 or data.draw(st.booleans())):
                runs[key] = (RunState.ENDED, nodes)
    assert rows == {}, "something is pending for ever"
    assert {node for node, _ in expected} == {node for node, _ in built}
    assert set(answered) == expected
