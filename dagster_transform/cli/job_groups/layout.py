"""Where the boxes of job groups come in a picture: columns by what depends on what. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dagster_transform.planning.job_groups.values import JobGroup, JobGroupName

# Fills that people who see few colours can tell apart, light enough for dark text.
PALETTE = (
    ("#cfe8f7", "#0072b2"),
    ("#fbe3c0", "#b86e00"),
    ("#cfeee3", "#00795a"),
    ("#f6dcea", "#a3346f"),
    ("#fdf6bf", "#857a00"),
    ("#dcdff5", "#4552a8"),
    ("#f9d5cc", "#b03a15"),
    ("#e4e4e4", "#555555"),
)
"""Fill and stroke of each cadence; more cadences than that share them."""


def columns_of(groups: Sequence[JobGroup]) -> list[list[JobGroup]]:
    """The groups in columns: each is right of all that it depends on, and beside what it depends
    on most within its column.

    Args:
        groups: Each after those that it depends on.
    """
    depth: dict[JobGroupName, int] = {}
    for group in groups:
        depth[group.name] = 1 + max((depth[name] for name in group.depends_on), default=-1)
    columns: list[list[JobGroup]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for group in groups:
        columns[depth[group.name]].append(group)
    place: dict[JobGroupName, float] = {}
    for column in columns:
        column.sort(key=lambda group: _middle(group, place))  # stable: ties stay in order
        for at, group in enumerate(column):
            place[group.name] = at - (len(column) - 1) / 2
    return columns


def arrows_of(groups: Sequence[JobGroup]) -> dict[JobGroupName, list[JobGroupName]]:
    """By group, what it depends on, without what it also depends on through another one: that goes
    without an arrow of its own.

    Args:
        groups: Each after those that it depends on.
    """
    above: dict[JobGroupName, set[JobGroupName]] = {}
    found: dict[JobGroupName, list[JobGroupName]] = {}
    for group in groups:
        through = {far for name in group.depends_on for far in above[name]}
        found[group.name] = [name for name in group.depends_on if name not in through]
        above[group.name] = {*through, *group.depends_on}
    return found


def _middle(group: JobGroup, place: Mapping[JobGroupName, float]) -> float:
    above = [place[name] for name in group.depends_on]
    return sum(above) / len(above) if above else 0.0


def colours_of(groups: Sequence[JobGroup]) -> dict[str, tuple[str, str]]:
    """Fill and stroke of each cadence, in words; the most frequent comes first."""
    cadences = {group.cron.describe(): group.cron.per_day for group in groups}
    ordered = sorted(cadences, key=lambda words: (-cadences[words], words))
    return {words: PALETTE[at % len(PALETTE)] for at, words in enumerate(ordered)}
