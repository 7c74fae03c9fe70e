"""What a run claims, when, and for how long: runs over one store in memory, in virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import Any

import pytest

from dagster_transform.claims import (
    WHOLE,
    Holder,
    Owner,
    OwnerKind,
    StoreError,
    StoreUnreachableError,
    Timing,
    Want,
)
from dagster_transform.claims.lease.releasing import Releases
from dagster_transform.errors import TransformError
from dagster_transform.planning import Limits, Outcome, RunPlan, Slot, Unit
from dagster_transform.runs.claiming import ClaimTimeoutError, Manner, RunClaims
from dagster_transform.runs.gate import ClaimGate
from dagster_transform.walk import Needs, Refused
from tests.contract.claims_stores import store_at
from tests.unit.fake_session import NEVER, Rehearsal, Script, VirtualInbox, build, check, promotion

LEASE, POLL = 1000.0, 2.0
FILE, PLACE = "file:/data/x.duckdb", "environment:s/prod"


class Counting:
    """A store that says how often it was asked for what, and that can be cut off."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.asked: Counter[str] = Counter()
        self.down = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            self.asked[name] += 1
            if self.down:
                raise StoreUnreachableError("memory", "the line is cut")
            return found(*args, **options)

        return call


class AtOnce(Releases):
    """Time is the test's here, so nothing can be left to a thread."""

    def add(self, claim_id: str, keys: Collection[str] | None) -> None:
        super().add(claim_id, keys)
        with suppress(StoreError):
            self.pay()


class Runs:
    """Runs whose claims are in one store; time is virtual, the store's too."""

    def __init__(self) -> None:
        self.inbox = VirtualInbox()
        timing = Timing(lease=LEASE, heartbeat=LEASE / 4, poll=POLL)
        self.real = store_at(None, clock=lambda _: 1e9 + self.inbox.now(), timing=timing)
        self.store = Counting(self.real)
        self.ended: set[str] = set()
        self.asked_about: set[str] = set()  # runs, of Dagster
        self.log: list[str] = []
        self.refreshed: list[str] = []
        self.slots: dict[str, tuple[Slot, ...]] = {}
        self.made: list[RunClaims] = []
        self.left_out: Any = None
        self.claims = self.run("mine")

    def run(self, name: str, *, skip: bool = False, wait: float = 900) -> RunClaims:
        manner = Manner(
            owner=Owner(OwnerKind.RUN, name, name, 0),
            skip=skip,
            wait=wait,
            ended=self.has_ended,
            slots_of=lambda unit: self.slots.get(unit, ()),
            log=self.log.append,
        )
        store: Any = self.store
        claims = RunClaims(store, manner, self.inbox, pause=self.inbox.let_time_pass)
        claims.keeper.releases = AtOnce(store, 1)
        self.made.append(claims)
        return claims

    def has_ended(self, run: str) -> bool:
        self.asked_about.add(run)
        return run in self.ended

    def other(self, *units: Unit, name: str = "other") -> RunClaims:
        """Another run, which has the tables of these units."""
        claims = self.run(name)
        claims.claim(plan_of(*units), keys_of(*units))
        return claims

    def begin(
        self, *units: Unit, keys: dict[str, str] | None = None, **scripts: Script
    ) -> Rehearsal:
        """Claim what a walk needs; the walk is not walked yet."""
        plan = plan_of(*units)
        self.claims.claim(plan, keys_of(*units) if keys is None else keys)
        gate = ClaimGate(self.claims, plan, lambda unit: self.refreshed.append(unit.id))
        named = {f"a:{name}": script for name, script in scripts.items()}
        return Rehearsal(*units, scripts=named, gate=gate, inbox=self.inbox, retry_delay=1)

    def walk(self, *units: Unit, **scripts: Script) -> Rehearsal:
        return self.begin(*units, **scripts).run()

    def held(self, *keys: str) -> list[tuple[str, str, int]]:
        """Who has what, and how much of it."""
        found = self.real.holders(keys or None)
        return [(h.run_id, h.resource_key, h.weight) for h in found]

    def at(self, seconds: float, look: Callable[[], Any]) -> list[Any]:
        """What something is at a moment; filled in when that has come."""
        seen: list[Any] = []
        self.inbox.later(seconds, lambda: seen.append(look()))
        return seen


@pytest.fixture
def runs() -> Iterator[Runs]:
    found = Runs()
    yield found
    found.store.down = False
    for claims in found.made:
        claims.close()
    assert found.held() == []
    found.real.close()


def plan_of(*units: Unit) -> RunPlan:
    return RunPlan({unit.id: unit for unit in units}, limits=Limits(max_concurrent_models=100))


def keys_of(*units: Unit) -> dict[str, str]:
    """A table for each build; a check is of the table that it comes after."""
    builds = {unit.id: f"table:{unit.id}" for unit in units if unit.kind.value == "build"}
    checks = {
        unit.id: builds.get(min(unit.after), f"table:{min(unit.after)}")
        for unit in units
        if unit.kind.value == "check"
    }
    return builds | checks


X, Y, BELOW, CHECK = build("a:x"), build("a:y"), build("a:below", "a:x"), check("a:c", "a:x")


# -- tables -------------------------------------------------------------------------------------


def test_a_run_that_does_not_wait_leaves_out_what_others_have(runs: Runs) -> None:
    other = runs.other(X)
    runs.claims = runs.run("mine", skip=True)
    units = (X, CHECK, Y)
    left_out = runs.claims.claim(plan_of(*units), keys_of(*units))
    assert {unit: why.outcome for unit, why in left_out.items()} == {
        "a:x": Outcome.CLAIMED, "a:c": Outcome.CLAIMED,
    }  # fmt: skip
    assert "table:a:x, which run other has claimed since 2001-09-09" in left_out["a:x"].reason
    assert runs.claims.holders == {"a:x": "other", "a:c": "other"}
    assert ("mine", "table:a:y", WHOLE) in runs.held()
    other.close()
    # It stands in no queue either: the next one that comes has it.
    assert runs.run("third").claim(plan_of(X), keys_of(X)) == {}
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


def test_what_is_never_let_go_is_claimed_in_the_end_with_its_holder(runs: Runs) -> None:
    runs.other(X)
    runs.claims = runs.run("mine", wait=10)
    walk = runs.walk(X, BELOW, CHECK, Y)
    assert walk.outcomes == {
        "a:x": "claimed", "a:below": "waiting", "a:c": "waiting", "a:y": "built",
    }  # fmt: skip
    assert "table:a:x, which run other has claimed since" in walk.reasons["a:x"]
    assert runs.claims.holders["a:x"] == "other"
    assert walk.inbox.now() == 11  # it asks when y has ended at 1, and then each two seconds
    assert runs.held() == [("other", "table:a:x", WHOLE)]


def test_a_pause_is_told_as_one_and_is_no_run(runs: Runs) -> None:
    runs.real.pause("table:a:x", capacity=WHOLE, reason="repairs", by="ann")
    runs.claims = runs.run("mine", skip=True)
    left_out = runs.claims.claim(plan_of(X), keys_of(X))
    assert "ann has paused since" in left_out["a:x"].reason
    assert "(repairs)" in left_out["a:x"].reason
    assert runs.claims.holders == {}
    assert "ann" not in runs.asked_about
    assert runs.real.resume("table:a:x")


def test_a_table_is_let_go_when_its_node_and_its_checks_are_done(runs: Runs) -> None:
    late = check("a:late", "a:x")
    scripts = {"x": Script(1), "c": Script(3), "late": Script(6), "y": Script(20)}
    rehearsal = runs.begin(X, CHECK, late, Y, **scripts)
    mine = lambda: len(runs.held("table:a:x"))  # noqa: E731
    before, between, after = runs.at(0.5, mine), runs.at(5, mine), runs.at(8, mine)
    rehearsal.run()
    assert (before, between, after) == ([1], [1], [0])
    assert runs.held() == []


def test_a_table_is_let_go_when_its_node_is_blocked(runs: Runs) -> None:
    rehearsal = runs.begin(X, BELOW, Y, x=Script(1, Outcome.FAILED), y=Script(20))
    seen = runs.at(3, runs.held)
    rehearsal.run()
    assert seen == [[("mine", "table:a:y", WHOLE)]]


def test_what_the_plan_does_not_need_in_the_end_is_let_go_at_once(runs: Runs) -> None:
    runs.claims.claim(plan_of(X, Y), keys_of(X, Y))
    ClaimGate(runs.claims, plan_of(Y), lambda _: None)
    assert runs.held() == [("mine", "table:a:y", WHOLE)]


def test_an_out_of_band_check_takes_a_share_which_others_have_too(runs: Runs) -> None:
    outside = check("a:c", "b:x")
    runs.claims.claim(plan_of(outside), keys_of(outside))
    second = runs.run("second")
    second.claim(plan_of(outside), keys_of(outside))
    assert [weight for _, _, weight in runs.held()] == [1, 1]


# -- what a promotion needs besides ------------------------------------------------------------

LAST = promotion("a:last", "a:x")
FURTHER = {"a:last": {"table:a:x": True, "table:old": True, "table:read": False}}


def begin_with_further(runs: Runs, *units: Unit, **scripts: Script) -> Rehearsal:
    plan = plan_of(*units)
    runs.left_out = runs.claims.claim(plan, keys_of(*units), FURTHER)
    gate = ClaimGate(runs.claims, plan, lambda unit: runs.refreshed.append(unit.id))
    named = {f"a:{name}": script for name, script in scripts.items()}
    return Rehearsal(*units, scripts=named, gate=gate, inbox=runs.inbox)


def test_what_a_promotion_needs_is_claimed_in_the_same_call_and_held_until_it_has_ended(
    runs: Runs,
) -> None:
    before = runs.store.asked["acquire"]
    rehearsal = begin_with_further(runs, X, LAST, last=Script(3))
    assert runs.store.asked["acquire"] - before == 1
    every = [("mine", "table:a:x", WHOLE), ("mine", "table:old", WHOLE), ("mine", "table:read", 1)]
    assert sorted(runs.held()) == every
    between, after = runs.at(2, runs.held), runs.at(5, runs.held)
    assert rehearsal.run().outcomes == {"a:x": "built", "a:last": "promoted"}
    assert sorted(between[0]) == every  # also what a build has written: it is changed again
    runs.inbox.let_time_pass(6)
    assert after == [[]]


def test_a_promotion_waits_until_others_have_let_go_of_what_it_changes(runs: Runs) -> None:
    old = build("a:old")
    other = runs.run("other")
    other.claim(plan_of(old), {"a:old": "table:old"})
    rehearsal = begin_with_further(runs, X, LAST)
    runs.inbox.later(20, other.close)
    walk = rehearsal.run()
    assert walk.times == {"a:x": (0, 1), "a:last": (21, 22)}
    assert sum("Waiting for table:old, which run other has claimed" in x for x in runs.log) == 1
    assert runs.refreshed == []


def test_a_run_that_does_not_wait_builds_and_leaves_the_promotion(runs: Runs) -> None:
    old = build("a:old")
    other = runs.run("other")
    other.claim(plan_of(old), {"a:old": "table:old"})
    runs.claims = runs.run("mine", skip=True)
    walk = begin_with_further(runs, X, LAST).run()
    assert runs.left_out == {}
    assert walk.outcomes == {"a:x": "built", "a:last": "claimed"}
    assert runs.inbox.now() == 1
    assert "table:old, which run other has claimed since" in walk.reasons["a:last"]
    assert runs.held() == [("other", "table:old", WHOLE)]


def test_a_promotion_that_has_lost_a_table_does_not_start(runs: Runs) -> None:
    rehearsal = begin_with_further(runs, X, LAST, x=Script(5))

    def lose() -> None:
        tables = next(h.claim_id for h in runs.real.holders(["table:old"]))
        runs.real.release(tables, ["table:old"])
        runs.claims.keeper.renew()

    runs.inbox.later(1, lose)
    held = runs.at(2, lambda: (runs.claims.holds("a:x"), runs.claims.holds("a:last")))
    walk = rehearsal.run()
    assert held == [(True, False)]
    assert walk.outcomes == {"a:x": "built", "a:last": "cancelled"}
    assert "its claim was lost" in walk.reasons["a:last"]


def test_the_sessions_of_a_promotion_are_written_down_too(runs: Runs) -> None:
    begin_with_further(runs, X, LAST)
    runs.claims.builds_in("a:last", frozenset({"s1"}))
    assert {h.sessions for h in runs.real.holders()} == {("s1",)}


# -- slots --------------------------------------------------------------------------------------


def test_slots_are_counted_within_the_walk_without_asking_the_store(runs: Runs) -> None:
    units = [build(f"a:{i}") for i in range(6)]
    runs.slots = {unit.id: (Slot("tag:heavy", 1, 2),) for unit in units}
    rehearsal = runs.begin(*units)
    before = runs.store.asked["acquire"]
    walk = rehearsal.run()
    assert [walk.times[f"a:{i}"][0] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    assert runs.store.asked["acquire"] - before == 6


def test_checks_take_connections_too(runs: Runs) -> None:
    slot = (Slot("connections:c", 1, 1),)
    runs.slots = {"a:x": slot, "a:c": slot, "a:d": slot}
    walk = runs.walk(build("a:x"), check("a:c", "a:x"), check("a:d", "a:x"))
    assert sorted(walk.times.values()) == [(0, 1), (1, 2), (2, 3)]
    assert runs.held() == []


def test_slots_are_counted_over_all_runs(runs: Runs) -> None:
    units = [build("a:0"), build("a:1"), build("a:2")]
    runs.slots = {unit.id: (Slot("tag:heavy", 1, 2),) for unit in units}
    owner = Owner(OwnerKind.RUN, "other", "other", 0)
    runs.real.acquire(owner, [Want("tag:heavy", 1, 2)], claim_id="o", all_or_nothing=True)
    rehearsal = runs.begin(*units, **{"0": Script(9), "1": Script(9), "2": Script(9)})
    runs.inbox.later(5, lambda: runs.real.release("o"))
    walk = rehearsal.run()
    assert [walk.times[f"a:{i}"][0] for i in range(3)] == [0, 6, 9]
    assert any("Waiting for tag:heavy, which run other has claimed" in line for line in runs.log)
    assert runs.held() == []


def test_a_unit_that_takes_two_waits_for_two_and_a_retry_gives_them_back(runs: Runs) -> None:
    runs.slots = {"a:x": (Slot("tag:heavy", 2, 2),), "a:y": (Slot("tag:heavy", 1, 2),)}
    walk = runs.walk(X, Y, x=Script(transient_failures=1))
    # x fails at 1 and rests for a second, in which y has the slot.
    assert [ran.start for ran in walk.runs_of("a:x")] == [0, 2]
    assert walk.times["a:y"] == (1, 2)


def test_slots_of_runs_that_have_ended_are_taken(runs: Runs) -> None:
    runs.slots = {"a:x": (Slot("tag:heavy", 1, 1),)}
    owner = Owner(OwnerKind.RUN, "dead", "dead", 0)
    runs.real.acquire(owner, [Want("tag:heavy")], claim_id="d", all_or_nothing=True)
    runs.ended = {"dead"}
    assert runs.walk(X).times["a:x"] == (0, 1)


def test_a_unit_waits_for_its_slots_while_the_store_does_not_answer(runs: Runs) -> None:
    runs.slots = {"a:x": (Slot("tag:heavy", 1, 1),)}
    rehearsal = runs.begin(X)
    runs.store.down = True
    runs.inbox.later(5, lambda: setattr(runs.store, "down", False))
    assert rehearsal.run().times["a:x"] == (6, 7)
    assert sum("the line is cut" in line for line in runs.log) == 1


# -- the ground ---------------------------------------------------------------------------------


def test_an_environment_is_shared_again_after_the_last_promotion(runs: Runs) -> None:
    runs.claims.take_ground({"a": Needs(environment=PLACE, alone=True)})
    first, last = promotion("a:first", "a:x"), promotion("a:last", "a:first")
    scripts = {"x": Script(1), "first": Script(1), "last": Script(1), "y": Script(1)}
    after = build("a:y", "a:last")
    rehearsal = runs.begin(X, first, last, after, **scripts)
    weight = lambda: runs.held(PLACE)[0][2]  # noqa: E731
    between, then = runs.at(2.5, weight), runs.at(3.5, weight)
    rehearsal.run()
    assert (between, then) == ([WHOLE], [1])


def test_an_environment_of_two_projects_is_shared_when_both_have_promoted(runs: Runs) -> None:
    runs.claims.take_ground(dict.fromkeys("ab", Needs(environment=PLACE, alone=True)))
    assert runs.held() == [("mine", PLACE, WHOLE)]
    runs.claims.settle("a", alone=False)
    assert runs.held() == [("mine", PLACE, WHOLE)]
    runs.claims.settle("b", alone=True)
    assert runs.held() == [("mine", PLACE, WHOLE)]
    runs.claims.settle("b", alone=False)
    assert runs.held() == [("mine", PLACE, 1)]


def test_runs_share_an_environment_and_a_plan_has_it_alone(runs: Runs) -> None:
    for claims in (runs.claims, runs.run("second")):
        claims.take_ground({"a": Needs(environment=PLACE)})
    plan = runs.run("plan", wait=4)
    with pytest.raises(ClaimTimeoutError):
        plan.take_ground({"a": Needs(environment=PLACE, alone=True)})


def test_the_ground_is_waited_for_and_not_for_ever(runs: Runs) -> None:
    other = runs.run("other")
    other.take_ground({"a": Needs(frozenset({FILE}))})
    patient, hasty = runs.run("patient"), runs.run("hasty", wait=10)
    with pytest.raises(ClaimTimeoutError) as raised:
        hasty.take_ground({"a": Needs(frozenset({FILE}), PLACE)})
    assert f"has waited 10 s for {FILE}, which run other has claimed" in str(raised.value)
    assert "claims list" in str(raised.value.remedy)
    assert runs.inbox.now() == 10
    runs.inbox.later(1, other.close)
    patient.take_ground({"a": Needs(frozenset({FILE}))})  # the hasty one stands in no queue
    assert runs.inbox.now() == 12
    assert runs.held() == [("patient", FILE, 1)]


# -- runs that have ended, and their sessions ---------------------------------------------------


def test_what_a_run_held_that_has_ended_is_taken_at_once(runs: Runs) -> None:
    dead = runs.other(X, name="dead")
    dead.take_ground({"a": Needs(frozenset({FILE}))})
    runs.ended = {"dead"}
    runs.claims.take_ground({"a": Needs(frozenset({FILE}))})
    assert runs.held() == [("mine", FILE, 1)]
    assert runs.log == ["Run dead has ended without releasing its claims: done now."]
    runs.other(X, name="dead")
    assert runs.claims.claim(plan_of(X), keys_of(X)) == {}
    assert not runs.claims.missing


def test_a_run_that_ends_while_it_is_waited_for_is_noticed(runs: Runs) -> None:
    runs.other(X, name="dead")
    rehearsal = runs.begin(X)
    runs.inbox.later(5, lambda: runs.ended.add("dead"))
    assert rehearsal.run().times["a:x"] == (6, 7)


class Server:
    """A database server with sessions that may not be ended."""

    def __init__(self, runs: Runs, *sessions: str) -> None:
        self.runs = runs
        self.sessions = set(sessions)
        self.stubborn = False
        self.while_ending: list[Holder] = []

    def end(self, sessions: Collection[str]) -> Collection[str]:
        self.while_ending += self.runs.real.holders()
        if not self.stubborn:
            self.sessions -= set(sessions)
        return set(sessions) - self.sessions


def test_the_sessions_of_a_run_that_has_ended_end_before_its_tables_are_released(
    runs: Runs,
) -> None:
    dead = runs.other(X, Y, name="dead")
    dead.builds_in("a:x", frozenset({"s1", "s2"}))
    runs.ended = {"dead"}
    server = Server(runs, "s1", "s2", "s3")
    server.stubborn = True
    runs.claims.end_sessions = server.end
    runs.claims.claim(plan_of(X), keys_of(X))
    assert set(runs.claims.missing) == {"table:a:x"}
    assert {run for run, _, _ in runs.held()} == {"dead"}
    server.stubborn = False
    server.while_ending.clear()
    assert runs.claims.free_the_dead({"table:a:x": runs.claims.holders_of("table:a:x")})
    assert server.sessions == {"s3"}
    assert {h.run_id for h in server.while_ending} == {"dead"}
    assert runs.held() == []


def test_the_sessions_of_a_plan_end_before_its_environment_is_used(runs: Runs) -> None:
    needs = {"a": Needs(frozenset({FILE}), PLACE, alone=True)}
    stopped = runs.run("stopped")
    stopped.take_ground(needs)
    stopped.builds_in(PLACE, frozenset({"s1"}))
    stopped.builds_in(PLACE, frozenset({"s2"}))
    stopped.builds_in(PLACE, frozenset({"s2"}))
    assert runs.store.asked["set_session"] == 2
    assert {h.resource_key: h.sessions for h in runs.real.holders()} == {
        FILE: (), PLACE: ("s1", "s2"),
    }  # fmt: skip
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1", "s2", "s3")
    server.stubborn = True
    runs.inbox.later(5, lambda: setattr(server, "stubborn", False))
    runs.claims.end_sessions = server.end
    runs.claims.take_ground(needs)
    assert runs.inbox.now() == LEASE + 7
    assert server.sessions == {"s3"}
    assert any("could not be ended (s1, s2)" in line for line in runs.log)
    assert {(h.run_id, h.sessions) for h in runs.real.holders()} == {("mine", ())}


def test_an_environment_whose_sessions_never_end_is_left_to_whoever_comes_next(runs: Runs) -> None:
    needs = {"a": Needs(frozenset({FILE}), PLACE, alone=True)}
    stopped = runs.run("stopped")
    stopped.take_ground(needs)
    stopped.builds_in(PLACE, frozenset({"s1"}))
    runs.inbox.let_time_pass(LEASE + 1)

    def refuse(_: Collection[str]) -> Collection[str]:
        raise TransformError("permission denied")

    hasty = runs.run("hasty", wait=5)
    hasty.end_sessions = refuse
    with pytest.raises(ClaimTimeoutError, match=r"could not be ended \(s1\)"):
        hasty.take_ground(needs)
    hasty.close()
    assert "permission denied" in runs.log
    assert runs.held() == [("hasty", PLACE, WHOLE)]
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1")
    runs.claims.end_sessions = server.end
    runs.claims.take_ground(needs)
    assert server.sessions == set()


def test_what_others_still_build_is_ended_before_a_table_is_built_that_was_taken_over(
    runs: Runs,
) -> None:
    stopped = runs.other(X, name="stopped")
    stopped.builds_in("a:x", frozenset({"s1"}))
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1", "s2")
    runs.claims.end_sessions = server.end
    assert runs.claims.claim(plan_of(X), keys_of(X)) == {}
    assert server.sessions == {"s2"}
    (holder,) = runs.real.holders()
    assert (holder.run_id, holder.sessions) == ("mine", ())


def test_a_table_is_not_built_while_a_session_there_does_not_end(runs: Runs) -> None:
    stopped = runs.other(X, name="stopped")
    stopped.builds_in("a:x", frozenset({"s1"}))
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1")
    server.stubborn = True
    runs.claims.end_sessions = server.end
    rehearsal = runs.begin(X)
    runs.inbox.later(5, lambda: setattr(server, "stubborn", False))
    assert rehearsal.run().times["a:x"] == (LEASE + 7, LEASE + 8)
    assert runs.refreshed == ["a:x"]


def test_a_session_that_never_ends_is_told_and_left_to_whoever_comes_next(runs: Runs) -> None:
    stopped = runs.other(X, name="stopped")
    stopped.builds_in("a:x", frozenset({"s1"}))
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1")
    server.stubborn = True
    runs.claims = runs.run("mine", wait=10)
    runs.claims.end_sessions = server.end
    walk = runs.walk(X, BELOW)
    assert walk.outcomes == {"a:x": "claimed", "a:below": "waiting"}
    assert "a session on the database server that could not be ended (s1)" in walk.reasons["a:x"]
    runs.claims.close()
    skips = runs.run("skips", skip=True)
    skips.end_sessions = server.end
    left_out = skips.claim(plan_of(X), keys_of(X))
    assert left_out["a:x"].outcome is Outcome.CLAIMED
    runs.inbox.let_time_pass(LEASE + 1)
    assert skips.claim(plan_of(X), keys_of(X))["a:x"].outcome is Outcome.CLAIMED
    server.stubborn = False
    third = runs.run("third")
    third.end_sessions = server.end
    runs.inbox.let_time_pass(LEASE + 1)
    assert third.claim(plan_of(X), keys_of(X)) == {}
    assert server.sessions == set()
    for claims in (runs.claims, skips):
        claims.close()


def test_sessions_are_written_down_once_for_all_tables(runs: Runs) -> None:
    units = [build(f"a:{i}") for i in range(5)]
    other = runs.other(X)
    runs.begin(*units, X)
    tell = runs.claims.builds_in
    for unit in units:
        tell(unit.id, frozenset({"s1"}))
    assert runs.store.asked["set_session"] == 1
    tell("a:0", frozenset({"s1", "s2"}))
    tell("a:1", frozenset({"s1"}))
    assert runs.store.asked["set_session"] == 2
    other.close()
    runs.claims.ask()
    tell("a:x", frozenset({"s1", "s2"}))  # its table was granted after the others
    assert runs.store.asked["set_session"] == 3
    tell("a:unknown", frozenset({"s9"}))
    assert runs.store.asked["set_session"] == 3
    assert {h.sessions for h in runs.real.holders(run_id="mine")} == {("s1", "s2")}


def test_a_node_is_built_although_the_store_cannot_be_told_in_which_session(runs: Runs) -> None:
    runs.begin(X, Y)
    runs.store.down = True
    runs.claims.builds_in("a:x", frozenset({"s1"}))
    runs.store.down = False
    assert any("the line is cut" in line for line in runs.log)
    runs.claims.builds_in("a:y", frozenset({"s1"}))
    assert {h.sessions for h in runs.real.holders()} == {("s1",)}


# -- claims that are lost -----------------------------------------------------------------------


def test_a_lost_table_ends_its_node_and_refuses_what_has_not_started(runs: Runs) -> None:
    rehearsal = runs.begin(X, CHECK, Y, x=Script(NEVER), y=Script(20))
    assert runs.claims.holds("a:x")

    def lose() -> None:
        tables = next(h.claim_id for h in runs.real.holders(["table:a:x"]))
        runs.real.release(tables, ["table:a:x"])
        runs.claims.keeper.renew()

    runs.inbox.later(3, lose)
    walk = rehearsal.run()
    assert walk.outcomes == {"a:x": "cancelled", "a:c": "cancelled", "a:y": "built"}
    assert walk.times["a:x"] == (0, 3.25)
    reason = "its claim was lost: its lease expired or somebody released it"
    assert walk.reasons["a:x"] == reason
    assert not runs.claims.holds("a:x")
    gate = ClaimGate(runs.claims, plan_of(X), lambda _: None)
    assert gate.enter(X) == Refused(Outcome.CANCELLED, reason)
    assert gate.enter(CHECK) == Refused(Outcome.CANCELLED, reason)


def test_a_lost_environment_ends_all_and_nothing_is_promoted(runs: Runs) -> None:
    runs.claims.take_ground({"a": Needs(environment=PLACE, alone=True)})
    last = promotion("a:last", "a:y")
    rehearsal = runs.begin(X, Y, last, x=Script(NEVER), y=Script(3, heeds_cancel=False))

    def lose() -> None:
        (place,) = runs.real.holders([PLACE])
        runs.real.release(place.claim_id)
        runs.claims.keeper.renew()

    runs.inbox.later(1, lose)
    held = runs.at(2, lambda: runs.claims.holds("a:y"))
    walk = rehearsal.run()
    assert held == [False]
    assert walk.outcomes == {"a:x": "cancelled", "a:y": "built", "a:last": "cancelled"}
    assert "its claim was lost" in walk.reasons["a:last"]


def test_a_run_trusts_its_claim_while_the_store_does_not_answer(runs: Runs) -> None:
    runs.begin(X)
    runs.store.down = True
    assert runs.claims.holds("a:x")
    assert runs.claims.holds("a:unclaimed")
    runs.claims.let_go(["table:a:x"])
    assert not runs.claims.holds("a:x")
    runs.store.down = False
    runs.claims.keeper.close()  # pays what is owed
    assert runs.held() == []


def test_a_promotion_goes_on_where_the_environment_cannot_be_shared_again(runs: Runs) -> None:
    runs.claims.take_ground({"a": Needs(environment=PLACE, alone=True)})
    rehearsal = runs.begin(X, promotion("a:last", "a:x"))
    runs.inbox.later(1.5, lambda: setattr(runs.store, "down", True))
    assert rehearsal.run().outcomes == {"a:x": "built", "a:last": "promoted"}
    assert any("the line is cut" in line for line in runs.log)
