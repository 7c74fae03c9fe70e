"""What is launched of what could not go at its tick, or was lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from dagster_transform.graph import NodeId
from dagster_transform.planning import Outcome
from dagster_transform.planning.follow_up import (
    GRACE,
    FollowUp,
    GroupLaunch,
    LaunchKey,
    Owed,
    RunState,
    follow_up,
    won_nodes,
)
from dagster_transform.planning.job_groups.values import JobGroupName
from dagster_transform.planning.owed_by_runs import (
    MOST_ATTEMPTS,
    GroupRun,
    LostRun,
    left_out_work,
    lost_work,
)
from dagster_transform.planning.situation import Hold, Situation
from tests.support.ticking import HOUR, MIDNIGHT, ids, names, owed, scheduled

A, B, C, D, E, F = ids("abcdef")
SOON = MIDNIGHT + timedelta(minutes=1)
NO_RUNS: Mapping[str, RunState] = {}


def decide(
    rows: list[Owed],
    situation: Situation | None = None,
    runs: Mapping[str, RunState] = NO_RUNS,
    now: datetime = SOON,
) -> FollowUp:
    if situation is None:
        pending: dict[object, tuple[datetime, ...]] = {}
        for row in rows:
            if row.launched not in runs:
                pending[row.node] = (*pending.get(row.node, ()), row.tick)
        situation = Situation(pending=pending)  # type: ignore[arg-type]
    return follow_up(rows, runs, situation, scheduled(), now=now, max_wait=timedelta(days=1))


def shown(found: FollowUp) -> list[tuple[str, str]]:
    return [(launch.job_group, names(launch.nodes)) for launch in found.launches]


def test_what_can_go_goes_in_one_run_of_its_group_and_readers_of_other_groups_wait() -> None:
    found = decide([owed("f"), owed("e"), owed("c"), owed("a", job_group="hourly")])
    assert shown(found) == [("hourly", "a"), ("daily", "ef")] or shown(found) == [
        ("daily", "ef"), ("hourly", "a")
    ]  # fmt: skip
    assert list(found.waiting.values()) == [
        "waits for a of job group hourly, due at 2026-11-03 00:00 UTC"
    ]


def test_the_longest_wait_comes_first() -> None:
    early, later = MIDNIGHT - HOUR, MIDNIGHT
    rows = [owed("a", job_group="hourly", since=later), owed("d", since=early)]
    assert shown(decide(rows)) == [("daily", "d"), ("hourly", "a")]


def test_several_ticks_of_a_node_go_at_once() -> None:
    rows = [owed("a", MIDNIGHT - n * HOUR, job_group="hourly") for n in range(3)]
    (launch,) = decide(rows).launches
    assert (names(launch.nodes), len(launch.owed)) == ("a", 3)
    assert launch.tick == MIDNIGHT - 2 * HOUR


def test_what_is_held_waits_and_what_reads_it_too() -> None:
    rows = [owed("e"), owed("f")]
    known = Situation(holds={E: Hold("r", MIDNIGHT)}, pending={E: (MIDNIGHT,), F: (MIDNIGHT,)})
    found = decide(rows, known)
    assert found.launches == ()
    assert [why.partition(" since")[0].partition(",")[0] for why in found.waiting.values()] == [
        "held by run r", "waits for e of job group daily"
    ]  # fmt: skip


def test_what_was_launched_is_launched_once_and_forgotten_when_its_run_has_ended() -> None:
    key = str(LaunchKey("x", 1, MIDNIGHT))
    row = owed("d", launched=key)
    assert decide([row]) == FollowUp((), (), {}, {})  # its run may still appear
    assert decide([row], runs={key: RunState.UNDER_WAY}) == FollowUp((), (), {}, {})
    much_later = MIDNIGHT + 5 * HOUR  # and its run may take long
    assert decide([row], runs={key: RunState.UNDER_WAY}, now=much_later).launches == ()
    assert decide([row], runs={key: RunState.ENDED}).done == (row,)


def test_a_run_that_never_appeared_is_asked_for_again() -> None:
    row = owed("d", launched=str(LaunchKey("x", 1, MIDNIGHT)))
    assert decide([row], now=MIDNIGHT + GRACE).launches == ()
    assert shown(decide([row], now=MIDNIGHT + GRACE + timedelta(seconds=1))) == [("daily", "d")]


def test_another_tick_of_what_was_just_asked_for_waits() -> None:
    key = str(LaunchKey("x", 1, MIDNIGHT))
    found = decide([owed("d", launched=key), owed("d", MIDNIGHT + HOUR)])
    assert found.launches == ()
    assert list(found.waiting.values()) == ["a run of it was asked for and has not appeared yet"]


def test_what_waits_for_too_long_is_given_up_and_waited_for_no_more() -> None:
    old = owed("a", job_group="hourly", since=MIDNIGHT - timedelta(days=1))
    found = decide([old, owed("c")])
    assert found.given_up == {old: "it has waited since 2026-11-02 00:00 UTC: because"}
    assert shown(found) == [("daily", "c")]


def test_what_is_in_no_group_any_more_is_given_up() -> None:
    elsewhere, unknown = owed("a", job_group="daily"), owed("z")
    assert decide([elsewhere, unknown]).given_up == {
        elsewhere: "p:a is not in job group daily any more",
        unknown: "p:z is not in job group daily any more",
    }


def test_who_has_won_the_oldest_of_a_node_launches_it() -> None:
    first, second = owed("d", MIDNIGHT - HOUR), owed("d")
    launch = GroupLaunch(JobGroupName("daily"), (D, E), (first, second, owed("e")))
    assert names(won_nodes(launch, [first])) == "d"
    assert names(won_nodes(launch, [second, owed("e")])) == "e"


def test_keys_and_ticks_are_read_as_they_are_written() -> None:
    key = LaunchKey("place/daily/abc#1@x", 3, MIDNIGHT)
    assert LaunchKey.parse(str(key)) == key
    assert LaunchKey.parse("some-run-id") is None
    again = Owed("daily", D, MIDNIGHT, 2, SOON)
    assert Owed.read_tick(again.tick_text) == (MIDNIGHT, 2)
    assert Owed.read_tick(owed("d").tick_text) == (MIDNIGHT, 0)
    assert Owed.read_tick("nonsense") is None


def test_what_a_lost_run_has_not_built_is_owed_a_few_times() -> None:
    run = LostRun("r", "daily", MIDNIGHT, 0, (D, E), (D,))
    (row,), refused = lost_work(run, SOON)
    assert refused is None
    assert (row.node, row.tick, row.attempt, row.since) == (E, MIDNIGHT, 1, SOON)
    assert row.reason == "lost with run r, whose process has died"
    assert lost_work(LostRun("r", "daily", MIDNIGHT, 0, (D,), (D,)), SOON) == ((), None)
    rows, refused = lost_work(LostRun("r", "daily", MIDNIGHT, MOST_ATTEMPTS, (D,), ()), SOON)
    assert rows == ()
    assert refused is not None
    assert "for the 4th time" in refused


BEGAN = MIDNIGHT + timedelta(seconds=10)


def left(node: NodeId, *awaits: NodeId, group: str = "daily") -> Owed:
    return Owed(group, node, MIDNIGHT, 1, SOON, "because", awaits=awaits, began=BEGAN)


def follow(
    rows: list[Owed], *built: NodeId, until: datetime | None = None, whole: tuple[NodeId, ...] = ()
) -> FollowUp:
    launched_until = {} if until is None else {JobGroupName("daily"): until}
    return follow_up(
        rows, {}, Situation(launched_until=launched_until), scheduled(),
        now=SOON, max_wait=timedelta(days=1), whole=whole,
        built=dict.fromkeys(built, BEGAN + timedelta(seconds=1)),
    )  # fmt: skip


def test_what_was_blocked_goes_once_something_that_it_awaits_is_built() -> None:
    rows = [left(F, E), left(E, D)]
    found = follow(rows)
    assert shown(found) == []
    assert set(found.waiting.values()) == {"waits until d is built", "waits until e is built"}
    # What reads it goes with it.
    assert shown(follow(rows, D)) == [("daily", "ef")]
    assert shown(follow([left(F, E)], D)) == []


def test_what_was_held_goes_at_once_and_a_whole_build_answers_for_it() -> None:
    assert shown(follow([left(D)])) == [("daily", "d")]
    assert shown(follow([left(D)], D)) == [("daily", "d")]
    assert follow([left(D)], D, whole=(D,)).done == (left(D),)
    assert shown(follow([left(D)], whole=(D,))) == [("daily", "d")]


def test_what_somebody_has_built_over_what_has_recovered_is_owed_no_more() -> None:
    row = left(E, D)
    assert follow([row], D, E).done == (row,)  # a run that Dagster has repeated, say
    assert follow([row], E).done == ()
    later = {E: BEGAN + timedelta(seconds=1), D: BEGAN + timedelta(seconds=2)}
    found = follow_up(
        [row], {}, Situation(), scheduled(), now=SOON, max_wait=timedelta(days=1), built=later
    )
    assert shown(found) == [("daily", "e")]


def test_a_later_tick_answers_for_what_was_blocked() -> None:
    row = left(E, D)
    assert follow([row], D, until=MIDNIGHT + timedelta(hours=23)).done == ()
    assert follow([row], D, until=MIDNIGHT + timedelta(hours=24)).done == (row,)
    # What was held is owed whatever has ticked since.
    assert follow([left(E)], until=MIDNIGHT + timedelta(hours=24)).done == ()


def test_what_a_run_leaves_out_is_owed_if_somebody_can_know_when_it_may_go() -> None:
    run = GroupRun("daily", MIDNIGHT, 0, BEGAN)
    reads: dict[NodeId, list[NodeId]] = {E: [D], F: [E], C: [A], A: [], B: [F], D: [A]}
    outcomes = {
        B: (Outcome.WAITING, "no data"), C: (Outcome.WAITING, "signal"),
        D: (Outcome.FAILED, ""), E: (Outcome.BLOCKED, "by d"),
        F: (Outcome.CLAIMED, "by run r"), A: (Outcome.CANCELLED, ""),
    }  # fmt: skip

    def owed_by(run: GroupRun) -> tuple[Owed, ...]:
        return left_out_work(run, outcomes, lambda node: reads[node], {A}, SOON)

    assert [(row.node, row.awaits, row.attempt) for row in owed_by(run)] == [
        (B, (F, E, D), 1), (E, (D,), 1), (F, (), 1)
    ]  # fmt: skip
    assert owed_by(replace(run, attempt=MOST_ATTEMPTS)) == ()


def test_who_waits_longest_gets_what_a_concurrency_tag_has_left() -> None:
    found = replace(scheduled(), tags=dict.fromkeys((A, D), ("heavy",)), limits={"heavy": 1})
    for since, expected in ((MIDNIGHT - HOUR, "d"), (SOON, "a")):
        rows = [owed("a", job_group="hourly"), owed("d", since=since)]
        decided = follow_up(rows, {}, Situation(), found, now=SOON, max_wait=timedelta(days=1))
        assert "".join(names(launch.nodes) for launch in decided.launches) == expected
        assert "concurrency tag heavy" in str(decided.waiting)
