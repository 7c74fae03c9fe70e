"""The queue in the place of dbt's own, with dbt's main loop played by a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic, sleep

import pytest

from dagster_transform.dbt.child.queue import RunQueue

SHORT = 0.05
LONG = 5.0


def queue(*nodes: str, ready: Callable[[], None] = lambda: None) -> RunQueue[str]:
    return RunQueue(nodes or ("a", "b", "c"), str.upper, ready)


class Loop(threading.Thread):
    """What dbt does: ask, get, give to a pool; at the end, wait for what is in progress."""

    def __init__(self, queue: RunQueue[str]) -> None:
        super().__init__(daemon=True)
        self.queue = queue
        self.got: list[str] = []
        self.asked = threading.Event()
        self.joining = threading.Event()
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while True:
            self.asked.set()
            if self.queue.empty():
                break
            self.got.append(self.queue.get())
        self.joining.set()
        self.queue.join()
        self.over.set()


def soon(condition: Callable[[], bool]) -> bool:
    end = monotonic() + LONG
    while not condition():
        if monotonic() > end:
            return False
        sleep(0.001)
    return True


def test_it_waits_until_there_is_a_node_or_the_end() -> None:
    q = queue()
    loop = Loop(q)
    assert loop.asked.wait(LONG)
    assert not loop.joining.wait(SHORT), "an empty queue that was not ended is not empty to dbt"
    assert q.put("b")
    assert soon(lambda: loop.got == ["B"])
    assert not loop.joining.wait(SHORT)
    q.mark_done("b")
    q.end()
    assert loop.over.wait(LONG)


def test_nodes_come_in_the_order_in_which_they_were_put_in() -> None:
    q = queue()
    for node in ("c", "a", "b"):
        q.put(node)
    assert len(q) == 3
    assert [q.get() for _ in range(3)] == ["C", "A", "B"]
    assert q.in_progress == {"a", "b", "c"}
    assert len(q) == 0


def test_what_was_put_in_before_the_end_is_still_done() -> None:
    q = queue()
    q.put("a")
    q.end()
    assert not q.empty()
    assert q.get() == "A"
    assert q.empty()


def test_join_waits_for_what_is_in_progress() -> None:
    q = queue()
    loop = Loop(q)
    q.put("a")
    q.put("b")
    q.end()
    assert loop.joining.wait(LONG)
    assert not loop.over.wait(SHORT)
    q.mark_done("a")
    assert not loop.over.wait(SHORT)
    q.mark_done("b")
    assert loop.over.wait(LONG)
    assert loop.got == ["A", "B"]


def test_ready_is_told_once_when_dbt_asks_for_the_first_time() -> None:
    told: list[str] = []
    q = queue(ready=lambda: told.append("ready"))
    q.put("a")
    assert told == []
    assert not q.empty()
    assert told == ["ready"]
    q.get()
    q.end()
    assert q.empty()
    assert told == ["ready"]


def test_a_node_can_be_done_again() -> None:
    q = queue()
    for _ in range(2):
        assert q.put("a")
        assert q.get() == "A"
        q.mark_done("a")
    assert q.in_progress == set()


def test_a_node_that_is_not_done_yet_is_refused() -> None:
    q = queue()
    q.put("a")
    began = monotonic()
    with pytest.raises(ValueError, match="a is not done yet"):
        q.put("a")
    assert monotonic() - began < 1, "nothing can change that"
    q.get()
    with pytest.raises(ValueError, match="a is not done yet"):
        q.put("a", patience=SHORT)


def test_a_node_that_is_done_in_a_moment_is_waited_for() -> None:
    q = queue()
    q.put("a")
    q.get()
    threading.Timer(SHORT, q.mark_done, ("a",)).start()
    assert q.put("a")
    assert q.get() == "A"
    assert q.in_progress == {"a"}


def test_a_node_that_was_not_selected_is_refused() -> None:
    with pytest.raises(ValueError, match="z is not selected"):
        queue().put("z")


def test_after_the_end_nothing_is_taken() -> None:
    q = queue()
    q.end()
    assert q.put("a") is False
    assert q.empty()
    assert len(q) == 0


def test_a_node_is_taken_back_until_dbt_has_it() -> None:
    q = queue()
    q.put("a")
    q.put("b")
    assert q.take_back("a")
    assert not q.take_back("a")
    assert q.get() == "B"
    assert not q.take_back("b"), "dbt has it"
    assert q.put("a"), "it can be put in again"


def test_done_is_told_again_or_of_nothing_without_harm() -> None:
    """dbt's result thread dies of an exception here, and every later result with it."""
    q = queue()
    q.mark_done("a")
    q.mark_done("z")
    q.put("a")
    q.mark_done("a")
    assert not q.empty(), "what waits is not done because somebody says so"
    q.get()
    q.mark_done("a")
    q.mark_done("a")
    assert q.in_progress == set()


def test_nothing_to_get_is_an_error_and_no_wait() -> None:
    with pytest.raises(IndexError):
        queue().get()


def test_the_selected_nodes_are_a_copy() -> None:
    q = queue("a")
    q.get_selected_nodes().add("z")
    assert q.get_selected_nodes() == {"a"}


def test_dbt_finds_what_it_reads_of_its_own_queue() -> None:
    q = queue()
    q.put("a")
    q.get()
    assert len(q.in_progress) == 1
    assert len(q.in_progress_microbatch) == 0


def test_many_threads_put_in_and_every_node_comes_once() -> None:
    names = [f"n{i}" for i in range(400)]
    q = queue(*names)
    loop = Loop(q)

    def put(part: list[str]) -> None:
        for name in part:
            q.put(name)

    threads = [threading.Thread(target=put, args=(names[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert soon(lambda: len(loop.got) == 400)
    assert sorted(loop.got) == sorted(name.upper() for name in names)
    for name in names:
        q.mark_done(name)
    q.end()
    assert loop.over.wait(LONG)
