"""Why a group is what it is, in words: read off the finished groups, whatever made them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Sequence

from dagster_transform.graph.counts import counted
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.grouping.drafts import Draft, Nodes
from dagster_transform.planning.job_groups.grouping.labels import some
from dagster_transform.planning.job_groups.values import (
    JobGroupName,
    JobGroupSettings,
    MergeCadences,
)

_MOST_COMPARED = 3


class Reasons:
    """The reasons of all groups of a plan.

    Args:
        nodes: The nodes of the graph.
        drafts: The groups, in the order of the plan.
        names: What they are called.
        above: By number, the groups that each one reads.
        settings: What people want.
    """

    def __init__(
        self,
        nodes: Nodes,
        drafts: Sequence[Draft],
        names: Sequence[JobGroupName],
        above: Sequence[Collection[int]],
        settings: JobGroupSettings,
    ) -> None:
        self._nodes = nodes
        self._drafts = drafts
        self._names = names
        self._reads = above
        self._settings = settings
        self._above: list[int] = []
        for reads in above:
            bits = 0
            for each in reads:
                bits |= self._above[each] | 1 << each
            self._above.append(bits)
        self._alike: dict[tuple[Cron, tuple[str, ...]], list[int]] = {}
        for number, draft in enumerate(drafts):
            self._alike.setdefault((draft.cron, draft.apart), []).append(number)

    def of(self, group: int) -> str:
        """Why a group has its nodes, and why others of its cadence are not in it."""
        draft = self._drafts[group]
        return " ".join([*self._what(draft), *self._pinned(draft), *self._apart_from(group)])

    def _what(self, draft: Draft) -> list[str]:
        counts: Counter[Cron] = Counter()
        for node in draft.members:
            label = self._nodes.label(node)
            if label is not None:
                counts[label.cron] += 1
        kept_apart = ", ".join(
            _kept_apart(entry, value)
            for entry, value in zip(self._settings.keep_apart, draft.apart, strict=False)
        )
        of = f" ({kept_apart}, kept apart)" if kept_apart else ""
        if len(counts) == 1:
            return [f"{counted(counts.total(), 'node')} due {next(iter(counts)).describe()}{of}."]
        in_order = sorted(counts.items(), key=lambda item: (-item[0].per_day, item[0].text))
        due = some_in_order([f"{count} due {cron.describe()}" for cron, count in in_order])
        found = [f"{counted(counts.total(), 'node')}{of}: {due}."]
        if draft.pinned:
            return found
        if draft.cron in counts:
            others = "The coarser ones share its schedule, and are built when they are due"
        else:
            others = f"They share the cron {draft.cron}, and each is built when it is due"
        return [*found, f"{others}: {self._why_merged()}."]

    def _why_merged(self) -> str:
        if self._settings.merge_cadences is MergeCadences.ALWAYS:
            return "merge_cadences is `always`"
        return f"so there are no more than {self._settings.max_job_groups} groups"

    def _pinned(self, draft: Draft) -> list[str]:
        if not draft.pinned:
            return []
        count = sum(
            label is not None and label.pinned is not None
            for label in map(self._nodes.label, draft.members)
        )
        return ["Its nodes are pinned." if count == len(draft.members) else f"{count} are pinned."]

    def _apart_from(self, group: int) -> list[str]:
        draft = self._drafts[group]
        if draft.pinned:
            return []
        side_by_side: list[int] = []
        between: dict[int, list[int]] = {}
        stage_of: list[int] = []
        for other in self._nearest(group):
            low, high = min(group, other), max(group, other)
            if not self._above[high] >> low & 1:
                side_by_side.append(other)
                continue
            middle = [
                number
                for number in range(low + 1, high)
                if self._above[high] >> number & 1 and self._above[number] >> low & 1
            ]
            # Those of its own cadence say nothing: something lies between it and them.
            alike = (draft.cron, draft.apart)
            others = [n for n in middle if (self._drafts[n].cron, self._drafts[n].apart) != alike]
            if others:
                between.setdefault(others[0] if other < group else others[-1], []).append(other)
            elif not middle and low in self._reads[high]:
                stage_of.append(other)
        found = []
        for number, of in list(between.items())[:_MOST_COMPARED]:
            lies = (
                f"{self._names[number]} lies between the two: it reads one and is read by the other"
            )
            found.append(f"Not one with {self._called(of)}, as {lies}.")
        if stage_of:
            most = self._settings.largest
            why = (
                f"a group has at most {counted(most, 'node')}"
                if most
                else "they were two groups before"
            )
            found.append(f"Not one with {self._called(stage_of)}: {why}.")
        if side_by_side:
            found.append(
                f"It can run beside {self._called(side_by_side)}: neither reads the other."
            )
        return found

    def _nearest(self, group: int) -> list[int]:
        """The groups of its cadence that are next to it in the plan, some before and behind."""
        draft = self._drafts[group]
        alike = self._alike[draft.cron, draft.apart]
        place = bisect_left(alike, group)
        near = alike[max(place - _MOST_COMPARED, 0) : place + _MOST_COMPARED + 1]
        return [other for other in near if other != group and not self._drafts[other].pinned]

    def _called(self, groups: Sequence[int]) -> str:
        return some([self._names[group] for group in groups])


def _kept_apart(entry: str, value: str) -> str:
    """`tag finance`, `no tag:finance`, `owner ada`."""
    return f"{entry.partition(':')[0]} {value}" if value else f"no {entry}"


def some_in_order(parts: Sequence[str]) -> str:
    """Parts in a sentence: commas, and `and` before the last."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
