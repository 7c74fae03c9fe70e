"""What every claims store does: who waits is served in turn."""

from __future__ import annotations

from dagster_transform.claims import new_claim_id
from dagster_transform.claims.store.sql_store import SqlStore
from tests.support.claims_stores import (
    TIMING,
    Clock,
    run,
    slot,
    table,
    take,
)


def test_who_waits_is_served_first_come_first_served(store: SqlStore, clock: Clock) -> None:
    held = take(store, "holder", table("a"))
    assert take(store, "first", table("a"), wait=True) is None
    claim = new_claim_id()
    store.acquire(run("second"), [table("a")], claim_id=claim, all_or_nothing=True, wait=True)
    assert held
    store.release(held)
    answer = store.acquire(
        run("second"), [table("a")], claim_id=claim, all_or_nothing=True, wait=True
    )
    (ahead,) = answer.refused["table:a"]
    assert (ahead.run_id, ahead.waiting) == ("first", True)
    assert take(store, "third", table("a")) is None
    # The first does not ask again: its place is lost after three polls.
    clock.tick(TIMING.waiter_life / 2)
    wait = {"claim_id": claim, "all_or_nothing": True, "wait": True}
    assert store.acquire(run("second"), [table("a")], **wait).granted is None
    clock.tick(TIMING.waiter_life / 2)
    assert take(store, "third", table("a")) is None
    assert store.acquire(run("second"), [table("a")], **wait).granted
    assert take(store, "third", table("a")) is None
    store.release(claim)
    assert take(store, "third", table("a"))


def test_a_persons_run_comes_before_a_ticks(store: SqlStore) -> None:
    held = take(store, "holder", table("a"))
    tick = {"claim_id": "tick", "all_or_nothing": True, "wait": True}
    person = {"claim_id": "person", "all_or_nothing": True, "wait": True}
    store.acquire(run("tick"), [table("a")], **tick)
    store.acquire(run("person", priority=1), [table("a")], **person)
    assert held
    store.release(held)
    assert store.acquire(run("tick"), [table("a")], **tick).granted is None
    assert store.acquire(run("person", priority=1), [table("a")], **person).granted


def test_one_asked_in_passing_may_have_what_those_who_wait_leave(store: SqlStore) -> None:
    """Places in a queue hold back no more than they want."""
    held = take(store, "holder", slot(weight=2))
    assert take(store, "waits", slot(weight=2), wait=True) is None
    assert take(store, "passes", slot(weight=1)) is None  # the one that is free is waited for
    assert held
    store.release(held)
    assert take(store, "passes", slot(weight=1))  # 3 are free, 2 are waited for


def test_who_waits_for_one_thing_does_not_keep_another_idle(store: SqlStore) -> None:
    take(store, "holder", table("a"))
    assert take(store, "waits", table("a"), table("b"), wait=True) is None
    assert take(store, "passes", table("b"))


def test_a_place_once_taken_is_kept_until_all_is_there(store: SqlStore) -> None:
    """So a claimant that wants several things is not overtaken at one of them for ever."""
    one = take(store, "one", table("a"))
    both = {"claim_id": "both", "all_or_nothing": True, "wait": True}
    wants = [table("a"), table("b")]
    store.acquire(run("both"), wants, **both)
    two = take(store, "two", table("b"))
    assert one
    assert two
    store.release(one)
    assert store.acquire(run("both"), wants, **both).granted is None
    assert take(store, "barges", table("a")) is None
    store.release(two)
    assert take(store, "barges", table("b")) is None
    assert store.acquire(run("both"), wants, **both).granted


def test_what_a_dead_claim_left_is_not_kept_for_who_waits(store: SqlStore, clock: Clock) -> None:
    store.acquire(run("dead"), [table("a")], claim_id="dead", all_or_nothing=True)
    clock.tick(TIMING.lease - 1)
    assert take(store, "waits", table("a"), wait=True) is None
    clock.tick(1)
    retry = run("retry", 1, root="dead")
    assert store.acquire(retry, [table("a")], claim_id="r", all_or_nothing=True).granted


def test_releasing_gives_up_places_in_queues(store: SqlStore) -> None:
    held = take(store, "holder", table("a"))
    waits = {"claim_id": "waits", "all_or_nothing": True, "wait": True}
    store.acquire(run("waits"), [table("a")], **waits)
    store.release("waits")
    assert held
    store.release(held)
    assert take(store, "next", table("a"))
