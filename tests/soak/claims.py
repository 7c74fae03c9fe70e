"""Eight processes, 200 tables, tags of three, killed and stopped at random: `make claims-soak`.

Each process claims tables and slots, builds for a moment, and gives them back. A hundred times a
minute one of them is killed, or stopped for up to two leases. In the end the store's history is
sound, everything can be claimed, and no two processes were ever sure of one table at the same
moment: each writes down the moments at which it was.

Not a `test_` file: only `make claims-soak` runs it.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest
from sqlalchemy import func, select

from dagster_transform.claims import Keeper, Lost, StoreError, Timing, elapsed, new_claim_id
from dagster_transform.claims.errors import ClaimLostError
from dagster_transform.claims.store.schema import batch, lease
from tests.support.claims_oracle import assert_sound
from tests.support.claims_stores import run, slot, store_at, table, url_of
from tests.support.processes import Child, fork

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
TIMING = Timing(lease=2.0, heartbeat=0.4, poll=0.1)
PROCESSES = 8
TABLES = [table(f"warehouse/db.schema.t{number:03}") for number in range(200)]
TAGS = [slot("heavy"), slot("light"), slot("heavy2", weight=2)]


def life(url: str, log: Path, seed: int) -> Callable[[], None]:
    """What a process does until it is killed, or told to end by a file beside its log."""

    def work() -> None:
        chance = random.Random(seed)
        store = store_at(url, timing=TIMING)
        lost: list[Lost] = []
        out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with Keeper(store, lost.append) as keeper:
            while not (log.parent / "end").exists():
                with suppress(StoreError, ClaimLostError):
                    build(keeper, chance, out)

    return work


def build(keeper: Keeper, chance: random.Random, out: int) -> None:
    """Claim a few tables, all or what is free; for each, take a slot and build."""
    claim, owner = new_claim_id(), run(f"run{os.getpid()}", priority=chance.randrange(2))
    wants = chance.sample(TABLES, chance.randint(1, 25))
    whole = chance.random() < 0.3
    fences: dict[str, int] = {}
    try:
        for _ in range(5):
            answer = keeper.acquire(owner, wants, claim_id=claim, all_or_nothing=whole, wait=True)
            if answer.granted:
                fences |= answer.granted.fences
            if not answer.refused:
                break
            sleep(TIMING.poll / 2)
        for key, fence in fences.items():
            slots = new_claim_id()
            tags = chance.sample(TAGS, chance.randint(0, 2))
            try:
                if tags:
                    keeper.acquire(owner, tags, claim_id=slots, all_or_nothing=True, wait=True)
                for _ in range(3):
                    now = elapsed()
                    if keeper.trust(claim, key) > 0:  # so it was trusted at `now` too
                        os.write(out, f"{key} {fence} {now!r}\n".encode())
                    sleep(0.001)
                if chance.random() < 0.5:
                    keeper.release(claim, [key])
            finally:
                keeper.release(slots)
    finally:
        keeper.release(claim)


def disturb(start: Callable[[], Child], children: list[Child]) -> Counter[str]:
    """Kill and stop until the time is over."""
    chance = random.Random(7)
    done: Counter[str] = Counter()
    stopped: list[tuple[float, Child]] = []
    until = monotonic() + SECONDS
    while monotonic() < until:
        sleep(chance.uniform(0.1, 1.0))
        for moment, child in list(stopped):
            if moment <= monotonic():
                child.send(signal.SIGCONT)
                stopped.remove((moment, child))
        free = [child for child in children if child not in {c for _, c in stopped}]
        victim = chance.choice(free or children)
        if chance.random() < 0.5 or not free:
            victim.send(signal.SIGKILL)
            assert victim.wait() == -signal.SIGKILL, "it had ended before"
            stopped = [(m, c) for m, c in stopped if c != victim]
            children[children.index(victim)] = start()
            done["killed"] += 1
        else:
            victim.send(signal.SIGSTOP)
            stopped.append((monotonic() + chance.uniform(0.1, 2 * TIMING.lease), victim))
            done["stopped"] += 1
    for _, child in stopped:
        child.send(signal.SIGCONT)
    return done


def assert_never_two_sure(logs: list[Path]) -> int:
    """Of one table, who has the lower fence was never sure after who has the higher one."""
    moments: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    count = 0
    for log in logs:
        for line in log.read_text(encoding="utf-8").splitlines():
            key, fence, moment = line.split()
            moments[key][int(fence)].append(float(moment))
            count += 1
    for key, by_fence in moments.items():
        latest, before = 0.0, 0
        for fence, found in sorted(by_fence.items()):
            assert min(found) > latest, f"{key}: {before} and {fence} at {latest}"
            latest, before = max(found), fence
    return count


@pytest.mark.crash
@pytest.mark.timeout(SECONDS * 3 + 120)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_killed_and_stopped_nothing_overlaps_and_nothing_leaks(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(url_of(kind, tmp_path, request))
    store_at(url, timing=TIMING).close()
    logs: list[Path] = []

    def start() -> Child:
        logs.append(tmp_path / f"log{len(logs)}")
        logs[-1].touch()
        return fork(life(url, logs[-1], len(logs)))

    children = [start() for _ in range(PROCESSES)]
    try:
        done = disturb(start, children)
        (tmp_path / "end").touch()
        for child in children[::2]:
            child.send(signal.SIGKILL)
        assert {child.wait() for child in children[1::2]} == {0}
        assert {child.wait() for child in children[::2]} <= {-signal.SIGKILL, 0}
        children.clear()
    finally:
        for child in children:
            child.send(signal.SIGKILL)
            with suppress(ChildProcessError):
                child.wait()

    store = store_at(url, timing=TIMING)
    sleep(TIMING.lease + TIMING.waiter_life)
    everything = [*TABLES, *(slot(tag.resource_key[4:], weight=3) for tag in TAGS)]
    answer = store.acquire(run("last"), everything, claim_id="last", all_or_nothing=True)
    assert answer.granted, answer.refused
    store.release("last")
    with store._database.engine.begin() as connection:
        for name in (lease, batch):
            assert connection.scalar(select(func.count()).select_from(name)) == 0
    events = store.events()
    assert_sound(events)
    sure = assert_never_two_sure(logs)
    kinds = Counter(event.kind for event in events)
    store.close()
    print(f"\n{kind}: {dict(done)}, {dict(kinds)}, {sure} moments of trust")
    assert min(done["killed"], done["stopped"]) >= SECONDS / 6
    assert kinds["granted"] > SECONDS * 20
    assert kinds["expired"] > 0
