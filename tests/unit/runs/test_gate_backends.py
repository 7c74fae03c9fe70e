"""Claims of runs that have ended, and the backends that these have left."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from dagster_transform.claims import (
    WHOLE,
    Holder,
)
from dagster_transform.errors import TransformError
from dagster_transform.planning import Outcome
from dagster_transform.runs.claiming.claims import ClaimTimeoutError
from dagster_transform.walk import SharedResources
from tests.support.claiming_runs import BELOW, FILE, LEASE, PLACE, Runs, X, Y, keys_of, plan_of
from tests.support.fake_project_run import (
    build,
)

# -- runs that have ended, and their backends ---------------------------------------------------


def test_what_a_run_held_that_has_ended_is_taken_at_once(runs: Runs) -> None:
    dead = runs.other(X, name="dead")
    dead.take_shared({"a": SharedResources(frozenset({FILE}))})
    runs.ended = {"dead"}
    runs.claims.take_shared({"a": SharedResources(frozenset({FILE}))})
    assert runs.held() == [("mine", FILE, 1)]
    assert runs.log == ["Run dead has ended without releasing its claims: done now."]
    runs.other(X, name="dead")
    assert runs.claims.claim_tables(plan_of(X), keys_of(X)) == {}
    assert not runs.claims.missing


def test_a_run_that_ends_while_it_is_waited_for_is_noticed(runs: Runs) -> None:
    runs.other(X, name="dead")
    rehearsal = runs.begin(X)
    runs.inbox.later(5, lambda: runs.ended.add("dead"))
    assert rehearsal.run().times["a:x"] == (6, 7)


class Server:
    """A database server with backends that may not be ended."""

    def __init__(self, runs: Runs, *backends: str) -> None:
        self.runs = runs
        self.backends = set(backends)
        self.stubborn = False
        self.while_ending: list[Holder] = []

    def end(self, backends: Collection[str]) -> Collection[str]:
        self.while_ending += self.runs.real.holders()
        if not self.stubborn:
            self.backends -= set(backends)
        return set(backends) - self.backends


def test_the_backends_of_a_run_that_has_ended_end_before_its_tables_are_released(
    runs: Runs,
) -> None:
    dead = runs.other(X, Y, name="dead")
    dead.held.builds_in("a:x", frozenset({"s1", "s2"}))
    runs.ended = {"dead"}
    server = Server(runs, "s1", "s2", "s3")
    server.stubborn = True
    runs.servers["mine"] = server.end
    runs.claims.claim_tables(plan_of(X), keys_of(X))
    assert set(runs.claims.missing) == {"table:a:x"}
    assert {run for run, _, _ in runs.held()} == {"dead"}
    server.stubborn = False
    server.while_ending.clear()
    assert runs.claims.release_ended_runs({"table:a:x": runs.claims.holders_of("table:a:x")})
    assert server.backends == {"s3"}
    assert {h.run_id for h in server.while_ending} == {"dead"}
    assert runs.held() == []


def test_the_backends_of_a_plan_end_before_its_environment_is_used(runs: Runs) -> None:
    shared = {"a": SharedResources(frozenset({FILE}), PLACE, alone=True)}
    stopped = runs.run("stopped")
    stopped.take_shared(shared)
    stopped.held.plans_in(PLACE, frozenset({"s1"}))
    stopped.held.plans_in(PLACE, frozenset({"s2"}))
    stopped.held.plans_in(PLACE, frozenset({"s2"}))
    assert runs.store.asked["set_backends"] == 2
    assert {h.resource_key: h.backends for h in runs.real.holders()} == {
        FILE: (), PLACE: ("s1", "s2"),
    }  # fmt: skip
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1", "s2", "s3")
    server.stubborn = True
    runs.inbox.later(5, lambda: setattr(server, "stubborn", False))
    runs.servers["mine"] = server.end
    runs.claims.take_shared(shared)
    assert runs.inbox.now() == LEASE + 7
    assert server.backends == {"s3"}
    assert any("could not be ended (s1, s2)" in line for line in runs.log)
    assert {(h.run_id, h.backends) for h in runs.real.holders()} == {("mine", ())}


def test_an_environment_whose_backends_never_end_stays_for_whoever_comes_next(runs: Runs) -> None:
    shared = {"a": SharedResources(frozenset({FILE}), PLACE, alone=True)}
    stopped = runs.run("stopped")
    stopped.take_shared(shared)
    stopped.held.plans_in(PLACE, frozenset({"s1"}))
    runs.inbox.let_time_pass(LEASE + 1)

    def refuse(_: Collection[str]) -> Collection[str]:
        raise TransformError("permission denied")

    hasty = runs.run("hasty", wait=5)
    runs.servers["hasty"] = refuse
    with pytest.raises(ClaimTimeoutError, match=r"could not be ended \(s1\)"):
        hasty.take_shared(shared)
    hasty.close()
    assert "permission denied" in runs.log
    assert runs.held() == [("hasty", PLACE, WHOLE)]
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1")
    runs.servers["mine"] = server.end
    runs.claims.take_shared(shared)
    assert server.backends == set()


def test_what_others_still_build_is_ended_before_a_table_is_built_that_was_taken_over(
    runs: Runs,
) -> None:
    stopped = runs.other(X, name="stopped")
    stopped.held.builds_in("a:x", frozenset({"s1"}))
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1", "s2")
    runs.servers["mine"] = server.end
    assert runs.claims.claim_tables(plan_of(X), keys_of(X)) == {}
    assert server.backends == {"s2"}
    (holder,) = runs.real.holders()
    assert (holder.run_id, holder.backends) == ("mine", ())


def test_a_table_is_not_built_while_a_backend_there_does_not_end(runs: Runs) -> None:
    stopped = runs.other(X, name="stopped")
    stopped.held.builds_in("a:x", frozenset({"s1"}))
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1")
    server.stubborn = True
    runs.servers["mine"] = server.end
    rehearsal = runs.begin(X)
    runs.inbox.later(5, lambda: setattr(server, "stubborn", False))
    assert rehearsal.run().times["a:x"] == (LEASE + 7, LEASE + 8)
    assert runs.refreshed == ["a:x"]


def test_a_backend_that_never_ends_is_said_and_stays_for_whoever_comes_next(runs: Runs) -> None:
    stopped = runs.other(X, name="stopped")
    stopped.held.builds_in("a:x", frozenset({"s1"}))
    runs.inbox.let_time_pass(LEASE + 1)
    server = Server(runs, "s1")
    server.stubborn = True
    runs.claims = runs.run("mine", wait=10)
    runs.servers["mine"] = server.end
    walk = runs.walk(X, BELOW)
    assert walk.outcomes == {"a:x": "claimed", "a:below": "waiting"}
    assert "a backend of the database server that could not be ended (s1)" in walk.reasons["a:x"]
    runs.claims.close()
    skips = runs.run("skips", skip=True)
    runs.servers["skips"] = server.end
    left_out = skips.claim_tables(plan_of(X), keys_of(X))
    assert left_out["a:x"].outcome is Outcome.CLAIMED
    runs.inbox.let_time_pass(LEASE + 1)
    assert skips.claim_tables(plan_of(X), keys_of(X))["a:x"].outcome is Outcome.CLAIMED
    server.stubborn = False
    third = runs.run("third")
    runs.servers["third"] = server.end
    runs.inbox.let_time_pass(LEASE + 1)
    assert third.claim_tables(plan_of(X), keys_of(X)) == {}
    assert server.backends == set()
    for claims in (runs.claims, skips):
        claims.close()


def test_backends_are_written_down_once_for_all_tables(runs: Runs) -> None:
    units = [build(f"a:{i}") for i in range(5)]
    other = runs.other(X)
    runs.begin(*units, X)
    record = runs.claims.held.builds_in
    for unit in units:
        record(unit.id, frozenset({"s1"}))
    assert runs.store.asked["set_backends"] == 1
    record("a:0", frozenset({"s1", "s2"}))
    record("a:1", frozenset({"s1"}))
    assert runs.store.asked["set_backends"] == 2
    other.close()
    runs.claims.ask()
    record("a:x", frozenset({"s1", "s2"}))  # its table was granted after the others
    assert runs.store.asked["set_backends"] == 3
    record("a:unknown", frozenset({"s9"}))
    assert runs.store.asked["set_backends"] == 3
    assert {h.backends for h in runs.real.holders(run_id="mine")} == {("s1", "s2")}


def test_a_node_is_built_although_the_store_cannot_be_told_in_which_backend(runs: Runs) -> None:
    runs.begin(X, Y)
    runs.store.down = True
    runs.claims.held.builds_in("a:x", frozenset({"s1"}))
    runs.store.down = False
    assert any("the line is cut" in line for line in runs.log)
    runs.claims.held.builds_in("a:y", frozenset({"s1"}))
    assert {h.backends for h in runs.real.holders()} == {("s1",)}
