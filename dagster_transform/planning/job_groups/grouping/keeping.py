"""What stays of an earlier plan: each node in its group, as far as that is still possible.

The earlier groups are put in an order in which each reads earlier ones only, as far as the graph
allows it; then one pass through the nodes keeps each where it was unless something that it reads
has come to lie below that, and places new ones between what they read and what reads them. So
there is no circle among the groups, and few nodes move. Another pass goes from below, and others
start with what is least cut where the nodes that have to move lie on both sides of a group; what
moves the fewest nodes counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.grouping.drafts import Nodes
from dagster_transform.planning.job_groups.grouping.quotient import numbers
from dagster_transform.planning.job_groups.grouping.units import NO_LABEL, Units

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Home:
    """A group of an earlier plan, as far as it concerns who may be in it.

    Attributes:
        cron: When it ticks.
        apart: What `keep_apart` goes by, of most of its nodes.
        hosted: Cadences that its nodes have.
        closed: Whether it takes no node that people have not placed in it.
    """

    cron: Cron
    apart: tuple[str, ...]
    hosted: frozenset[Cron]
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """Where nodes are.

    Attributes:
        homes: The number of each node's earlier group; `NOWHERE`: it has to be placed otherwise.
        moved: Nodes that have left a group that they could have stayed in but for a circle.
    """

    homes: Sequence[int]
    moved: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Rules:
    """Where a node may go that is in no group, or has to leave its own.

    Attributes:
        takers: By label, the groups that take its nodes, the better ones first.
        largest: How many nodes it may make of a group.
        crowded: Whether it goes anywhere rather than to a new group.
    """

    takers: Callable[[int], tuple[Sequence[int], ...]]
    largest: int | None
    crowded: bool


def keep(
    nodes: Nodes,
    earlier: Sequence[int],
    homes: Sequence[Home],
    *,
    largest: int | None,
    covering: bool,
    crowded: bool = False,
) -> Kept:
    """Keep the nodes of an earlier plan where they are, and place new ones beside them.

    Args:
        nodes: The nodes of the graph.
        earlier: The number of each node's earlier group, in which it may be; `NOWHERE`: it is new,
            or may not be there any more.
        homes: The groups by number, each after those that it depended on.
        largest: How many nodes a new one may make of a group.
        covering: Whether new nodes go to a group of a finer cadence where none has theirs.
        crowded: Whether they go to any group of theirs rather than to a new one, which would have
            another merged: what reads them moves behind them then.
    """
    ranks = _ranks(nodes.units, earlier, len(homes))
    rules = _Rules(_takers(nodes, homes, covering=covering), largest, crowded)
    down = _pass(nodes.units, earlier, ranks, rules)
    if not (down.moved or crowded):
        return down
    mirrored = [len(homes) - 1 - rank for rank in ranks]
    below = nodes.units.reversed()
    found = [down, _pass(below, earlier, mirrored, rules)]
    if cut := _cut(nodes.units, earlier, ranks):
        staying = [NOWHERE if unit in cut else home for unit, home in enumerate(earlier)]
        for units, places in ((nodes.units, ranks), (below, mirrored)):
            kept = _pass(units, staying, places, rules)
            away = [unit for unit in sorted(cut) if kept.homes[unit] != earlier[unit]]
            found.append(Kept(kept.homes, [*away, *kept.moved]))
    if not crowded:
        return min(found, key=lambda kept: len(kept.moved))
    scheduled = [unit for unit, label in enumerate(nodes.units.labels) if label != NO_LABEL]

    def homeless(kept: Kept) -> int:
        return sum(kept.homes[unit] == NOWHERE for unit in scheduled)

    return min(found, key=lambda kept: (homeless(kept), len(kept.moved)))


def _cut(units: Units, earlier: Sequence[int], ranks: Sequence[int]) -> set[int]:
    """The fewest nodes without which none has a smaller place than what it reads, where one place
    parts those that lie above it from those below: of two nodes that are the wrong way round, one
    is then always among them."""
    own = [NOWHERE if home == NOWHERE else ranks[home] for home in earlier]
    highest = list(own)
    for unit in units.order:
        highest[unit] = max([own[unit], *(highest[above] for above in units.up[unit])])
    lowest = [len(ranks) if rank == NOWHERE else rank for rank in own]
    for unit in reversed(units.order):
        lowest[unit] = min([lowest[unit], *(lowest[below] for below in units.down[unit])])
    behind = [unit for unit, rank in enumerate(own) if rank != NOWHERE and rank < highest[unit]]
    before = [unit for unit, rank in enumerate(own) if rank != NOWHERE and rank > lowest[unit]]
    cuts = (
        {u for u in behind if own[u] < place} | {u for u in before if own[u] > place}
        for place in range(len(ranks))
    )
    return min(cuts, key=len, default=set())


def _takers(
    nodes: Nodes, homes: Sequence[Home], *, covering: bool
) -> Callable[[int], tuple[Sequence[int], ...]]:
    """By label, the groups that take its nodes: those of its cadence, then others that cover it."""
    found: dict[int, tuple[Sequence[int], ...]] = {NO_LABEL: ()}

    def takers(label: int) -> tuple[Sequence[int], ...]:
        if label not in found:
            cron, apart = nodes.labels[label].cron, nodes.labels[label].apart
            open_ones = [n for n, home in enumerate(homes) if not home.closed]
            of_kind = [number for number in open_ones if homes[number].apart == apart]
            same = [n for n in of_kind if cron == homes[n].cron or cron in homes[n].hosted]
            finer = [n for n in of_kind if n not in same and homes[n].cron.covers(cron)]
            pinned = nodes.labels[label].pinned is not None
            found[label] = () if pinned else (same, finer) if covering else (same,)
        return found[label]

    return takers


def _ranks(units: Units, earlier: Sequence[int], count: int) -> list[int]:
    """A place for each group, so that most of what a group reads has a smaller one: the earlier
    order where the graph does not say otherwise."""
    above = [0] * count
    through: dict[int, int] = {}
    for unit in units.order:
        bits = 0
        for each in units.up[unit]:
            bits |= 1 << earlier[each] if earlier[each] != NOWHERE else through.get(each, 0)
        home = earlier[unit]
        if home != NOWHERE:
            above[home] |= bits
        elif bits:
            through[unit] = bits
    for middle in range(count):  # all that is above each, Warshall's way
        for group in range(count):
            if above[group] >> middle & 1:
                above[group] |= above[middle]
    waits = [
        sum(1 << each for each in numbers(bits & ~(1 << group)) if not above[each] >> group & 1)
        for group, bits in enumerate(above)
    ]
    ranks = [0] * count
    placed = 0
    for rank in range(count):
        group = next(g for g in range(count) if not placed >> g & 1 and not waits[g] & ~placed)
        ranks[group] = rank
        placed |= 1 << group
    return ranks


def _pass(
    units: Units,
    earlier: Sequence[int],
    ranks: Sequence[int],
    rules: _Rules,
) -> Kept:
    """One pass from above.

    Places are counted in halves: the place of a group is twice its rank, and what goes to no group
    has the odd place behind whatever it reads.
    """
    most = _most_places(units, earlier, ranks)
    homes = list(earlier)
    places = [NOWHERE] * len(units)
    sizes = [0] * len(ranks)
    for home in earlier:
        if home != NOWHERE:
            sizes[home] += 1
    moved: list[int] = []
    for unit in units.order:
        least = max([places[above] for above in units.up[unit]], default=NOWHERE)
        home = earlier[unit]
        if home != NOWHERE:
            if 2 * ranks[home] >= least:
                places[unit] = 2 * ranks[home]
                continue
            moved.append(unit)
            sizes[home] -= 1
        label = units.labels[unit]
        homes[unit] = NOWHERE
        if label == NO_LABEL:
            places[unit] = least
            continue
        # What reads it has to move behind it: the nearer it stays, the less does.
        pushes = most[unit] < least
        up_to = 2 * len(ranks) if pushes else most[unit]
        fitting = _fitting(
            rules.takers(label), ranks, sizes, range(least, up_to + 1), rules.largest
        )
        if rules.crowded and (pushes or not fitting):
            pushes, everywhere = True, range(least, 2 * len(ranks))
            all_of_them = [*chain.from_iterable(rules.takers(label))]
            fitting = _fitting([all_of_them], ranks, sizes, everywhere, rules.largest)
        if not fitting:
            places[unit] = least | 1
            continue
        # Beside what it has to do with; where there is nothing of the kind, in the smallest.
        near = {} if pushes else _neighbours(units, homes, unit)
        best = min(
            fitting,
            key=lambda g: (-near.get(g, 0), 0 if near or pushes else sizes[g], ranks[g]),
        )
        homes[unit] = best
        sizes[best] += 1
        places[unit] = 2 * ranks[best]
    return Kept(homes, moved)


def _fitting(
    takers: Sequence[Sequence[int]],
    ranks: Sequence[int],
    sizes: Sequence[int],
    places: range,
    largest: int | None,
) -> list[int]:
    """The groups that a node can go to: the first takers of which there are any in its places."""
    for groups in takers:
        fitting = [
            group
            for group in groups
            if 2 * ranks[group] in places and (largest is None or sizes[group] < largest)
        ]
        if fitting:
            return fitting
    return []


def _most_places(units: Units, earlier: Sequence[int], ranks: Sequence[int]) -> list[int]:
    """The place behind which each node can't go without moving what reads it."""
    most = [2 * len(ranks)] * len(units)
    for unit in reversed(units.order):
        for below in units.down[unit]:
            place = 2 * ranks[earlier[below]] if earlier[below] != NOWHERE else most[below]
            most[unit] = min(most[unit], place)
    return most


def _neighbours(units: Units, homes: Sequence[int], unit: int) -> Mapping[int, int]:
    """By group, how many of its nodes a node reads or is read by."""
    found: dict[int, int] = {}
    for near in (*units.up[unit], *units.down[unit]):
        if homes[near] != NOWHERE:
            found[homes[near]] = found.get(homes[near], 0) + 1
    return found
