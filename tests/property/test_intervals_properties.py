from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.sqlmesh.intervals import (
    Interval,
    merged,
    minus,
    parts_outside,
    parts_within,
    without,
)

TIMES = st.integers(-20, 60)
INTERVALS = st.lists(
    st.tuples(TIMES, st.integers(1, 15)).map(lambda t: (t[0], t[0] + t[1])), max_size=8
)


@st.composite
def batches_in_cells(draw: st.DrawFn) -> list[list[Interval]]:
    """Batches in order, each as its cells, which follow each other without a gap."""
    batches = []
    time = draw(TIMES)
    for _ in range(draw(st.integers(0, 4))):
        time += draw(st.integers(0, 3))
        cells = []
        for length in draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)):
            cells.append((time, time + length))
            time += length
        batches.append(cells)
    return batches


def whole(batches: list[list[Interval]]) -> list[Interval]:
    return [(cells[0][0], cells[-1][1]) for cells in batches]


def moments(intervals: list[Interval]) -> set[int]:
    return {moment for start, end in intervals for moment in range(start, end)}


@given(INTERVALS)
def test_merging_keeps_every_moment_and_leaves_gaps_between(intervals: list[Interval]) -> None:
    result = merged(intervals)
    assert moments(result) == moments(intervals)
    assert all(before[1] < then[0] for before, then in pairwise(result))
    assert merged(result) == result
    assert merged(reversed(intervals)) == result


@given(INTERVALS, INTERVALS)
def test_a_difference_has_every_moment_that_only_the_first_has(
    intervals: list[Interval], others: list[Interval]
) -> None:
    result = minus(intervals, others)
    assert moments(result) == moments(intervals) - moments(others)
    assert all(start < end for start, end in result)
    assert merged(result) == result
    assert minus(intervals, []) == merged(intervals)


@given(batches_in_cells(), INTERVALS)
def test_the_parts_of_batches_within_others_and_outside_of_them_are_the_batches(
    batches: list[list[Interval]], others: list[Interval]
) -> None:
    within, outside = (parts(whole(batches), others) for parts in (parts_within, parts_outside))
    assert moments(within) == moments(whole(batches)) & moments(others)
    assert moments(outside) == moments(whole(batches)) - moments(others)
    assert sum(end - start for start, end in [*within, *outside]) == len(moments(whole(batches)))


@given(batches_in_cells(), INTERVALS)
def test_exactly_the_cells_that_touch_nothing_owed_are_left(
    batches: list[list[Interval]], owed: list[Interval]
) -> None:
    result = without(whole(batches), owed, batches, uninterrupted=False)
    debts = moments(owed)
    free = [cell for cells in batches for cell in cells if not moments([cell]) & debts]
    assert moments(result) == moments(free)


@given(batches_in_cells(), INTERVALS)
def test_each_part_lies_within_one_batch_and_is_as_long_as_it_can_be(
    batches: list[list[Interval]], owed: list[Interval]
) -> None:
    result = without(whole(batches), owed, batches, uninterrupted=False)
    batch_of = {m: i for i, batch in enumerate(whole(batches)) for m in range(*batch)}
    for part in result:
        assert len({batch_of[m] for m in range(*part)}) == 1
    for before, then in pairwise(result):
        assert before[1] <= then[0]
        assert before[1] < then[0] or batch_of[before[0]] != batch_of[then[0]]


@given(batches_in_cells(), INTERVALS)
def test_a_node_that_builds_on_its_past_gets_what_lies_before_the_first_debt(
    batches: list[list[Interval]], owed: list[Interval]
) -> None:
    result = without(whole(batches), owed, batches, uninterrupted=True)
    free = []
    for cell in (cell for cells in batches for cell in cells):
        if moments([cell]) & moments(owed):
            break
        free.append(cell)
    assert moments(result) == moments(free)
    freely = without(whole(batches), owed, batches, uninterrupted=False)
    assert result == freely[: len(result)]
