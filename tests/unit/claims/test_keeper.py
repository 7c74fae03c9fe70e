"""The lease keeper: what it renews, what it reports, what it owes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from time import monotonic, sleep
from typing import Any

import pytest

from dagster_transform.claims import Keeper, Lost, Store, StoreUnreachableError, Timing
from tests.support.claims_stores import run, store_at, table

FAST = Timing(lease=0.8, heartbeat=0.1, poll=0.1)
SLOW = Timing(lease=100, heartbeat=25)


class Flaky:
    """A store in memory whose line can be cut, or left hanging."""

    def __init__(self, timing: Timing) -> None:
        self.real = store_at(None, timing=timing)
        self.down = False
        self.hang = threading.Event()
        self.hang.set()
        self.releases = threading.Event()  # cleared: they hang, and nothing else
        self.releases.set()
        self.calls: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name not in {"acquire", "renew", "release"}:
            return found

        def call(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            self.hang.wait(20)
            if name == "release":
                self.releases.wait(20)
            if self.down:
                self.failed[name] += 1
                raise StoreUnreachableError(self.real.url, "the line is cut")
            return found(*args, **options)

        return call


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def eventually(fact: Callable[[], Any]) -> Any:
    until = monotonic() + 20
    while not (found := fact()):
        assert monotonic() < until, "it never came to be"
        sleep(0.01)
    return found


@pytest.fixture
def lost() -> list[Lost]:
    return []


@pytest.fixture
def store() -> Iterator[Flaky]:
    store = Flaky(FAST)
    yield store
    store.hang.set()


def as_store(flaky: Flaky) -> Store:
    return flaky  # type: ignore[return-value]


def claim(keeper: Keeper, claim_id: str, *names: str) -> None:
    answer = keeper.acquire(run(), map(table, names), claim_id=claim_id, all_or_nothing=True)
    assert answer.granted


def test_what_is_kept_outlives_its_lease_and_what_is_let_go_does_not(
    store: Flaky, lost: list[Lost]
) -> None:
    with Keeper(as_store(store), lost.append) as keeper:
        claim(keeper, "c1", "a", "b")
        claim(keeper, "c2", "c")
        keeper.let_go("c2")
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
        assert store.real.holders(), "the lease ended before its holder was told"
        store.hang.set()
    assert [(x.claim_id, sorted(x.keys)) for x in lost] == [("c1", ["table:a", "table:b"])]
    assert keeper.trust("c1") == 0


def test_a_callback_that_fails_does_not_keep_others_from_being_told(
    store: Flaky, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def fail(report: Lost) -> None:
        told.append(report.claim_id)
        raise RuntimeError("no")

    with Keeper(as_store(store), fail) as keeper:
        claim(keeper, "c1", "a")
        claim(keeper, "c2", "b")
        store.real.release("c1")
        store.real.release("c2")
        eventually(lambda: len(told) == 2)
    assert sorted(told) == ["c1", "c2"]


def test_what_could_not_be_released_is_released_later(store: Flaky, lost: list[Lost]) -> None:
    """Its batch goes on being renewed for the rest: nobody else would get it."""
    with Keeper(as_store(store), lost.append) as keeper:
        claim(keeper, "c1", "a", "b")
        store.down = True
        keeper.release("c1", ["table:a"])
        eventually(lambda: store.failed["release"])
        store.down = False
        eventually(lambda: [h.resource_key for h in store.real.holders()] == ["table:b"])
    assert lost == []


def test_what_somebody_else_could_not_release_is_released_later(
    store: Flaky, lost: list[Lost]
) -> None:
    with Keeper(as_store(store), lost.append) as keeper, ThreadPoolExecutor() as threads:
        claim(keeper, "c1", "a", "b")
        keeper.release("c1", ["table:a"])
        eventually(lambda: len(store.real.holders()) == 1)  # its thread waits for more
        store.releases.clear()
        releases = keeper.releases
        releases._owed["c1"] = {"table:b"}  # whoever asks for something was faster than the thread
        paying = threads.submit(releases.pay)
        eventually(lambda: store.calls["release"] == 2)
        store.down = True
        store.releases.set()
        assert isinstance(paying.exception(20), StoreUnreachableError)
        store.down = False
        eventually(lambda: store.real.holders() == [])
    assert lost == []


def test_nobody_waits_for_a_release_and_what_comes_meanwhile_goes_together(
    store: Flaky, lost: list[Lost]
) -> None:
    with Keeper(as_store(store), lost.append) as keeper:
        claim(keeper, "c1", *"abcdefgh")
        store.releases.clear()
        keeper.release("c1", ["table:a"])
        eventually(lambda: store.calls["release"])
        for name in "bcdefg":
            keeper.release("c1", [f"table:{name}"])
        assert len(store.real.holders()) == 8
        store.releases.set()
        eventually(lambda: [h.resource_key for h in store.real.holders()] == ["table:h"])
        assert store.calls["release"] == 2
    assert lost == []


def test_what_is_asked_for_after_a_release_is_free(store: Flaky, lost: list[Lost]) -> None:
    """A slot that one node has given back is there for the run's next one, without a poll."""
    with Keeper(as_store(store), lost.append) as keeper, ThreadPoolExecutor() as threads:
        claim(keeper, "c1", "a")
        store.releases.clear()
        keeper.release("c1")
        eventually(lambda: store.calls["release"])
        asked = threads.submit(
            keeper.acquire, run(), [table("a")], claim_id="c2", all_or_nothing=True
        )
        wait([asked], 0.2)  # whoever does not wait for the release is refused by now
        store.releases.set()
        assert asked.result(20).granted
    assert lost == []


def test_closing_releases_what_is_owed(store: Flaky, lost: list[Lost]) -> None:
    keeper = Keeper(as_store(store), lost.append)
    claim(keeper, "c1", "a")
    store.down = True
    keeper.release("c1")
    keeper.close()  # still away: with its lease then
    assert store.real.holders()
    store.down = False
    keeper.close()
    assert store.real.holders() == []


def test_trust_runs_from_before_the_request_less_a_margin() -> None:
    """An answer that takes its time must not prolong what the store has granted."""
    hands = Hands()
    store = store_at(None, timing=SLOW)
    keeper = Keeper(store, lambda report: None, clock=hands)
    grant = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    assert grant
    asked_at = grant.asked_at
    hands.now = asked_at + 30  # the answer took half a minute
    keeper.keep(grant)
    assert keeper.trust("c") == pytest.approx(SLOW.lease - SLOW.margin - 30)

    real = store.renew

    def slow(*args: Any, **options: Any) -> None:
        real(*args, **options)
        hands.now += 40

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
