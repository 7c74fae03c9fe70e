"""The lease keeper: what it renews, and what it reports."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_transform.claims import Keeper, Lost
from tests.support.claims_stores import run, store_at, table
from tests.support.flaky_store import SLOW, Flaky, as_store, claim, eventually


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_renewed_outlives_its_lease_and_what_is_not_does_not(
    store: Flaky, lost: list[Lost]
) -> None:
    with Keeper(as_store(store), lost.append) as keeper:
        claim(keeper, "c1", "a", "b")
        claim(keeper, "c2", "c")
        keeper.stop_renewing("c2")
        eventually(store.real.expired)
        assert {h.resource_key for h in store.real.holders()} == {"table:a", "table:b"}
        assert keeper.trust("c1") > 0
        assert keeper.trust("c1", "table:a") > 0
        assert keeper.trust("c1", "table:z") == 0
        assert keeper.trust("c2") == 0
        keeper.release("c1", ["table:a"])
        assert keeper.trust("c1", "table:a") == 0
        assert keeper.trust("c1", "table:b") > 0
    assert lost == []


def test_what_somebody_else_released_is_reported_once_and_the_rest_kept(
    store: Flaky, lost: list[Lost]
) -> None:
    with Keeper(as_store(store), lost.append) as keeper:
        claim(keeper, "c1", "a", "b")
        store.real.release("c1", ["table:a"])
        eventually(lambda: lost)
        seen = store.calls["renew"]
        eventually(lambda: store.calls["renew"] > seen + 2)
        assert [(x.claim_id, x.keys) for x in lost] == [("c1", ("table:a",))]
        assert keeper.trust("c1", "table:b") > 0


def test_while_the_store_is_away_it_is_tried_again_and_nothing_is_lost_in_time(
    store: Flaky, lost: list[Lost]
) -> None:
    with Keeper(as_store(store), lost.append) as keeper:
        claim(keeper, "c1", "a")
        store.down = True
        seen = store.calls["renew"]
        eventually(lambda: store.calls["renew"] >= seen + 2)
        store.down = False
        eventually(lambda: [e for e in store.real.events() if e.kind == "renewed"])
        assert keeper.trust("c1") > 0
    assert lost == []


@pytest.mark.parametrize("how", ["refused", "hanging"])
def test_a_store_that_stays_away_is_a_loss_before_the_lease_ends(
    store: Flaky, lost: list[Lost], how: str
) -> None:
    with Keeper(as_store(store), lost.append) as keeper:
        claim(keeper, "c1", "a", "b")
        if how == "refused":
            store.down = True
        else:
            store.hang.clear()
        eventually(lambda: lost)
        assert store.real.holders(), "the lease ended before its holder heard of it"
        store.hang.set()
    assert [(x.claim_id, sorted(x.keys)) for x in lost] == [("c1", ["table:a", "table:b"])]
    assert keeper.trust("c1") == 0


def test_a_callback_that_fails_does_not_keep_others_from_being_called(
    store: Flaky, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []

    def fail(report: Lost) -> None:
        called.append(report.claim_id)
        raise RuntimeError("no")

    with Keeper(as_store(store), fail) as keeper:
        claim(keeper, "c1", "a")
        claim(keeper, "c2", "b")
        store.real.release("c1")
        store.real.release("c2")
        eventually(lambda: len(called) == 2)
    assert sorted(called) == ["c1", "c2"]


def test_trust_runs_from_before_the_request_less_a_margin() -> None:
    """An answer that takes its time must not prolong what the store has granted."""
    clock = SetClock()
    store = store_at(None, timing=SLOW)
    keeper = Keeper(store, lambda report: None, clock=clock)
    grant = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    assert grant
    asked_at = grant.asked_at
    clock.now = asked_at + 30  # the answer took half a minute
    keeper.keep(grant)
    assert keeper.trust("c") == pytest.approx(SLOW.lease - SLOW.margin - 30)

    real = store.renew

    def slow(*args: Any, **options: Any) -> None:
        real(*args, **options)
        clock.now += 40

    store.renew = slow  # type: ignore[method-assign]
    keeper.renew()
    assert keeper.trust("c") == pytest.approx(SLOW.lease - SLOW.margin - 40)
    keeper.close()


def test_what_is_granted_while_a_renewal_is_under_way_is_not_taken_for_lost() -> None:
    store = store_at(None, timing=SLOW)
    lost: list[Lost] = []
    keeper = Keeper(store, lost.append)
    first = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    assert first
    keeper.keep(first)
    real = store.renew

    def meanwhile(*args: Any, **options: Any) -> None:
        store.release("c")
        again = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
        assert again
        keeper.keep(again)
        real(*args, **options)

    store.renew = meanwhile  # type: ignore[method-assign]
    keeper.renew()
    assert lost == []
    assert keeper.trust("c", "table:a") > 0
    keeper.close()
