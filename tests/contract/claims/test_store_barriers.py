"""Two requests at once, each interleaving forced: one is stopped at a point of the protocol while
the other is made. `tests/crash/claims_mutants.py` shows that each fails without its guard."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from dagster_transform.claims import ClaimLostError, Grant, PendingNode, new_claim_id
from dagster_transform.claims.store.opening import database_at
from dagster_transform.claims.store.schema import create_or_upgrade
from dagster_transform.claims.store.sql_store import SqlStore
from tests.support.claims_oracle import assert_sound
from tests.support.claims_stores import (
    TIMING,
    Clock,
    nothing,
    run,
    slot,
    store_at,
    table,
    url_of,
)
from tests.support.postgres import PostgresDatabase

KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


class Gate:
    """Stops whoever comes to a point, until it is opened."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, point: str) -> None:
        if point == self.point and not self.opened.is_set():
            self.reached.set()
            assert self.opened.wait(30)


class Stage:
    """A store's database, and threads that use it at once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = Clock()
        self.watch = create_engine(url) if url.startswith("postgresql") else None
        self.threads = ThreadPoolExecutor(8)
        self.stores: list[SqlStore] = []

    def store(self, at: Callable[[str], None] = nothing) -> SqlStore:
        store = store_at(self.url, clock=self.clock, at=at)
        self.stores.append(store)
        return store

    def stopped(self, point: str, act: Callable[[SqlStore], Any]) -> tuple[Gate, Future[Any]]:
        """Somebody who has come to `point` of what they do."""
        gate = Gate(point)
        future = self.threads.submit(act, self.store(gate))
        while not gate.reached.wait(0.05):
            assert not future.done(), future.result()
        return gate, future

    def meanwhile(self, act: Callable[[SqlStore], Any]) -> Future[Any]:
        """Somebody who comes next, and has come to wait for a lock, or is done."""
        future = self.threads.submit(act, self.store())
        until = monotonic() + (20 if self.watch else 0.3)
        while monotonic() < until and not future.done() and not self._somebody_waits():
            sleep(0.01)
        return future

    def _somebody_waits(self) -> bool:
        if self.watch is None:
            return False
        with self.watch.connect() as connection:
            return bool(
                connection.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                        " AND datname = current_database()"
                    )
                )
            )

    def close(self) -> None:
        self.threads.shutdown()
        store = self.store()
        assert_sound(store.events())
        with store._database.engine.begin() as connection:
            assert not connection.execute(
                text(
                    "SELECT * FROM dagster_transform_lease WHERE claim_id NOT IN"
                    " (SELECT claim_id FROM dagster_transform_batch)"
                )
            ).all(), "leases that nobody sees"
        for store in self.stores:
            store.close()
        if self.watch:
            self.watch.dispose()


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(str(url_of(request.param, tmp_path, request)))
    yield stage
    stage.close()


def claim(name: str, *names: str, claim_id: str = "") -> Callable[[SqlStore], Grant | None]:
    def act(store: SqlStore) -> Grant | None:
        wants = [table(x) for x in names]
        return store.acquire(
            run(name), wants, claim_id=claim_id or new_claim_id(), all_or_nothing=True
        ).granted

    return act


@pytest.mark.parametrize("point", ["acquire.locked", "acquire.decided", "acquire.written"])
def test_who_comes_second_sees_what_the_first_was_granted(stage: Stage, point: str) -> None:
    """What is counted together with the lock is what was there before the lock."""
    claim("somebody", "a", claim_id="c0")(stage.store())
    stage.store().release("c0")  # the resource has a row
    gate, first = stage.stopped(point, claim("first", "a"))
    second = stage.meanwhile(claim("second", "a"))
    gate.opened.set()
    assert first.result() is not None
    assert second.result() is None


def test_two_who_come_first_to_a_resource_make_it_once(stage: Stage) -> None:
    gate, first = stage.stopped("resources.committed", claim("first", "b", "a"))
    second = stage.meanwhile(claim("second", "a", "b"))
    gate.opened.set()
    assert [first.result() is None, second.result() is None].count(True) == 1


def test_the_same_claim_asked_for_twice_at_once_is_one_grant(stage: Stage) -> None:
    """The first answer was too slow, so the claimant asks again."""
    claim("somebody", "a", claim_id="c0")(stage.store())
    stage.store().release("c0")
    gate, first = stage.stopped("acquire.written", claim("run", "a", claim_id="c"))
    second = stage.meanwhile(claim("run", "a", claim_id="c"))
    gate.opened.set()
    one, two = first.result(), second.result()
    assert one is not None
    assert two is not None
    assert one.fences == two.fences


@pytest.mark.parametrize("point", ["renew.read", "renew.written"])
def test_a_renewal_under_way_is_not_taken_over(stage: Stage, point: str) -> None:
    grant = claim("run", "a", claim_id="c")(stage.store())
    assert grant
    stage.clock.tick(TIMING.lease - 1)
    gate, renewal = stage.stopped(point, lambda store: store.renew([grant]))
    stage.clock.tick(2)  # what is committed says that the lease is over
    other = stage.meanwhile(claim("other", "a"))
    gate.opened.set()
    renewal.result()
    assert other.result() is None
    assert stage.store().holds("c", "table:a", 1)


@pytest.mark.parametrize("point", ["acquire.batches", "acquire.fenced", "acquire.written"])
def test_a_takeover_under_way_is_not_renewed(stage: Stage, point: str) -> None:
    grant = claim("run", "a", claim_id="c")(stage.store())
    assert grant
    stage.clock.tick(TIMING.lease)
    gate, other = stage.stopped(point, claim("other", "a"))
    renewal = stage.meanwhile(lambda store: store.renew([grant]))
    gate.opened.set()
    assert other.result() is not None
    with pytest.raises(ClaimLostError):
        renewal.result()


def test_a_takeover_under_way_is_not_released(stage: Stage) -> None:
    """Neither do they wait for each other in a circle."""
    claim("run", "a", "b", claim_id="c")(stage.store())
    stage.clock.tick(TIMING.lease)
    gate, other = stage.stopped("acquire.fenced", claim("other", "a"))
    release = stage.meanwhile(lambda store: store.release("c"))
    gate.opened.set()
    assert other.result() is not None
    assert release.result() == ("table:b",)
    assert [holder.run_id for holder in stage.store().holders()] == ["other"]


def test_two_takeovers_of_one_dead_claim(stage: Stage) -> None:
    claim("run", "a", "b", claim_id="c")(stage.store())
    stage.clock.tick(TIMING.lease)
    gate, one = stage.stopped("acquire.fenced", claim("one", "a"))
    two = stage.meanwhile(claim("two", "b"))
    gate.opened.set()
    assert one.result() is not None
    assert two.result() is not None
    assert [holder.run_id for holder in stage.store().holders()] == ["one", "two"]


@pytest.mark.parametrize("point", ["acquire.batches", "acquire.written"])
def test_what_is_released_while_more_is_asked_for_leaves_nothing_unseen(
    stage: Stage, point: str
) -> None:
    claim("run", "a", claim_id="c")(stage.store())
    gate, more = stage.stopped(point, claim("run", "b", claim_id="c"))
    release = stage.meanwhile(lambda store: store.release("c"))
    gate.opened.set()
    assert more.result() is not None
    held = {holder.resource_key for holder in stage.store().holders()}
    assert held | set(release.result()) == {"table:a", "table:b"}
    assert claim("other", "a")(stage.store()) is not None


@pytest.mark.parametrize("point", ["pause.locked", "pause.written"])
def test_a_pause_under_way_is_waited_for(stage: Stage, point: str) -> None:
    gate, pause = stage.stopped(
        point, lambda store: store.pause("table:a", capacity=1000, reason="")
    )
    other = stage.meanwhile(claim("other", "a"))
    gate.opened.set()
    pause.result()
    assert other.result() is None


def test_pending_work_is_launched_by_one_of_two(stage: Stage) -> None:
    nodes = [PendingNode("hourly", "t", node) for node in "abcdef"]
    stage.store().postpone(nodes)
    runs = [
        stage.threads.submit(stage.store().launch, random.sample(nodes, 6), f"run{number}")
        for number in range(4)
    ]
    won = [node.node for found in runs for node in found.result()]
    assert sorted(won) == list("abcdef")


@pytest.mark.postgres
def test_tables_are_made_once_by_two_who_start_at_once(
    postgres_database: PostgresDatabase,
) -> None:
    one = database_at(postgres_database.url, TIMING)
    threads = ThreadPoolExecutor(2)
    with one.engine.begin() as connection:
        one.lock_schema(connection)
        create_or_upgrade(connection, one.url)
        others = [threads.submit(store_at, postgres_database.url) for _ in range(2)]
        until = monotonic() + 1
        while monotonic() < until and not any(other.done() for other in others):
            sleep(0.01)
    for other in others:
        assert other.result().events() == []
        other.result().close()
    one.engine.dispose()


@pytest.mark.postgres
def test_many_who_want_the_same_never_wait_in_a_circle(
    postgres_database: PostgresDatabase,
) -> None:
    """The server ends one of two that wait for each other: whoever asked is told `busy`."""
    names = [f"t{number}" for number in range(8)]
    store_at(postgres_database.url).close()

    def work(number: int) -> int:
        order = random.Random(number)
        store = store_at(postgres_database.url)
        granted = 0
        for turn in range(40):
            claims = []
            wants = [table(x) for x in order.sample(names, 5)] + [slot(f"new{turn}")]
            answer = store.acquire(
                run(f"r{number}"),
                wants,
                claim_id=new_claim_id(),
                all_or_nothing=False,
                wait=turn % 2 > 0,
            )
            if answer.granted:
                granted += 1
                claims.append(answer.granted)
                store.renew(claims)
                store.release(answer.granted.claim_id, list(answer.granted.fences)[:2])
                store.release(answer.granted.claim_id)
        store.close()
        return granted

    with ThreadPoolExecutor(4) as threads:
        assert min(threads.map(work, range(4))) > 0
    store = store_at(postgres_database.url)
    assert_sound(store.events())
    assert store.holders() == []
    store.close()
