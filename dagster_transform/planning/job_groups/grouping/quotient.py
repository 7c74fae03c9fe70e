"""The graph of groups, in which groups are joined while it stays free of circles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from dagster_transform.planning.job_groups.grouping.units import NO_LABEL, Units


def edges_between(units: Units, groups: Sequence[int]) -> list[set[int]]:
    """By group, the groups that its units read, directly or through units in no group.

    Args:
        units: The units.
        groups: The group of each unit, from 0; -1: it is in none.
    """
    above: list[set[int]] = [set() for _ in range(max(groups, default=-1) + 1)]
    # What units in no group read: few have any above them, so that sets don't cost much.
    through: dict[int, frozenset[int]] = {}
    nothing: frozenset[int] = frozenset()
    for unit in units.order:
        found: set[int] = set()
        for each in units.up[unit]:
            if groups[each] == NO_LABEL:
                found |= through.get(each, nothing)
            else:
                found.add(groups[each])
        group = groups[unit]
        if group != NO_LABEL:
            above[group] |= found
        elif found:
            through[unit] = frozenset(found)
    for group, found in enumerate(above):
        found.discard(group)
    return above


class Quotient:
    """The groups and what depends on what, as sets of bits; joined one by one.

    Args:
        above: By group, the groups that it reads. Without a circle.
    """

    def __init__(self, above: Sequence[set[int]]) -> None:
        count = len(above)
        self.alive = (1 << count) - 1
        self._reads = [_bits(found) for found in above]
        self._read_by = [0] * count
        for group, found in enumerate(above):
            for each in found:
                self._read_by[each] |= 1 << group
        order = topological(above)
        self._above = [0] * count
        self._below = [0] * count
        for group in order:
            for each in above[group]:
                self._above[group] |= self._above[each] | 1 << each
        for group in reversed(order):
            for each in above[group]:
                self._below[each] |= self._below[group] | 1 << group

    def __len__(self) -> int:
        return self.alive.bit_count()

    def groups(self) -> Iterator[int]:
        """The groups that there are."""
        return numbers(self.alive)

    def neighbours(self, group: int) -> int:
        """Groups that it reads or that read it, as bits."""
        return self._reads[group] | self._read_by[group]

    def joinable(self, group: int) -> int:
        """Groups with which it can be one, as bits: there is no third one between the two."""
        between = 0
        for each in numbers(self._read_by[group]):
            between |= self._below[each]
        for each in numbers(self._reads[group]):
            between |= self._above[each]
        return self.alive & ~between & ~(1 << group)

    def join(self, group: int, other: int) -> None:
        """Make `other` a part of `group`; the two are `joinable`."""
        here, there = 1 << group, 1 << other
        both = ~(here | there)
        for each in numbers(self._reads[other]):
            self._read_by[each] = self._read_by[each] & ~there | here
        for each in numbers(self._read_by[other]):
            self._reads[each] = self._reads[each] & ~there | here
        self._reads[group] = (self._reads[group] | self._reads[other]) & both
        self._read_by[group] = (self._read_by[group] | self._read_by[other]) & both
        above = (self._above[group] | self._above[other]) & both
        below = (self._below[group] | self._below[other]) & both
        self._above[group], self._below[group] = above, below
        for each in numbers(above):
            self._below[each] = self._below[each] & ~there | below | here
        for each in numbers(below):
            self._above[each] = self._above[each] & ~there | above | here
        self.alive &= ~there


def topological(above: Sequence[set[int]]) -> list[int]:
    """Groups, each after those that it reads; among those that could be next, the smallest number.

    Args:
        above: By group, the groups that it reads. Without a circle.
    """
    below: list[list[int]] = [[] for _ in above]
    for group, found in enumerate(above):
        for each in found:
            below[each].append(group)
    missing = [len(found) for found in above]
    ready = [group for group, count in enumerate(missing) if not count]
    order: list[int] = []
    while ready:
        group = heappop(ready)
        order.append(group)
        for each in below[group]:
            missing[each] -= 1
            if not missing[each]:
                heappush(ready, each)
    return order


def numbers(bits: int) -> Iterator[int]:
    """The places of the bits that are set, the lowest first."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def _bits(found: set[int]) -> int:
    bits = 0
    for each in found:
        bits |= 1 << each
    return bits
