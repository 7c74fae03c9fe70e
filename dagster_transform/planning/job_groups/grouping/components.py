"""Which parts of a group do not depend on each other."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_transform.planning.job_groups.grouping.drafts import Draft, groups_of
from dagster_transform.planning.job_groups.grouping.units import NO_LABEL, Units, lying_within

_NOTHING: frozenset[int] = frozenset()


def components(units: Units, drafts: Sequence[Draft]) -> list[list[tuple[int, ...]]]:
    """For each group, its nodes by what they depend on: no node of one component reads one of
    another, also not through nodes that are in no group.

    Args:
        units: The nodes of the graph, numbered in its order.
        drafts: The groups.

    Returns:
        The components of each, by their first nodes.
    """
    groups = groups_of(len(units), drafts)
    lies_within = lying_within(units, groups)
    parents: dict[tuple[int, int], tuple[int, int]] = {}

    def root(place: tuple[int, int]) -> tuple[int, int]:
        while (above := parents.get(place, place)) != place:
            parents[place] = parents.get(above, above)
            place = above
        return place

    # A place is a node in a group; a node that is in none has one in each group it lies within.
    for unit in units.order:
        for group in _places(unit, groups, lies_within):
            for above in units.up[unit]:
                if groups[above] == group or group in lies_within.get(above, _NOTHING):
                    one, other = root((unit, group)), root((above, group))
                    if one != other:
                        parents[max(one, other)] = min(one, other)
    found: list[list[tuple[int, ...]]] = []
    for number, draft in enumerate(drafts):
        of_group: dict[tuple[int, int], list[int]] = {}
        for member in sorted(draft.members):
            of_group.setdefault(root((member, number)), []).append(member)
        found.append([tuple(members) for members in of_group.values()])
    return found


def _places(
    unit: int, groups: Sequence[int], within: dict[int, frozenset[int]]
) -> tuple[int, ...] | frozenset[int]:
    return (groups[unit],) if groups[unit] != NO_LABEL else within.get(unit, _NOTHING)
