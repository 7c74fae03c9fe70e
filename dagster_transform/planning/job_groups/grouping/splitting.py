"""Groups split: into parts that can run side by side, and where they are too large.

Splitting makes no circle: a circle among the parts of several groups would be one of these groups,
and among the parts of one group there is none, since parts that are whole components do not depend
on each other, and stages of a component read earlier ones only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from dagster_transform.planning.job_groups.grouping.components import components
from dagster_transform.planning.job_groups.grouping.drafts import Draft, Nodes, common_cron
from dagster_transform.planning.job_groups.grouping.units import depths_of, longest_chain
from dagster_transform.planning.job_groups.values import JobGroupSettings
from dagster_transform.planning.values import DEFAULT_MODELS

_Component = tuple[int, ...]


def split(nodes: Nodes, drafts: Sequence[Draft], settings: JobGroupSettings) -> list[Draft]:
    """The same nodes in more groups, as far as there may be more.

    Groups that are too large are split first. Then those that have no name yet are split into
    components of at least `smallest` nodes, the group that takes longest first.

    Args:
        nodes: The nodes of the graph.
        drafts: The groups.
        settings: What people want.
    """
    if settings.largest is not None:
        drafts = _small_enough(nodes, drafts, settings.largest, settings.max_job_groups)
    room = settings.max_job_groups - len(drafts)
    if room <= 0:
        return list(drafts)
    found = list(zip(drafts, components(nodes.units, drafts), strict=True))
    return [
        _part_of(nodes, draft, part) for draft, part in _side_by_side(nodes, found, settings, room)
    ]


def _small_enough(nodes: Nodes, drafts: Sequence[Draft], largest: int, most: int) -> list[Draft]:
    """Groups of at most `largest` nodes, as far as there are at most so many groups; the largest
    part of one keeps its name."""
    depths = depths_of(nodes.units)
    parts = [[found] for found in components(nodes.units, drafts)]
    room = most - len(drafts)
    for place in sorted(range(len(drafts)), key=lambda place: -len(drafts[place].members)):
        if not drafts[place].pinned:
            parts[place] = _fit(depths, parts[place][0], largest, room + 1)
            room -= len(parts[place]) - 1
    return [
        _part_of(nodes, draft if number == 0 else replace(draft, name=None), part)
        for draft, of_draft in zip(drafts, parts, strict=True)
        for number, part in enumerate(of_draft)
    ]


@dataclass(slots=True)
class _Load:
    """What a part has to do, in seconds: its longest chain, and all of it."""

    chain: float = 0.0
    total: float = 0.0

    def with_more(self, other: _Load) -> _Load:
        return _Load(max(self.chain, other.chain), self.total + other.total)

    def seconds(self) -> tuple[float, float]:
        """How long a run of it takes at least; and all of it, between those that are equal."""
        return max(self.chain, self.total / DEFAULT_MODELS), self.total


def _side_by_side(
    nodes: Nodes,
    drafts: Sequence[tuple[Draft, list[_Component]]],
    settings: JobGroupSettings,
    room: int,
) -> list[tuple[Draft, list[_Component]]]:
    """Groups with their components, those that have no name split while there is room."""
    pieces = [
        [found] if draft.name else _pieces(found, settings.smallest) for draft, found in drafts
    ]
    counts = [1] * len(drafts)
    loads = [
        [_load_of(nodes, piece) for piece in found] if len(found) > 1 else [] for found in pieces
    ]
    for _ in range(room):
        splittable = [place for place, count in enumerate(counts) if count < len(pieces[place])]
        if not splittable:
            break
        slowest = max(splittable, key=lambda place: (_share(loads[place], counts[place]), -place))
        counts[slowest] += 1
    return [
        (draft, part)
        for (draft, _), found, load, count in zip(drafts, pieces, loads, counts, strict=True)
        for part in (_balanced(found, load, count) if count > 1 else [_all(found)])
    ]


def _pieces(found: list[_Component], smallest: int) -> list[list[_Component]]:
    """Components that may be groups of their own, and the small ones together: as one more where
    they are enough for it, else with the smallest of the others."""
    large = [[component] for component in found if len(component) >= smallest]
    small = [component for component in found if len(component) < smallest]
    if not large or sum(map(len, small)) >= smallest:
        return [*large, small] if small else large
    min(large, key=lambda piece: len(piece[0])).extend(small)
    return large


def _all(pieces: Iterable[list[_Component]]) -> list[_Component]:
    return [component for piece in pieces for component in piece]


def _balanced(
    pieces: Sequence[list[_Component]], loads: Sequence[_Load], count: int
) -> list[list[_Component]]:
    """Pieces in so many parts: the longest first, each to the part that has least to do."""
    parts: list[list[_Component]] = [[] for _ in range(count)]
    of_part = [_Load() for _ in parts]
    for place in sorted(range(len(pieces)), key=lambda place: loads[place].seconds(), reverse=True):
        least = min(
            range(count), key=lambda part: (of_part[part].seconds(), len(parts[part]), part)
        )
        parts[least].extend(pieces[place])
        of_part[least] = of_part[least].with_more(loads[place])
    return parts


def _share(loads: Sequence[_Load], count: int) -> float:
    """How long a run of the slowest of so many parts takes at least."""
    total = sum(load.total for load in loads)
    return max(total / count / DEFAULT_MODELS, *(load.chain for load in loads))


def _load_of(nodes: Nodes, piece: Sequence[_Component]) -> _Load:
    load = _Load()
    for component in piece:
        chain = longest_chain(nodes.units, nodes.seconds, component)
        load = load.with_more(_Load(chain, sum(nodes.seconds[node] for node in component)))
    return load


def _fit(
    depths: Sequence[int], found: list[_Component], largest: int, most: int
) -> list[list[_Component]]:
    """A group's components in parts of at most `largest` nodes; where there would be more than
    `most` parts, in so many."""
    size = _size(found)
    if size <= largest or most < 2:
        return [found]
    limit = max(largest, ceil(size / most))
    while len(parts := _filled(depths, found, limit)) > most:
        limit += max(1, limit // 10)
    # All that may be is used, so that the next plan finds nothing left to do.
    while len(parts) < most and _size(parts[0]) > largest:
        parts = sorted([*_halves(depths, parts[0]), *parts[1:]], key=_size, reverse=True)
    return parts


def _size(part: list[_Component]) -> int:
    return sum(map(len, part))


def _halves(depths: Sequence[int], part: list[_Component]) -> list[list[_Component]]:
    """Two parts of about the same size."""
    if len(part) == 1:
        return [[stage] for stage in _stages(depths, part[0], ceil(len(part[0]) / 2))]
    halves: list[list[_Component]] = [[], []]
    for component in sorted(part, key=len, reverse=True):
        min(halves, key=_size).append(component)
    return halves


def _filled(depths: Sequence[int], found: list[_Component], limit: int) -> list[list[_Component]]:
    """Components in as few parts of at most `limit` nodes as first-fit has them; a component that
    is larger is cut into stages, each with a part of its own."""
    parts: list[list[_Component]] = []
    whole: list[_Component] = []
    for component in found:
        if len(component) <= limit:
            whole.append(component)
        else:
            parts += [[stage] for stage in _stages(depths, component, limit)]
    sizes = [len(part[0]) for part in parts]
    for component in sorted(whole, key=len, reverse=True):
        fitting = (place for place, size in enumerate(sizes) if size + len(component) <= limit)
        place = next(fitting, len(parts))
        if place == len(parts):
            parts.append([])
            sizes.append(0)
        parts[place].append(component)
        sizes[place] += len(component)
    return sorted(parts, key=_size, reverse=True)


def _stages(depths: Sequence[int], component: _Component, limit: int) -> list[_Component]:
    """A component cut across, by how many nodes of the graph lie above one."""
    in_order = sorted(component, key=lambda node: (depths[node], node))
    size = ceil(len(component) / ceil(len(component) / limit))
    return [
        tuple(sorted(in_order[start : start + size])) for start in range(0, len(component), size)
    ]


def _part_of(nodes: Nodes, draft: Draft, part: Sequence[_Component]) -> Draft:
    """A draft of some of a draft's components."""
    members = tuple(sorted(node for component in part for node in component))
    if len(members) == len(draft.members):
        return draft
    labels = (nodes.label(node) for node in members)
    cron = draft.cron if draft.name else common_cron({label.cron for label in labels if label})
    return replace(draft, members=members, cron=cron or draft.cron)
