"""Graphs of numbers: what splitting works on, since a graph may have 100,000 nodes.

A unit is one node, or several that stay together. Units without a label are in no group; what
reads such a unit depends on what it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class Units:
    """Units by number, each with its label.

    Attributes:
        up: What each unit reads, without repeats.
        down: Which units read it.
        labels: The number of its label; `NO_LABEL`: it is in no group.
        order: All units, each after what it reads.
    """

    up: Sequence[Sequence[int]]
    down: Sequence[Sequence[int]]
    labels: Sequence[int]
    order: Sequence[int]

    def __len__(self) -> int:
        return len(self.labels)

    def reversed(self) -> Units:
        """The same, seen from below."""
        return Units(self.down, self.up, self.labels, self.order[::-1])


class UnitsInCircle(ValueError):
    """Units depend on each other in a circle.

    Attributes:
        stuck: All units that are in a circle or below one.
    """

    def __init__(self, stuck: frozenset[int]) -> None:
        self.stuck = stuck
        super().__init__(f"{len(stuck)} units are in a circle or below one")


def units_of(up: Sequence[Sequence[int]], labels: Sequence[int]) -> Units:
    """Units from what each one reads. Raises UnitsInCircle."""
    down: list[list[int]] = [[] for _ in up]
    for unit, above in enumerate(up):
        for each in above:
            down[each].append(unit)
    missing = [len(above) for above in up]
    order = [unit for unit, count in enumerate(missing) if not count]
    for unit in order:  # grows while it is read
        for below in down[unit]:
            missing[below] -= 1
            if not missing[below]:
                order.append(below)
    if len(order) < len(labels):
        raise UnitsInCircle(frozenset(unit for unit, count in enumerate(missing) if count))
    return Units(up, down, labels, order)


def contract(units: Units, block_of: Sequence[int], labels: Sequence[int]) -> tuple[Units, list[int]]:
    """The units with some of them made one.

    Args:
        units: The units.
        block_of: The block of each unit, from 0; -1: it stays on its own.
        labels: The label of each block.

    Returns:
        The new units, the blocks first; and for each of the old ones, its new number.

    Raises:
        UnitsInCircle: A path leaves a block and comes back to it, or several do to each other.
    """
    new_labels = list(labels)
    new_of = list(block_of)
    for unit, block in enumerate(block_of):
        if block < 0:
            new_of[unit] = len(new_labels)
            new_labels.append(units.labels[unit])
    up: list[set[int]] = [set() for _ in new_labels]
    for unit, above in enumerate(units.up):
        up[new_of[unit]].update([new_of[each] for each in above])
    for unit, above_new in enumerate(up):
        above_new.discard(unit)
    return units_of([sorted(above_new) for above_new in up], new_labels), new_of


def longest_chain(units: Units, seconds: Sequence[float], members: Sequence[int]) -> float:
    """The longest way through some of the units, in seconds.

    Args:
        units: The units.
        seconds: How long each one takes.
        members: The units in question, in their order.
    """
    ends: dict[int, float] = {}
    for unit in members:
        before = [ends[above] for above in units.up[unit] if above in ends]
        ends[unit] = seconds[unit] + max(before, default=0.0)
    return max(ends.values(), default=0.0)
