"""Cadences merged before groups are made, where groups would be too many to be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from dagster_transform.planning.job_groups.grouping.labels import Label
from dagster_transform.planning.job_groups.grouping.units import NO_LABEL, Units


def finer_labels(units: Units, labels: Sequence[Label]) -> list[tuple[int, int]]:
    """Labels that can be taken for a finer one, each with the nearest such, rarest first.

    Args:
        units: The units.
        labels: The labels by number; units may have higher numbers, which stay as they are.
    """
    counts = Counter(units.labels)
    alike: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for number, label in enumerate(labels):
        if counts[number]:  # pinned nodes are in blocks, whose labels are of their own
            alike.setdefault((label.cron.time_zone, label.apart), []).append(number)
    found = []
    for numbers in alike.values():
        by_pace = sorted(numbers, key=lambda number: labels[number].cron.per_day)
        for place, number in enumerate(by_pace):
            cron = labels[number].cron
            finer = (other for other in by_pace[place + 1 :] if labels[other].cron.covers(cron))
            nearest = next(finer, None)
            if nearest is not None:
                found.append((number, nearest))
    return sorted(found, key=lambda pair: (counts[pair[0]], pair))


def relabelled(units: Units, taken_for: Sequence[tuple[int, int]]) -> Units:
    """The units, with labels taken for others, those perhaps for others again."""
    into = dict(taken_for)

    def last(label: int) -> int:
        while label in into:
            label = into[label]
        return label

    ends = {label: last(label) for label in {*units.labels} - {NO_LABEL}}
    labels = [ends.get(label, NO_LABEL) for label in units.labels]
    return Units(units.up, units.down, labels, units.order)


def fewest_merges(
    units: Units, finer: Sequence[tuple[int, int]], count: Callable[[Units], int], most: int
) -> Units:
    """The units with as few labels merged as leave at most so many groups; where none leaves so
    few, with all.

    Args:
        units: The units.
        finer: As of `finer_labels`.
        count: How many groups there would be.
        most: How many there may be.
    """
    low, high = 0, len(finer)
    while low < high:
        middle = (low + high) // 2
        if count(relabelled(units, finer[:middle])) <= most:
            high = middle
        else:
            low = middle + 1
    return relabelled(units, finer[:low])
