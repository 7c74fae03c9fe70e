"""Releases on another thread: what is queued, tried again, and done together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

from dagster_transform.claims import Keeper, Lost, StoreUnreachableError
from dagster_transform.claims.lease.releasing import Releases
from tests.support.claims_stores import run, table
from tests.support.flaky_store import FAST, Flaky, as_store, claim, eventually


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
    releases = Releases(as_store(store), FAST.heartbeat / 5)
    keeper = Keeper(as_store(store), lost.append, releases=releases)
    with keeper, ThreadPoolExecutor() as threads:
        claim(keeper, "c1", "a", "b")
        keeper.release("c1", ["table:a"])
        eventually(lambda: len(store.real.holders()) == 1)  # its thread waits for more
        store.releases.clear()
        keeper.stop_renewing("c1", ["table:b"])  # as `release` does first
        releases._queued["c1"] = {"table:b"}  # who asks for something was faster than the thread
        flushing = threads.submit(releases.flush)
        eventually(lambda: store.calls["release"] == 2)
        store.down = True
        store.releases.set()
        assert isinstance(flushing.exception(20), StoreUnreachableError)
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


def test_closing_releases_what_is_queued(store: Flaky, lost: list[Lost]) -> None:
    keeper = Keeper(as_store(store), lost.append)
    claim(keeper, "c1", "a")
    store.down = True
    keeper.release("c1")
    keeper.close()  # still away: with its lease then
    assert store.real.holders()
    store.down = False
    keeper.close()
    assert store.real.holders() == []
