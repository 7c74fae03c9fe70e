from __future__ import annotations

import pytest

from dagster_transform.sqlmesh.intervals import (
    Interval,
    in_words,
    merged,
    parts_outside,
    parts_within,
    without,
)

DAY = 24 * 60 * 60 * 1000
HOUR = DAY // 24


def days(first: int, end: int) -> list[Interval]:
    """The days from `first` on, one interval each."""
    return [(day, day + 1) for day in range(first, end)]


# -- merged ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([], []),
        ([(1, 2)], [(1, 2)]),
        ([(1, 2), (3, 4)], [(1, 2), (3, 4)]),
        ([(1, 2), (2, 3)], [(1, 3)]),
        ([(1, 3), (2, 5)], [(1, 5)]),
        ([(1, 9), (2, 3)], [(1, 9)]),
        ([(1, 9), (2, 3), (8, 10)], [(1, 10)]),
        ([(3, 4), (1, 2), (2, 3)], [(1, 4)]),
        ([(1, 2), (1, 2)], [(1, 2)]),
        ([(-2, -1), (-1, 0)], [(-2, 0)]),
    ],
)
def test_merged(intervals: list[Interval], expected: list[Interval]) -> None:
    assert merged(intervals) == expected


def test_merged_takes_any_iterable_and_leaves_it_as_it_is() -> None:
    intervals = [(3, 4), (1, 2)]
    assert merged(iter(intervals)) == [(1, 2), (3, 4)]
    assert intervals == [(3, 4), (1, 2)]


# -- parts of batches -----------------------------------------------------------------------------


def test_parts_of_batches_are_not_joined() -> None:
    batches = [(0, 3), (3, 6), (8, 9)]
    assert parts_within(batches, [(2, 4), (4, 5)]) == [(2, 3), (3, 5)]
    assert parts_outside(batches, [(2, 4), (4, 5)]) == [(0, 2), (5, 6), (8, 9)]
    assert parts_within(batches, [(1, 2), (0, 1)]) == [(0, 2)]
    assert parts_within(batches, []) == []
    assert parts_outside(batches, []) == batches


# -- without --------------------------------------------------------------------------------------


def test_nothing_owed_leaves_the_batches_as_they_are() -> None:
    batches = [(0, 3), (3, 5)]
    cells = [days(0, 3), days(3, 5)]
    assert without(batches, [], cells, uninterrupted=False) == batches
    assert without(batches, [], cells, uninterrupted=True) == batches


def test_what_is_owed_splits_a_batch() -> None:
    assert without([(0, 5)], [(2, 3)], [days(0, 5)], uninterrupted=False) == [(0, 2), (3, 5)]


def test_a_cell_is_left_out_whole() -> None:
    cells = [[(0, 10), (10, 20), (20, 30)]]
    assert without([(0, 30)], [(19, 20)], cells, uninterrupted=False) == [(0, 10), (20, 30)]
    assert without([(0, 30)], [(9, 11)], cells, uninterrupted=False) == [(20, 30)]


def test_ends_are_exclusive() -> None:
    cells = [[(10, 20)]]
    for owed in ([(0, 10)], [(20, 30)], [(0, 10), (20, 30)]):
        assert without([(10, 20)], owed, cells, uninterrupted=False) == [(10, 20)]
    for owed in ([(0, 11)], [(19, 30)], [(12, 13)], [(0, 30)]):
        assert without([(10, 20)], owed, cells, uninterrupted=False) == []


def test_batches_stay_apart() -> None:
    batches = [(0, 2), (2, 4)]
    assert without(batches, [(9, 10)], [days(0, 2), days(2, 4)], uninterrupted=False) == batches
    result = without(batches, [(1, 2)], [days(0, 2), days(2, 4)], uninterrupted=False)
    assert result == [(0, 1), (2, 4)]


def test_cells_with_a_gap_between_them_stay_apart() -> None:
    cells = [[(0, 1), (2, 3), (3, 4)]]
    assert without([(0, 4)], [], cells, uninterrupted=False) == [(0, 1), (2, 4)]


def test_a_node_that_builds_on_its_past_ends_at_the_first_gap() -> None:
    batches, cells = [(0, 3), (3, 6)], [days(0, 3), days(3, 6)]
    assert without(batches, [(1, 2)], cells, uninterrupted=True) == [(0, 1)]
    assert without(batches, [(0, 1)], cells, uninterrupted=True) == []
    assert without(batches, [(4, 5)], cells, uninterrupted=True) == [(0, 3), (3, 4)]


def test_what_is_owed_may_come_unsorted_and_overlapping() -> None:
    owed = [(4, 5), (1, 2), (1, 2), (0, 2)]
    assert without([(0, 6)], owed, [days(0, 6)], uninterrupted=False) == [(2, 4), (5, 6)]


# -- in_words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intervals", "words"),
    [
        ([], ""),
        ([(15706 * DAY, 15737 * DAY)], "2013-01-01 to 2013-01-31"),
        ([(0, DAY)], "1970-01-01"),
        ([(-DAY, 0)], "1969-12-31"),
        ([(6 * HOUR, 7 * HOUR)], "1970-01-01 06:00 to 1970-01-01 07:00"),
        ([(0, HOUR)], "1970-01-01 00:00 to 1970-01-01 01:00"),
        ([(23 * HOUR, DAY)], "1970-01-01 23:00 to 1970-01-02 00:00"),
        ([(DAY, 3 * DAY), (0, DAY)], "1970-01-01 to 1970-01-03"),
        ([(0, DAY), (2 * DAY, 3 * DAY)], "1970-01-01; 1970-01-03"),
        (
            [(2 * i * DAY, (2 * i + 1) * DAY) for i in range(7)],
            "1970-01-01; 1970-01-03; 1970-01-05; 1970-01-07; 1970-01-09; and 2 more",
        ),
    ],
)
def test_in_words(intervals: list[Interval], words: str) -> None:
    assert in_words(intervals) == words


def test_words_are_in_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert in_words([(0, DAY)]) == "1970-01-01"
    finally:
        monkeypatch.undo()
        time.tzset()
