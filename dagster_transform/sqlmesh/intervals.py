"""Arithmetic of SQLMesh's intervals: pure, in epoch milliseconds, `[start, end)`, UTC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

Interval = tuple[int, int]
_SHOWN = 5


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same time, as sorted intervals that neither overlap nor touch."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def minus(intervals: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """The time in `intervals` that is in none of `others`, merged."""
    result: list[Interval] = []
    taken = merged(others)
    for first, end in merged(intervals):
        start = first
        for other_start, other_end in taken:
            if other_end <= start or end <= other_start:
                continue
            if start < other_start:
                result.append((start, other_start))
            start = max(start, other_end)
        if start < end:
            result.append((start, end))
    return result


def parts_within(batches: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """The parts of each batch that lie in `others`, in order; batches are not joined."""
    allowed = merged(others)
    return [part for b in batches for part in minus([b], minus([b], allowed))]


def parts_outside(batches: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """The parts of each batch that lie in none of `others`, in order; batches are not joined."""
    taken = merged(others)
    return [part for b in batches for part in minus([b], taken)]


def without(
    batches: Sequence[Interval],
    owed: Sequence[Interval],
    cells: Sequence[Sequence[Interval]],
    *,
    uninterrupted: bool,
) -> list[Interval]:
    """`batches` less every cell that overlaps `owed`.

    Args:
        batches: What would be built, in order.
        owed: What upstreams still owe.
        cells: For each batch, its smallest parts that can be built alone (days of a daily model).
        uninterrupted: Whether each cell builds on the one before: then nothing after the first
            cell that is left out is built either.

    Returns:
        Batches again: neighbouring cells of one batch stay together.
    """
    owed = merged(owed)
    result: list[Interval] = []
    for batch in range(len(batches)):
        open_batch = False
        for start, end in cells[batch]:
            if any(start < o_end and o_start < end for o_start, o_end in owed):
                if uninterrupted:
                    return result
                open_batch = False
            elif open_batch and result[-1][1] == start:
                result[-1] = (result[-1][0], end)
            else:
                result.append((start, end))
                open_batch = True
    return result


def in_words(intervals: Iterable[Interval]) -> str:
    """For people: `2013-01-01 to 2013-01-31` (whole days, the last one included), else with times
    (the end excluded); UTC; neighbours joined, at most five."""
    joined = merged(intervals)
    words = [_one_in_words(interval) for interval in joined[:_SHOWN]]
    more = len(joined) - len(words)
    return "; ".join(words) + (f"; and {more} more" if more else "")


def _one_in_words(interval: Interval) -> str:
    start, end = (datetime.fromtimestamp(ms / 1000, tz=timezone.utc) for ms in interval)
    if start.time() == end.time() == datetime.min.time():
        last = end - timedelta(days=1)
        return f"{start:%Y-%m-%d}" + (f" to {last:%Y-%m-%d}" if last > start else "")
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
