"""What every claims store does: what channels of alerts were told, each of it by one run."""

from __future__ import annotations

from dagster_transform.claims import RunId, Told
from dagster_transform.claims.store.sql_store import SqlStore
from tests.support.claims_stores import Clock

A, B, OTHER = ("mail", "p:a#failed"), ("mail", "p:b#failed"), ("slack", "p:a#failed")
ONE, TWO = RunId("one"), RunId("two")


def keys(found: list[Told]) -> list[tuple[str, str]]:
    return [(told.channel, told.subject) for told in found]


def test_what_is_told_is_taken_by_one_run_and_remembered_by_all(
    store: SqlStore, clock: Clock
) -> None:
    store.note([A, B, OTHER, A])
    assert keys(store.take([B, A], ONE)) == [B, A]
    assert keys(store.take([A, OTHER], TWO)) == [OTHER]
    assert keys(store.take([A], ONE)) == [A], "the answer of the first time may have been lost"
    clock.tick(7)
    store.settle(ONE, told=[A, B])
    assert {(t.channel, t.subject): t.told_at for t in store.noted()} == {
        A: clock.moment,
        B: clock.moment,
        OTHER: None,
    }
    first = store.noted()[0].since
    store.note([A])
    assert store.noted()[0].since == first, "what is noted keeps its time"
    assert keys(store.take([A], TWO)) == [A]
    store.settle(TWO, over=[A])
    assert keys(store.noted()) == [B, OTHER]


def test_what_could_not_be_told_is_the_next_runs(store: SqlStore) -> None:
    store.note([A])
    store.take([A], ONE)
    store.settle(TWO, told=[A], over=[A])  # not its own: left alone
    store.settle(ONE, put_back=[A])
    (told,) = store.take([A], TWO)
    assert told.told_at is None


def test_what_a_run_has_taken_that_died_is_taken_over_after_five_minutes(
    store: SqlStore, clock: Clock
) -> None:
    store.note([A])
    store.take([A], ONE)
    clock.tick(299)
    assert store.take([A], TWO) == []
    clock.tick(2)
    assert keys(store.take([A], TWO)) == [A]
    store.settle(ONE, told=[A])
    assert store.noted()[0].told_at is None, "it is the other's by now"


def test_nothing_is_nothing(store: SqlStore) -> None:
    store.note([])
    assert store.take([], ONE) == []
    assert store.take([A], ONE) == [], "only what is noted"
    store.settle(ONE)
    assert store.noted() == []
