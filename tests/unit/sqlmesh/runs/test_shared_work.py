"""Parts of one unit that several threads take."""

from __future__ import annotations

import threading

import pytest

from dagster_transform.sqlmesh.runs.shared_work import SharedWork


def test_one_thread_does_all_in_their_order() -> None:
    done: list[int] = []
    work = SharedWork(range(4), done.append, lambda _: None)
    work.do()
    assert done == [0, 1, 2, 3]
    assert len(work) == 0


def test_threads_that_help_do_parts_at_the_same_moment() -> None:
    together = threading.Barrier(3, timeout=10)
    work = SharedWork(range(3), lambda _: together.wait() and None, lambda _: None)
    helpers = [threading.Thread(target=work.help_out) for _ in range(2)]
    for helper in helpers:
        helper.start()
    work.do()  # else a barrier would break
    for helper in helpers:
        helper.join()


def test_whoever_does_the_unit_waits_for_those_who_help() -> None:
    begun, may_end = threading.Event(), threading.Event()
    done: list[int] = []

    def do_one(part: int) -> None:
        if part == 0:
            begun.set()
            assert may_end.wait(10)
        done.append(part)

    work = SharedWork([0, 1], do_one, lambda _: None)
    helper = threading.Thread(target=work.help_out)
    helper.start()
    assert begun.wait(10)
    threading.Timer(0.2, may_end.set).start()
    work.do()
    assert sorted(done) == [0, 1]
    helper.join()


def test_the_first_error_is_raised_when_all_are_done() -> None:
    done: list[int] = []
    told: list[str] = []

    def do_one(part: int) -> None:
        done.append(part)
        if part in (1, 2):
            raise ValueError(part)

    work = SharedWork(range(4), do_one, lambda error: told.append(str(error)))
    with pytest.raises(ValueError, match="1"):
        work.do()
    assert (done, told) == ([0, 1, 2, 3], ["1", "2"])


def test_the_rest_can_be_left_out() -> None:
    done: list[int] = []
    work: SharedWork[int] = SharedWork(range(4), done.append, lambda _: None)
    work.leave_out_the_rest()
    work.do()
    assert done == []
