"""The threads of a run: which of them does which unit, and cancelling."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dagster_transform.graph import UnitId
from dagster_transform.sqlmesh.runs.threads import UnitThreads, Workers

UNIT, OTHER = UnitId("p:a"), UnitId("p:b")
SECONDS = 10.0


@pytest.fixture
def ended() -> list[int]:
    """Idents of the threads whose statements were ended."""
    return []


@pytest.fixture
def threads(ended: list[int]) -> Iterator[UnitThreads]:
    found = UnitThreads(2, "test", ended.append)
    yield found
    found.stop(SECONDS)


def test_cancelling_ends_the_statements_of_every_thread_of_the_unit(
    threads: UnitThreads, ended: list[int]
) -> None:
    at_work, go_on = threading.Barrier(3, timeout=SECONDS), threading.Event()
    idents: list[int] = []

    def part() -> None:
        idents.append(threading.get_ident())
        at_work.wait()
        go_on.wait(SECONDS)

    def unit() -> None:
        with threads.doing(UNIT):
            threads.help_with(UNIT, part, lambda _: None)
            part()

    threads.submit(unit)
    at_work.wait()
    threads.cancel(OTHER)
    assert ended == []
    threads.cancel(UNIT)
    assert sorted(ended) == sorted(idents)
    assert len(set(idents)) == 2
    assert threads.is_cancelled(UNIT)
    go_on.set()


def test_a_unit_that_has_ended_gets_no_help(threads: UnitThreads) -> None:
    with threads.doing(UNIT):
        pass
    done = threading.Event()
    helped: list[str] = []
    threads.help_with(UNIT, lambda: helped.append("x"), lambda _: None)
    threads.submit(done.set)
    assert done.wait(SECONDS)
    assert helped == []


def test_a_helper_that_fails_says_so_and_its_thread_goes_on(threads: UnitThreads) -> None:
    failed: list[str] = []
    done = threading.Event()

    def part() -> None:
        raise ValueError("x")

    def fail(error: BaseException) -> None:
        failed.append(str(error))
        done.set()

    with threads.doing(UNIT):
        threads.help_with(UNIT, part, fail)
        assert done.wait(SECONDS)
    assert failed == ["x"]
    again = threading.Event()
    threads.submit(again.set)
    assert again.wait(SECONDS)


def test_stopping_cancels_what_still_runs(threads: UnitThreads, ended: list[int]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def unit() -> None:
        with threads.doing(UNIT):
            begun.set()
            go_on.wait(SECONDS)

    threads.submit(unit)
    assert begun.wait(SECONDS)
    threads.stop(0.01)
    assert threads.is_cancelled(UNIT)
    assert len(ended) == 1
    go_on.set()


def test_workers_say_whether_one_did_not_end() -> None:
    go_on = threading.Event()
    workers = Workers(1, "test")

    def wait() -> None:
        go_on.wait(SECONDS)

    workers.submit(wait)
    assert not workers.stop(0.01)
    go_on.set()
    assert Workers(1, "test").stop(0.01)
