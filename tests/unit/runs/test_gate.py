"""What a run claims, when, and for how long: tables and slots."""

from __future__ import annotations

from dagster_transform.claims import (
    WHOLE,
    Owner,
    OwnerKind,
    Want,
)
from dagster_transform.planning import Outcome, Slot
from tests.support.claiming_runs import BELOW, CHECK, Runs, X, Y, keys_of, plan_of
from tests.support.fake_project_run import (
    Script,
    build,
    check,
)

# -- tables -------------------------------------------------------------------------------------


def test_a_run_that_does_not_wait_leaves_out_what_others_have(runs: Runs) -> None:
    other = runs.other(X)
    runs.claims = runs.run("mine", skip=True)
    units = (X, CHECK, Y)
    left_out = runs.claims.claim_tables(plan_of(*units), keys_of(*units))
    assert {unit: why.outcome for unit, why in left_out.items()} == {
        "a:x": Outcome.CLAIMED, "a:c": Outcome.CLAIMED,
    }  # fmt: skip
    assert "run other has claimed it since 2001-09-09" in left_out["a:x"].reason
    assert runs.claims.holders == {"a:x": "other", "a:c": "other"}
    assert ("mine", "table:a:y", WHOLE) in runs.held()
    other.close()
    # It stands in no queue either: the next one that comes has it.
    assert runs.run("third").claim_tables(plan_of(X), keys_of(X)) == {}
    assert ("third", "table:a:x", WHOLE) in runs.held()


def test_a_run_that_waits_goes_on_when_the_other_is_done(runs: Runs) -> None:
    other = runs.other(X)
    rehearsal = runs.begin(X, BELOW, Y, x=Script(transient_failures=1))
    runs.inbox.later(24, other.close)
    walk = rehearsal.run()
    assert walk.times["a:y"] == (0, 1)
    # It asked at 0, when y ended at 1, and each two seconds then.
    assert [ran.start for ran in walk.runs_of("a:x")] == [25, 27]
    assert walk.outcomes == {"a:x": "built", "a:y": "built", "a:below": "built"}
    assert runs.refreshed == ["a:x"]  # once, however often it is tried
    assert sum("Waiting for table:a:x" in line for line in runs.log) == 1


def test_many_that_wait_ask_in_one_request_per_poll(runs: Runs) -> None:
    others = [build(f"a:{i}") for i in range(20)]
    other = runs.other(*others)
    rehearsal = runs.begin(*others)
    runs.inbox.later(19, other.close)
    before = runs.store.asked["acquire"]
    assert set(rehearsal.run().outcomes.values()) == {"built"}
    assert runs.store.asked["acquire"] - before == 10


def test_what_is_never_released_is_claimed_in_the_end_with_its_holder(runs: Runs) -> None:
    runs.other(X)
    runs.claims = runs.run("mine", wait=10)
    walk = runs.walk(X, BELOW, CHECK, Y)
    assert walk.outcomes == {
        "a:x": "claimed", "a:below": "waiting", "a:c": "waiting", "a:y": "built",
    }  # fmt: skip
    assert "run other has claimed it since" in walk.reasons["a:x"]
    assert runs.claims.holders["a:x"] == "other"
    assert walk.inbox.now() == 11  # it asks when y has ended at 1, and then each two seconds
    assert runs.held() == [("other", "table:a:x", WHOLE)]


def test_a_pause_is_shown_as_one_and_is_no_run(runs: Runs) -> None:
    runs.real.pause("table:a:x", capacity=WHOLE, reason="repairs", by="ann")
    runs.claims = runs.run("mine", skip=True)
    left_out = runs.claims.claim_tables(plan_of(X), keys_of(X))
    assert "ann has paused it since" in left_out["a:x"].reason
    assert "(repairs)" in left_out["a:x"].reason
    assert runs.claims.holders == {}
    assert "ann" not in runs.asked_about
    assert runs.real.resume("table:a:x")


def test_a_table_is_released_when_its_node_and_its_checks_are_done(runs: Runs) -> None:
    late = check("a:late", "a:x")
    scripts = {"x": Script(1), "c": Script(3), "late": Script(6), "y": Script(20)}
    rehearsal = runs.begin(X, CHECK, late, Y, **scripts)
    mine = lambda: len(runs.held("table:a:x"))  # noqa: E731
    before, between, after = runs.at(0.5, mine), runs.at(5, mine), runs.at(8, mine)
    rehearsal.run()
    assert (before, between, after) == ([1], [1], [0])
    assert runs.held() == []


def test_a_table_is_released_when_its_node_is_blocked(runs: Runs) -> None:
    rehearsal = runs.begin(X, BELOW, Y, x=Script(1, Outcome.FAILED), y=Script(20))
    seen = runs.at(3, runs.held)
    rehearsal.run()
    assert seen == [[("mine", "table:a:y", WHOLE)]]


def test_what_the_plan_does_not_need_in_the_end_is_released_at_once(runs: Runs) -> None:
    runs.claims.claim_tables(plan_of(X, Y), keys_of(X, Y))
    runs.claims.release_unneeded(plan_of(Y))
    assert runs.held() == [("mine", "table:a:y", WHOLE)]


def test_an_out_of_band_check_takes_a_share_which_others_have_too(runs: Runs) -> None:
    outside = check("a:c", "b:x")
    runs.claims.claim_tables(plan_of(outside), keys_of(outside))
    second = runs.run("second")
    second.claim_tables(plan_of(outside), keys_of(outside))
    assert [weight for _, _, weight in runs.held()] == [1, 1]


# -- slots --------------------------------------------------------------------------------------


def test_slots_are_counted_within_the_walk_without_asking_the_store(runs: Runs) -> None:
    units = [build(f"a:{i}") for i in range(6)]
    runs.slots |= {unit.id: (Slot("tag:heavy", 1, 2),) for unit in units}
    rehearsal = runs.begin(*units)
    before = runs.store.asked["acquire"]
    walk = rehearsal.run()
    assert [walk.times[f"a:{i}"][0] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    assert runs.store.asked["acquire"] - before == 6


def test_checks_take_connections_too(runs: Runs) -> None:
    slot = (Slot("connections:c", 1, 1),)
    runs.slots |= {"a:x": slot, "a:c": slot, "a:d": slot}
    walk = runs.walk(build("a:x"), check("a:c", "a:x"), check("a:d", "a:x"))
    assert sorted(walk.times.values()) == [(0, 1), (1, 2), (2, 3)]
    assert runs.held() == []


def test_slots_are_counted_over_all_runs(runs: Runs) -> None:
    units = [build("a:0"), build("a:1"), build("a:2")]
    runs.slots |= {unit.id: (Slot("tag:heavy", 1, 2),) for unit in units}
    owner = Owner(OwnerKind.RUN, "other", "other", 0)
    runs.real.acquire(owner, [Want("tag:heavy", 1, 2)], claim_id="o", all_or_nothing=True)
    rehearsal = runs.begin(*units, **{"0": Script(9), "1": Script(9), "2": Script(9)})
    runs.inbox.later(5, lambda: runs.real.release("o"))
    walk = rehearsal.run()
    assert [walk.times[f"a:{i}"][0] for i in range(3)] == [0, 6, 9]
    assert any("Waiting for tag:heavy, which run other has claimed" in line for line in runs.log)
    assert runs.held() == []


def test_a_unit_that_takes_two_waits_for_two_and_a_retry_gives_them_back(runs: Runs) -> None:
    runs.slots |= {"a:x": (Slot("tag:heavy", 2, 2),), "a:y": (Slot("tag:heavy", 1, 2),)}
    walk = runs.walk(X, Y, x=Script(transient_failures=1))
    # x fails at 1 and rests for a second, in which y has the slot.
    assert [ran.start for ran in walk.runs_of("a:x")] == [0, 2]
    assert walk.times["a:y"] == (1, 2)


def test_slots_of_runs_that_have_ended_are_taken(runs: Runs) -> None:
    runs.slots |= {"a:x": (Slot("tag:heavy", 1, 1),)}
    owner = Owner(OwnerKind.RUN, "dead", "dead", 0)
    runs.real.acquire(owner, [Want("tag:heavy")], claim_id="d", all_or_nothing=True)
    runs.ended = {"dead"}
    assert runs.walk(X).times["a:x"] == (0, 1)


def test_a_unit_waits_for_its_slots_while_the_store_does_not_answer(runs: Runs) -> None:
    runs.slots |= {"a:x": (Slot("tag:heavy", 1, 1),)}
    rehearsal = runs.begin(X)
    runs.store.down = True
    runs.inbox.later(5, lambda: setattr(runs.store, "down", False))
    assert rehearsal.run().times["a:x"] == (6, 7)
    assert sum("the line is cut" in line for line in runs.log) == 1
