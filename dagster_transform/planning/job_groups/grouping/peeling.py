"""The graph taken apart from one end, a whole cadence at a time.

Whatever is ready (all that it reads has been taken) and has the label of this peel is taken, and
with it what gets ready by that and has the same label: a group. As each peel reads earlier ones
only, the groups have no circle. How few there are depends on which label is next: it is the
shortest common supersequence of the labels on all ways through the graph, which nobody computes
exactly. The label with the most changes below it does well; from which end depends on the graph.
"""

from __future__ import annotations

from dagster_transform.planning.job_groups.grouping.units import NO_LABEL, Units


def peel(units: Units, labels: int) -> list[int]:
    """Groups of units that have one label each, and no circle among them; as few as are found.

    Args:
        units: The units.
        labels: How many labels there are.

    Returns:
        The number of each unit's group, from 0, in no particular order; -1 for those without a
        label.
    """
    from_above, peels = _peel(units, labels)
    from_below, peels_from_below = _peel(units.reversed(), labels)
    return from_below if peels_from_below < peels else from_above


def _changes_below(units: Units) -> list[int]:
    """How often the label changes on the longest way down from each unit."""
    heights = [0] * len(units)
    labels, down = units.labels, units.down
    for unit in reversed(units.order):
        label = labels[unit]
        found = [heights[below] + (labels[below] != label) for below in down[unit]]
        heights[unit] = max(found, default=0)
    return heights


def _peel(units: Units, labels: int) -> tuple[list[int], int]:
    """One attempt: groups by unit, and their number. Of labels that are equally good, the one with
    the smaller number is next."""
    heights = _changes_below(units)
    missing = [len(above) for above in units.up]
    ready: list[list[int]] = [[] for _ in range(labels)]
    score = [0] * labels
    waiting: set[int] = set()
    groups = [NO_LABEL] * len(units)
    stack = [unit for unit in units.order if not missing[unit]]
    peels = 0
    taken = NO_LABEL
    down, label_of = units.down, units.labels
    while True:
        while stack:
            unit = stack.pop()
            label = label_of[unit]
            if label not in (taken, NO_LABEL):
                ready[label].append(unit)
                waiting.add(label)
                score[label] = max(score[label], heights[unit])
                continue
            if label != NO_LABEL:
                groups[unit] = peels - 1
            for below in down[unit]:
                missing[below] -= 1
                if not missing[below]:
                    stack.append(below)
        if not waiting:
            return groups, peels
        taken = max(waiting, key=lambda label: (score[label], -label))
        waiting.discard(taken)
        stack, ready[taken], score[taken] = ready[taken], [], 0
        peels += 1
