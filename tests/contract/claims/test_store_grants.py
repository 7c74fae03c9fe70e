"""What every claims store does: what is free is granted, once, and all of it or nothing."""

from __future__ import annotations

import pytest

from dagster_transform.claims import (
    WHOLE,
    DuplicateWantError,
    OwnerKind,
    UpgradeError,
    Want,
    WeightTooLargeError,
)
from dagster_transform.claims.store.sql_store import SqlStore
from tests.support.claims_stores import (
    TIMING,
    Clock,
    holders,
    run,
    share,
    slot,
    table,
    take,
)


def test_what_is_free_is_granted_and_what_is_not_names_its_holder(
    store: SqlStore, clock: Clock
) -> None:
    first = store.acquire(run("one"), [table("a")], claim_id="c1", all_or_nothing=True)
    assert first.granted is not None
    assert first.granted.fences == {"table:a": 1}
    assert first.refused == {}
    began = clock.moment
    clock.tick(5)
    second = store.acquire(
        run("two"), [table("a"), table("b")], claim_id="c2", all_or_nothing=False
    )
    assert second.granted is not None
    assert second.granted.fences == {"table:b": 1}
    (holder,) = second.refused["table:a"]
    assert (holder.run_id, holder.claim_id, holder.owner_kind) == ("one", "c1", OwnerKind.RUN)
    assert (holder.since, holder.reason, holder.weight) == (began, "one builds", WHOLE)
    assert holder.expires_at == clock.after(TIMING.lease - 5)
    assert holder.fence == 1
    assert not holder.waiting


def test_all_or_nothing_grants_nothing_where_something_is_taken(store: SqlStore) -> None:
    take(store, "one", table("a"))
    answer = store.acquire(run("two"), [table("a"), table("b")], claim_id="c2", all_or_nothing=True)
    assert answer.granted is None
    assert list(answer.refused) == ["table:a"]
    assert holders(store) == {"table:a": ["one"]}


def test_nothing_wanted_is_nothing_granted(store: SqlStore) -> None:
    answer = store.acquire(run(), [], claim_id="c", all_or_nothing=True)
    assert answer.granted is None
    assert not answer.refused
    assert store.events() == []


def test_a_capacity_is_never_exceeded_and_weights_count(store: SqlStore) -> None:
    assert take(store, "one", slot(weight=2))
    assert take(store, "two", slot())
    assert take(store, "three", slot()) is None
    assert holders(store) == {"tag:heavy": ["one", "two"]}


def test_readers_share_what_a_builder_takes_whole(store: SqlStore) -> None:
    checks = [take(store, "checks", share("a")) for _ in range(3)]
    assert all(checks)
    assert take(store, "builder", table("a")) is None
    for check in checks:
        assert check
        store.release(check)
    assert take(store, "builder", table("a"))
    assert take(store, "checks", share("a")) is None


def test_the_same_claim_asked_for_again_is_the_same_grant(store: SqlStore) -> None:
    wants = [table("a"), slot()]
    first = store.acquire(run(), wants, claim_id="c", all_or_nothing=True).granted
    again = store.acquire(run(), wants, claim_id="c", all_or_nothing=True).granted
    assert first
    assert again
    assert again.fences == first.fences
    assert len(store.holders()) == 2


def test_asking_again_prolongs_all_that_the_claim_holds(store: SqlStore, clock: Clock) -> None:
    """Else a grant would be trusted longer than it is held."""
    store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True)
    clock.tick(TIMING.lease - 1)
    store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True)
    clock.tick(TIMING.lease - 1)
    assert take(store, "other", table("a")) is None


def test_a_claimant_polls_for_the_rest_under_one_id(store: SqlStore, clock: Clock) -> None:
    other = take(store, "other", table("b"))
    wants = [table("a"), table("b")]
    first = store.acquire(run(), wants, claim_id="c", all_or_nothing=False, wait=True)
    assert first.granted
    assert list(first.granted.fences) == ["table:a"]
    assert other
    clock.tick(TIMING.lease / 2)
    store.release(other)
    rest = store.acquire(run(), [table("b")], claim_id="c", all_or_nothing=False, wait=True)
    assert rest.granted
    assert rest.granted.fences == {"table:b": 2}
    clock.tick(TIMING.lease - 1)  # the earlier part lives as long as the later
    store.renew([first.granted, rest.granted])
    assert store.release("c") == ("table:a", "table:b")


def test_more_of_what_is_held_is_never_granted(store: SqlStore) -> None:
    store.acquire(run(), [share("a")], claim_id="c", all_or_nothing=True)
    with pytest.raises(UpgradeError, match="downgrade"):
        store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True)


def test_what_cannot_be_wanted_is_refused_before_anything_is_done(store: SqlStore) -> None:
    with pytest.raises(WeightTooLargeError, match="tag:heavy has a capacity of 3; 4"):
        take(store, "run", slot(weight=4))
    with pytest.raises(DuplicateWantError, match="tag:heavy"):
        take(store, "run", slot(weight=1), slot(weight=2))
    for want in (Want(""), Want("x", weight=0)):
        with pytest.raises(ValueError, match="weight of at least 1"):
            take(store, "run", want)
    with pytest.raises(ValueError, match="needs an id"):
        store.acquire(run(), [slot()], claim_id="", all_or_nothing=True)
    assert take(store, "run", slot(), slot())  # the same twice is once
    assert len(store.holders()) == 1
