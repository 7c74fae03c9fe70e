"""What job groups will do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from dagster_transform.graph import Graph
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups import JobGroup, JobGroupPlan, Simulation, simulate
from dagster_transform.planning.job_groups.simulated import COLUMNS, EventKind, in_words
from tests.support.run_plans import graph, node

NOON = datetime(2026, 3, 5, 12, tzinfo=timezone.utc)
HOURLY, DAILY = Cron.parse("@hourly"), Cron.parse("0 13 * * *")


def group(name: str, cron: Cron, nodes: str, **fields: object) -> JobGroup:
    found = JobGroup(name, cron, tuple(nodes.split()))
    return replace(found, **fields)


def plan(*groups: JobGroup, crons: dict[str, Cron] | None = None) -> JobGroupPlan:
    found = {node_id: group.cron for group in groups for node_id in group.nodes}
    return JobGroupPlan(groups, {**found, **(crons or {})})


def run(
    of: JobGroupPlan, things: Graph, seconds: dict[str, float], hours: float = 2, slots: int = 5
) -> Simulation:
    end = NOON + timedelta(hours=hours)
    return simulate(of, things, seconds, NOON, end, max_concurrent_models=slots)


def minutes(found: Simulation) -> list[tuple[str, str, float, float]]:
    """Of each launch: its group, what it builds, and when that begins and is done in minutes."""
    return [
        (
            launch.group,
            " ".join(launch.nodes),
            (launch.begun - NOON).total_seconds() / 60,
            (launch.done - NOON).total_seconds() / 60,
        )
        for launch in found.launches
    ]


TWO = graph(node("a:1"), node("b:1", "a:1"), node("b:2"))


def test_ticks_from_the_start_on_and_before_the_end() -> None:
    found = run(plan(group("a", HOURLY, "a:1")), TWO, {"a:1": 60})
    assert minutes(found) == [("a", "a:1", 0, 1), ("a", "a:1", 60, 61)]
    assert not found.waits
    assert (found.peak_groups, found.peak_nodes) == (1, 1)


def test_a_node_waits_for_another_group_and_the_rest_of_its_own_does_not() -> None:
    groups = group("b", HOURLY, "b:1 b:2"), group("a", HOURLY, "a:1")
    found = run(plan(*groups), TWO, {"a:1": 600, "b:1": 60, "b:2": 120}, hours=1)
    assert minutes(found) == [("b", "b:1 b:2", 0, 11), ("a", "a:1", 0, 10)]
    (wait,) = found.waits
    assert (wait.group, wait.on_group, wait.nodes, wait.seconds) == ("b", "a", ("b:1",), 600)
    assert (wait.tick, wait.on_tick) == (NOON, NOON)
    assert found.longest_wait == wait
    assert (found.peak_groups, found.peak_nodes) == (2, 2)


def test_a_tick_waits_for_an_earlier_one_of_a_slower_group() -> None:
    groups = group("a", DAILY, "a:1"), group("b", HOURLY, "b:1")
    found = run(plan(*groups), TWO, {"a:1": 5400, "b:1": 60}, hours=3)
    assert minutes(found) == [
        ("b", "b:1", 0, 1),  # nothing of the group above is launched yet
        ("a", "a:1", 60, 150),
        ("b", "b:1", 150, 151),
        ("b", "b:1", 151, 152),  # the claim of the tick before
    ]
    assert [(w.group, w.tick.hour, w.on_group, w.on_tick.hour) for w in found.waits] == [
        ("b", 13, "a", 13),
        ("b", 14, "a", 13),
        ("b", 14, "b", 13),
    ]


def test_it_waits_through_nodes_that_nobody_schedules() -> None:
    things = graph(node("a:1"), node("m:1", "a:1"), node("m:2", "m:1"), node("b:1", "m:2"))
    groups = group("a", HOURLY, "a:1"), group("b", HOURLY, "b:1")
    found = run(plan(*groups), things, {"a:1": 600, "b:1": 60}, hours=1)
    assert minutes(found) == [("a", "a:1", 0, 10), ("b", "b:1", 10, 11)]


def test_a_run_builds_so_many_nodes_at_a_time_in_the_order_of_its_group() -> None:
    things = graph(*(node(f"a:{n}") for n in range(1, 5)))
    seconds = {"a:1": 60.0, "a:2": 120.0, "a:3": 60.0, "a:4": 60.0}
    of = group("a", HOURLY, "a:1 a:2 a:3 a:4")
    assert run(plan(of), things, seconds, 1).launches[0].done == NOON + timedelta(minutes=2)
    two = run(plan(of), things, seconds, 1, slots=2)
    assert two.launches[0].done == NOON + timedelta(minutes=3)
    assert two.peak_nodes == 2
    one = run(plan(replace(of, max_concurrent_models=1)), things, seconds, 1)
    assert one.launches[0].done == NOON + timedelta(minutes=5)


def test_a_chain_within_a_group_waits_for_nobody_else() -> None:
    found = run(plan(group("a", HOURLY, "a:1 b:1")), TWO, {"a:1": 60, "b:1": 60}, 1)
    assert minutes(found) == [("a", "a:1 b:1", 0, 2)]
    assert not found.waits


def test_coarser_nodes_of_a_finer_group_are_built_at_their_own_ticks() -> None:
    of = group("a", HOURLY, "a:1 b:1")
    found = run(plan(of, crons={"b:1": DAILY}), TWO, {"a:1": 60, "b:1": 60})
    assert [launch.nodes for launch in found.launches] == [("a:1",), ("a:1", "b:1")]


def test_idle_ticks() -> None:
    found = run(plan(group("a", HOURLY, "a:1"), crons={"a:1": DAILY}), TWO, {"a:1": 60})
    assert [launch.tick for launch in found.idle] == [NOON]
    assert found.as_rows(TWO)[0][2] == "nothing is due"


def test_expected_durations_by_kind() -> None:
    view = replace(node("a:1"), kind="VIEW")
    table = replace(node("a:2"), kind="FULL")
    things = graph(view, table)
    found = run(plan(group("a", HOURLY, "a:1"), group("b", HOURLY, "a:2")), things, {}, 1)
    assert found.launches[0].done < found.launches[1].done


def test_what_is_due_twice_in_autumn_is_launched_with_the_next_tick() -> None:
    cron = Cron.parse("30 2 * * *", "Europe/Zurich")
    start = datetime(2026, 10, 24, 12, tzinfo=timezone.utc)
    of = plan(group("a", cron, "a:1"))
    found = simulate(of, TWO, {"a:1": 1}, start, start + timedelta(days=2))
    assert [f"{launch.tick:%d %H:%M}" for launch in found.launches] == ["25 01:30", "26 01:30"]
    assert all(launch.nodes == ("a:1",) for launch in found.launches)


def test_events_in_order_and_what_ends_first() -> None:
    groups = group("a", HOURLY, "a:1"), group("b", HOURLY, "b:1")
    found = run(plan(*groups), TWO, {"a:1": 3600, "b:1": 60})
    events = [(event.kind, event.group, event.at.hour) for event in found.events()][:6]
    assert events == [
        (EventKind.LAUNCHED, "a", 12),
        (EventKind.LAUNCHED, "b", 12),
        (EventKind.WAITS, "b", 12),
        (EventKind.DONE, "a", 13),
        (EventKind.GOES_ON, "b", 13),
        (EventKind.LAUNCHED, "a", 13),
    ]


def test_as_rows_and_as_json() -> None:
    groups = group("a", HOURLY, "a:1"), group("b", HOURLY, "b:1 b:2")
    found = run(plan(*groups), TWO, {"a:1": 600, "b:1": 60, "b:2": 1}, 1)
    rows = found.as_rows(TWO)
    assert all(len(row) == len(COLUMNS) for row in rows)
    assert rows[1] == (
        "Thu 2026-03-05 12:00",
        "b",
        "1, 2",
        "a (1, 10 min 00 s)",
        "11 min 00 s",
    )
    said = found.as_json(TWO)
    assert said["ticks"][1]["waits"] == [
        {
            "for_job_group": "a",
            "for_tick": "2026-03-05T12:00:00+00:00",
            "nodes": ["1"],
            "since": "2026-03-05T12:00:00+00:00",
            "until": "2026-03-05T12:10:00+00:00",
            "seconds": 600.0,
        }
    ]
    assert said["longest_wait"]["job_group"] == "b"
    assert (said["peak_job_groups"], said["peak_models"], said["idle_ticks"]) == (2, 2, 0)


def test_progress_is_told_of_each_moment_of_a_tick() -> None:
    seen: list[datetime] = []
    of = plan(group("a", HOURLY, "a:1"), group("b", HOURLY, "b:2"))
    simulate(of, TWO, {}, NOON, NOON + timedelta(hours=2), progress=seen.append)
    assert seen == [NOON, NOON + timedelta(hours=1)]


def test_times_in_words() -> None:
    assert in_words(timedelta(seconds=4)) == "4 s"
    assert in_words(timedelta(seconds=200)) == "3 min 20 s"
    assert in_words(timedelta(hours=2, minutes=5, seconds=9)) == "2 h 05 min"
