"""What every claims store does: leases end, are renewed, released and taken over."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from dagster_transform.claims import (
    WHOLE,
    ClaimLostError,
    Want,
)
from dagster_transform.claims.store.sql_store import SqlStore
from tests.support.claims_stores import (
    TIMING,
    Clock,
    holders,
    plan,
    run,
    slot,
    store_at,
    table,
    take,
)


def test_a_lease_that_nobody_renews_is_taken_over_with_a_higher_fence(
    store: SqlStore, clock: Clock
) -> None:
    old = store.acquire(run("dead"), [table("a")], claim_id="c1", all_or_nothing=True).granted
    assert old
    clock.tick(TIMING.lease)
    assert [holder.run_id for holder in store.expired()] == ["dead"]
    assert store.holders() == []
    assert not store.holds("c1", "table:a", 1)
    new = store.acquire(run("next"), [table("a")], claim_id="c2", all_or_nothing=True).granted
    assert new
    assert new.fences == {"table:a": 2}
    assert store.expired() == []
    assert store.release("c1") == ()
    with pytest.raises(ClaimLostError) as lost:
        store.renew([old])
    assert lost.value.lost == {"c1": ("table:a",)}
    assert holders(store) == {"table:a": ["next"]}
    kinds = [event.kind for event in store.events()]
    assert kinds == ["granted", "expired", "granted", "lost"]


def test_renewing_keeps_a_claim_and_too_late_is_too_late(store: SqlStore, clock: Clock) -> None:
    grant = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    assert grant
    for _ in range(5):
        clock.tick(TIMING.heartbeat)
        store.renew([grant])
    clock.tick(TIMING.lease - 0.01)
    assert take(store, "other", table("a")) is None
    clock.tick(0.01)
    with pytest.raises(ClaimLostError, match="table:a"):
        store.renew([grant])
    with pytest.raises(ClaimLostError, match="table:a"):  # the id is over
        store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True)
    assert take(store, "other", table("a"))


def test_a_renewal_names_what_is_lost_and_keeps_the_rest(store: SqlStore, clock: Clock) -> None:
    wants = [table("a"), table("b")]
    one = store.acquire(run("one"), wants, claim_id="c1", all_or_nothing=True).granted
    two = store.acquire(run("two"), [table("c")], claim_id="c2", all_or_nothing=True).granted
    assert one
    assert two
    store.release("c1", ["table:a"])
    clock.tick(TIMING.lease - 1)
    with pytest.raises(ClaimLostError) as lost:
        store.renew([one, two])
    assert lost.value.lost == {"c1": ("table:a",)}
    clock.tick(TIMING.lease - 1)
    assert holders(store) == {"table:b": ["one"], "table:c": ["two"]}


def test_a_grant_of_the_past_is_lost_also_under_the_same_id(store: SqlStore) -> None:
    old = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    store.release("c")
    new = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    assert old
    assert new
    assert store.holds("c", "table:a", new.fences["table:a"])
    assert not store.holds("c", "table:a", old.fences["table:a"])
    with pytest.raises(ClaimLostError):
        store.renew([old])


def test_release_is_per_resource_and_may_be_repeated(store: SqlStore) -> None:
    claim = take(store, "run", table("a"), table("b"), slot())
    assert claim
    assert store.release(claim, ["table:a", "table:unknown"]) == ("table:a",)
    assert store.release(claim, ["table:a"]) == ()
    assert holders(store) == {"tag:heavy": ["run"], "table:b": ["run"]}
    assert store.release(claim, []) == ()
    assert store.release(claim) == ("table:b", "tag:heavy")
    assert store.release(claim) == ()
    assert store.release("never heard of") == ()
    assert take(store, "other", table("a"), table("b"))


def test_an_earlier_attempt_never_joins_a_later_one(store: SqlStore, clock: Clock) -> None:
    environment = Want("environment:prod", 1, WHOLE)
    late = store.acquire(
        run("retry", 2, root="first"), [environment], claim_id="late", all_or_nothing=True
    )
    assert late.granted
    early = store.acquire(
        run("first", 1, root="first"), [environment], claim_id="early", all_or_nothing=True
    )
    assert [holder.run_id for holder in early.refused["environment:prod"]] == ["retry"]
    assert take(store, "another root", environment)
    clock.tick(TIMING.lease)
    assert store.acquire(
        run("first", 1, root="first"), [environment], claim_id="early2", all_or_nothing=True
    ).granted


def test_a_later_attempt_takes_over_only_when_the_earlier_is_over(
    store: SqlStore, clock: Clock
) -> None:
    first = run("run", 1)
    retry = run("run", 2)
    store.acquire(first, [table("a")], claim_id="c1", all_or_nothing=True)
    assert not store.acquire(retry, [table("a")], claim_id="c2", all_or_nothing=True).granted
    assert [h.claim_id for h in store.release_run("run", below_attempt=2)] == ["c1"]
    assert store.acquire(retry, [table("a")], claim_id="c2", all_or_nothing=True).granted
    assert store.release_run("run", below_attempt=2) == []
    clock.tick(TIMING.lease)
    assert store.acquire(run("run", 3), [table("a")], claim_id="c3", all_or_nothing=True).granted


def test_a_run_that_ended_is_released_at_once(store: SqlStore) -> None:
    take(store, "dead", table("a"), slot())
    take(store, "dead", table("b"))
    take(store, "alive", table("c"))
    waits = {"claim_id": "waits", "all_or_nothing": True, "wait": True}
    store.acquire(run("dead"), [table("c")], **waits)
    store.pause("table:d", capacity=WHOLE, reason="by hand", by="dead")
    released = store.release_run("dead")
    assert [holder.resource_key for holder in released] == ["table:a", "table:b", "tag:heavy"]
    assert holders(store) == {"table:c": ["alive"], "table:d": ["dead"]}
    assert store.release_run("dead") == []
    store.release_run("alive")
    assert take(store, "next", table("c"))  # the dead run waits no more


def test_a_plan_takes_an_environment_whole_and_downgrades(store: SqlStore) -> None:
    whole, part = Want("environment:prod", WHOLE, WHOLE), Want("environment:prod", 1, WHOLE)
    grant = store.acquire(plan(), [whole], claim_id="plan", all_or_nothing=True).granted
    assert grant
    assert take(store, "run", part) is None
    store.downgrade("plan", "environment:prod", 1)
    store.downgrade("plan", "environment:prod", 1)
    store.downgrade("plan", "environment:prod", 500)  # never more
    assert take(store, "run", part)
    assert take(store, "other plan", whole) is None
    store.renew([grant])  # the fence is what it was
    assert [holder.weight for holder in store.holders()] == [1, 1]


def test_what_is_lost_is_not_downgraded(store: SqlStore, clock: Clock) -> None:
    claim = take(store, "run", table("a"))
    assert claim
    clock.tick(TIMING.lease)
    for claim_id in (claim, "unknown"):
        with pytest.raises(ClaimLostError, match="table:a"):
            store.downgrade(claim_id, "table:a", 1)
    with pytest.raises(ValueError, match="at least 1"):
        store.downgrade(claim, "table:a", 0)


def test_whoever_takes_over_gets_to_know_which_backends_to_end(
    store: SqlStore, clock: Clock
) -> None:
    wants = [table("a"), table("b")]
    store.acquire(run("dead"), wants, claim_id="c1", all_or_nothing=True)
    store.set_backends("c1", {"pg|4711"}, ["table:a"])
    assert [holder.backends for holder in store.holders()] == [("pg|4711",), ()]
    clock.tick(TIMING.lease)
    assert [holder.backends for holder in store.expired()] == [("pg|4711",), ()]
    assert not any(holder.foreign for holder in store.expired())
    second = store.acquire(run("two"), wants, claim_id="c2", all_or_nothing=True).granted
    assert second
    assert second.to_end == {"table:a": ("pg|4711",)}
    assert [holder.foreign for holder in store.holders()] == [True, False]
    # Its answer is lost, and it asks again; then it dies before it has ended the backend.
    again = store.acquire(run("two"), wants, claim_id="c2", all_or_nothing=True).granted
    assert again
    assert again.to_end == second.to_end
    clock.tick(TIMING.lease)
    third = store.acquire(run("three"), wants, claim_id="c3", all_or_nothing=True).granted
    assert third
    assert third.to_end == second.to_end
    store.set_backends("c3", {"pg|4713", "pg|4712"})
    both = ("pg|4712", "pg|4713")
    assert [holder.backends for holder in store.holders()] == [both, both]
    assert not any(holder.foreign for holder in store.holders())
    again = store.acquire(run("three"), wants, claim_id="c3", all_or_nothing=True).granted
    assert again
    assert again.to_end == {}


def test_a_machines_clock_that_is_set_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has no other clock; PostgreSQL's is the server's."""
    url = f"sqlite:///{tmp_path / 'claims.db'}"
    with closing(store_at(url)) as store:
        claim = take(store, "run", table("a"))
        for step in (10_000, -10_000):
            stepped = time.time() + step
            with monkeypatch.context() as patch:
                patch.setattr(
                    "dagster_transform.claims.store.sqlite.time.time", lambda now=stepped: now
                )
                with closing(store_at(url)) as another:
                    for other in (store, another):
                        assert [holder.claim_id for holder in other.holders()] == [claim]
                        assert other.holders()[0].since.timestamp() == pytest.approx(
                            time.time() - step, abs=60
                        )
                        assert take(other, "other", table("a")) is None
