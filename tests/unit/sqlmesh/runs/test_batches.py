"""The batches of one node: which are built, in which order, and what one that fails holds back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.runs.batches import Batches, BuiltBatch
from dagster_transform.sqlmesh.runs.failures import Cancelled
from dagster_transform.sqlmesh.state.work import Work

RECORDED, HELD_BACK = BuiltBatch([], 1, recorded=True), BuiltBatch([], 1, recorded=False)


def work(count: int, *, at_once: int | None = None, by_past: bool = False) -> Work:
    node = SimpleNamespace(batch_concurrency=at_once)
    snapshot: Any = SimpleNamespace(depends_on_past=by_past, node=node)
    return Work(snapshot, [(i, i + 1) for i in range(count)])


class Built:
    """Builds batches, and remembers which; some fail, and of some a blocking audit does."""

    def __init__(self, *, fails: int | None = None, held_back: int | None = None) -> None:
        self.asked: list[int] = []
        self.told: list[tuple[int, Interval]] = []
        self.failed: list[BaseException] = []
        self._fails = fails
        self._held_back = held_back

    def __call__(self, index: int) -> BuiltBatch:
        self.asked.append(index)
        if index == self._fails:
            raise ValueError(index)
        return HELD_BACK if index == self._held_back else RECORDED

    def tell(self, done: int, batch: Interval) -> None:
        self.told.append((done, batch))

    def of(self, work: Work, is_cancelled: Callable[[], bool] = lambda: False) -> Batches:
        return Batches(work, self, is_cancelled, self.failed.append, self.tell)


def test_batches_are_built_in_order_but_for_those_that_are_recorded() -> None:
    mine, build = work(4), Built()
    mine.recorded = {1}
    batches = build.of(mine)
    batches.do()
    assert build.asked == list(batches.built) == [0, 2, 3]
    # What an earlier attempt has recorded counts too.
    assert build.told == [(n, mine.batches[i]) for n, i in ((2, 0), (3, 2), (4, 3))]
    assert mine.is_done


@pytest.mark.parametrize(
    ("mine", "at_once"),
    [
        (work(5), 5),  # SQLMesh allows any number
        (work(5, at_once=2), 2),
        (work(1, at_once=2), 1),
        (work(5, by_past=True), 1),
        (work(0), 1),
    ],
)
def test_how_many_may_be_built_at_the_same_moment(mine: Work, at_once: int) -> None:
    assert Built().of(mine).at_once == at_once


@pytest.mark.parametrize(("at_once", "asked"), [(1, [0, 1]), (None, [0, 1, 2, 3])])
def test_after_a_failure_only_batches_that_wait_for_none_go_on(
    at_once: int | None, asked: list[int]
) -> None:
    mine, build = work(4, at_once=at_once), Built(fails=1)
    with pytest.raises(ValueError, match="1"):
        build.of(mine).do()
    assert build.asked == asked
    assert mine.recorded == set(asked) - {1}
    assert [str(error) for error in build.failed] == ["1"]


@pytest.mark.parametrize(("at_once", "asked"), [(1, [0, 1]), (None, [0, 1, 2, 3])])
def test_a_batch_whose_blocking_audit_has_failed_is_built_and_not_recorded(
    at_once: int | None, asked: list[int]
) -> None:
    mine, build = work(4, at_once=at_once), Built(held_back=1)
    batches = build.of(mine)
    batches.do()
    assert list(batches.built) == asked
    assert mine.recorded == set(asked) - {1}


def test_a_cancelled_node_begins_no_further_batch() -> None:
    mine, build = work(4, at_once=1), Built()
    with pytest.raises(Cancelled):
        build.of(mine, lambda: len(build.asked) == 2).do()
    assert build.asked == [0, 1]


def test_threads_share_the_batches_and_the_first_one_waits_for_all() -> None:
    mine, together = work(6), threading.Barrier(3, timeout=10)
    asked: list[int] = []

    def build(index: int) -> BuiltBatch:
        together.wait()  # three are built at the same moment
        asked.append(index)
        return RECORDED

    batches = Batches(mine, build, lambda: False, lambda _: None, lambda *_: None)
    others = [threading.Thread(target=batches.help_out) for _ in range(2)]
    for thread in others:
        thread.start()
    batches.do()
    assert sorted(asked) == list(range(6))
    assert list(batches.built) == list(range(6))
    assert mine.is_done
    for thread in others:
        thread.join(10)
