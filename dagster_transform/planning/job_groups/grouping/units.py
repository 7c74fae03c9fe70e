"""Graphs of numbers: what splitting works on, since a graph may have 100,000 nodes.

A unit is one node, or several that stay together. Units without a label are in no group; what
reads such a unit depends on what it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagster_transform.graph.counts import counted

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
        super().__init__(f"{counted(len(stuck), 'unit is', 'units are')} in a circle or below one")


def units_in_order(up: Sequence[Sequence[int]], labels: Sequence[int]) -> Units:
    """Units from what each one reads, where that has smaller numbers only."""
    return Units(up, _down(up), labels, range(len(up)))


def units_of(up: Sequence[Sequence[int]], labels: Sequence[int]) -> Units:
    """Units from what each one reads. Raises UnitsInCircle."""
    down = _down(up)
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


def _down(up: Sequence[Sequence[int]]) -> list[list[int]]:
    down: list[list[int]] = [[] for _ in up]
    for unit, above in enumerate(up):
        for each in above:
            down[each].append(unit)
    return down


def contract(
    units: Units, block_of: Sequence[int], labels: Sequence[int]
) -> tuple[Units, list[int]]:
    """The units with some of them made one.

    Units without a label that lie between units of one block become a part of it.

    Args:
        units: The units.
        block_of: The block of each unit, from 0; -1: it stays on its own.
        labels: The label of each block.

    Returns:
        The new units, the blocks first; and for each of the old ones, its new number.

    Raises:
        UnitsInCircle: A way leaves a block and comes back to it, or several blocks read each other.
    """
    if not labels:
        return units, list(range(len(units)))
    new_of = numbers_of(units, block_of, len(labels))
    new_labels = [*labels, *[NO_LABEL] * (max(new_of, default=-1) + 1 - len(labels))]
    for unit, new in enumerate(new_of):
        if new >= len(labels):
            new_labels[new] = units.labels[unit]
    up: list[set[int]] = [set() for _ in new_labels]
    for unit, above in enumerate(units.up):
        up[new_of[unit]].update([new_of[each] for each in above])
    for unit, above_new in enumerate(up):
        above_new.discard(unit)
    return units_of([sorted(above_new) for above_new in up], new_labels), new_of


def numbers_of(units: Units, block_of: Sequence[int], blocks: int) -> list[int]:
    """The number that each unit has when blocks are made one, as `contract` has them."""
    new_of = list(block_of)
    for unit, within in lying_within(units, block_of).items():
        if within:
            new_of[unit] = min(within)
    number = blocks
    for unit, block in enumerate(new_of):
        if block < 0:
            new_of[unit] = number
            number += 1
    return new_of


def lying_within(units: Units, groups: Sequence[int]) -> dict[int, frozenset[int]]:
    """By unit without a label, the groups from which a way through it comes back to the same group,
    through units without a label only.

    Args:
        units: The units.
        groups: The group of each unit, from 0; -1: it is in none.
    """
    above = _seen(units, groups)
    below = _seen(units.reversed(), groups)
    return {unit: found & below[unit] for unit, found in above.items()}


def _seen(units: Units, groups: Sequence[int]) -> dict[int, frozenset[int]]:
    """By unit without a label, the groups that it reads, through others without a label too."""
    found: dict[int, frozenset[int]] = {}
    nothing: frozenset[int] = frozenset()
    for unit in units.order:
        if units.labels[unit] == NO_LABEL:
            of_unit: set[int] = set()
            for each in units.up[unit]:
                if groups[each] >= 0:
                    of_unit.add(groups[each])
                else:
                    of_unit |= found.get(each, nothing)
            found[unit] = frozenset(of_unit)
    return found


def depths_of(units: Units) -> list[int]:
    """How many units there are on the longest way down to each."""
    depths = [1] * len(units)
    for unit in units.order:
        for above in units.up[unit]:
            if depths[above] >= depths[unit]:
                depths[unit] = depths[above] + 1
    return depths


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
