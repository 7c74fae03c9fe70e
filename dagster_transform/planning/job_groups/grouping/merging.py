"""Groups joined: those of one cadence, and where there would be too many, those of several.

What is harmed when a coarser group goes into a finer one: its nodes lose a schedule of their own.
They are built at their own ticks still, but in runs of the finer group, whose concurrency, owners
and pauses are then theirs. So the fewest nodes go first. Where no group's ticks cover another's,
two share a cron that has the ticks of both, and some in which nothing is due: the one that ticks
least goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations, starmap

from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.grouping.drafts import Draft, common_cron
from dagster_transform.planning.job_groups.grouping.quotient import Quotient, numbers
from dagster_transform.planning.job_groups.values import JobGroupSettings, MergeCadences

_Key = tuple[Cron, tuple[str, ...]]
_MOST_COMPARED = 32
"""Of so many cadences all pairs are compared, for the best cron that two can share."""
_MOST_TRIED = 128
"""Of so many, any pair that can share a cron will do where those have none."""


def merge(
    drafts: Sequence[Draft], above: Sequence[set[int]], settings: JobGroupSettings
) -> list[Draft]:
    """The same nodes in fewer groups; there is no circle among them.

    Those of one cadence are joined where that makes no circle, except two that have names. Then
    cadences are merged as the settings ask for it, so far as there is a way.

    Args:
        drafts: The groups.
        above: By number, the groups that each one reads.
        settings: What people want.
    """
    joins = _Joins(drafts, Quotient(above), settings)
    joins.join_equal(tuple(joins.keys))
    if settings.merge_cadences is MergeCadences.ALWAYS:
        while joins.merge_least(only_new=True):
            pass
    while joins.too_many() and joins.merge_least(only_new=False):
        pass
    if settings.merge_cadences is not MergeCadences.NEVER:
        joins.share_crons()
    return [joins.drafts[group] for group in joins.quotient.groups()]


def join_equal(
    drafts: Sequence[Draft], above: Sequence[set[int]], settings: JobGroupSettings
) -> list[Draft]:
    """Likewise, without merging cadences, however many groups there are."""
    joins = _Joins(drafts, Quotient(above), settings)
    joins.join_equal(tuple(joins.keys))
    return [joins.drafts[group] for group in joins.quotient.groups()]


class _Joins:
    """Groups that are being joined.

    Attributes:
        keys: By cadence and what keeps apart, the groups that take others, as bits.
    """

    def __init__(
        self, drafts: Sequence[Draft], quotient: Quotient, settings: JobGroupSettings
    ) -> None:
        self.drafts = list(drafts)
        self.quotient = quotient
        self.keys: dict[_Key, int] = {}
        self._settings = settings
        self._covering: dict[_Key, list[_Key]] = {}
        self._pairs: dict[tuple[_Key, _Key], _Pair | None] = {}
        self._pinned = 0
        for group, draft in enumerate(drafts):
            self._enter(group, draft)

    def too_many(self) -> bool:
        """Whether there are more groups than there may be."""
        return len(self.quotient) > self._settings.max_job_groups

    def join_equal(self, keys: Iterable[_Key]) -> None:
        """Join all that has one cadence, where that makes no circle."""
        for key in keys:
            joined = True
            while joined:
                joined = False
                for group in numbers(self.keys.get(key, 0)):
                    joined |= self._join_one(key, group)

    def merge_least(self, *, only_new: bool) -> bool:
        """Join the pair of which the fewest nodes are harmed; False: there is none.

        Args:
            only_new: Whether two groups that both have a name stay two.
        """
        candidates = sorted(
            (len(draft.members), draft.name is not None, group)
            for group in self.quotient.groups()
            if not (draft := self.drafts[group]).pinned
        )
        for may_be_large in (False, True):
            for _, _, group in candidates:
                finer = self._finer(group, only_new, may_be_large)
                if finer:
                    into = min(finer, key=lambda other: self._distance(group, other))
                    self._join(into, group)
                    self.join_equal([(self.drafts[into].cron, self.drafts[into].apart)])
                    return True
            if self._settings.largest is None:
                break
        return False

    def share_crons(self) -> None:
        """Join groups under a cron that has the ticks of both, while there are too many."""
        while self.too_many():
            found = self._sharing()
            if found is None:
                return
            group, other, cron = found
            self._join(group, other, cron)
            self.join_equal([(cron, self.drafts[group].apart)])

    def _sharing(self) -> tuple[int, int, Cron] | None:
        """Two groups that can share a cron, and that cron: of the cadences with the fewest groups
        the pair whose cron ticks least; where none of them can, any other."""
        live = [key for key, groups in self.keys.items() if groups & ~self._pinned]
        live.sort(key=lambda key: (self.keys[key].bit_count(), _text(key)))
        few = sorted(filter(None, starmap(self._pair, combinations(live[:_MOST_COMPARED], 2))))
        rest = filter(None, starmap(self._pair, combinations(live[:_MOST_TRIED], 2)))
        for pair in chain(few, rest):
            second = self.keys[pair.second] & ~self._pinned
            for group in numbers(self.keys[pair.first] & ~self._pinned):
                other = next(numbers(self.quotient.joinable(group) & second), None)
                if other is not None:
                    return group, other, pair.cron
        return None

    def _pair(self, first: _Key, second: _Key) -> _Pair | None:
        """Two cadences as a pair, if they can share a cron."""
        if first[1] != second[1] or first[0].time_zone != second[0].time_zone:
            return None
        if (first, second) not in self._pairs:
            cron = common_cron((first[0], second[0]))
            texts = (_text(first), _text(second))
            self._pairs[first, second] = (
                None if cron is None else _Pair(cron.per_day, texts, cron, first, second)
            )
        return self._pairs[first, second]

    def _join_one(self, key: _Key, group: int) -> bool:
        """Join a group with one other of its cadence; False: there is none."""
        of_key = self.keys[key]
        if not of_key >> group & 1:
            return False  # has been joined meanwhile
        for other in numbers(self.quotient.joinable(group) & of_key):
            whole, part = self.drafts[group], self.drafts[other]
            if whole.name is None and part.name is None:
                self._join(group, other)  # too large a one is split again
                return True
            if (whole.name is None or part.name is None) and self._fits(whole, part):
                self._join(*((group, other) if whole.name else (other, group)))
                return True
        return False

    def _finer(self, group: int, only_new: bool, may_be_large: bool) -> list[int]:
        """Groups that a group can go into."""
        draft = self.drafts[group]
        covering = 0
        for key in self._covering_keys((draft.cron, draft.apart)):
            covering |= self.keys.get(key, 0)
        return [
            other
            for other in numbers(self.quotient.joinable(group) & covering)
            if not (only_new and draft.name and self.drafts[other].name)
            and (may_be_large or self._fits(draft, self.drafts[other]))
        ]

    def _fits(self, draft: Draft, other: Draft) -> bool:
        largest = self._settings.largest
        return largest is None or len(draft.members) + len(other.members) <= largest

    def _covering_keys(self, key: _Key) -> list[_Key]:
        if self._settings.merge_cadences is MergeCadences.NEVER:
            return [key]
        if key not in self._covering:
            self._covering[key] = [other for other in self.keys if _covers(other, key)]
        return self._covering[key]

    def _distance(self, group: int, other: int) -> tuple[float, bool, int, int]:
        """How little two groups go together: the nearest cadence, what depends on it, few nodes."""
        draft = self.drafts[other]
        apart = not self.quotient.neighbours(group) >> other & 1
        return draft.cron.per_day, apart, len(draft.members), other

    def _join(self, group: int, other: int, cron: Cron | None = None) -> None:
        """Make one group a part of another, whose cron may become another one."""
        whole, part = self.drafts[group], self.drafts[other]
        self._leave(group, whole)
        self._leave(other, part)
        self.quotient.join(group, other)
        self.drafts[group] = replace(
            whole,
            members=(*whole.members, *part.members),
            cron=cron or whole.cron,
            name=whole.name or (part.name if part.cron == whole.cron else None),
            pinned=whole.pinned or part.pinned,
        )
        self._enter(group, self.drafts[group])

    def _enter(self, group: int, draft: Draft) -> None:
        if draft.pinned:
            self._pinned |= 1 << group
        if draft.closed:
            return
        key = (draft.cron, draft.apart)
        if key not in self.keys:
            self.keys[key] = 0
            for other, finer in self._covering.items():
                if _covers(key, other):
                    finer.append(key)
        self.keys[key] |= 1 << group

    def _leave(self, group: int, draft: Draft) -> None:
        key = (draft.cron, draft.apart)
        if key in self.keys:
            self.keys[key] &= ~(1 << group)


@dataclass(frozen=True, slots=True, order=True)
class _Pair:
    """Two cadences that can share a cron; the one that ticks least is first."""

    per_day: float
    texts: tuple[tuple[str, ...], tuple[str, ...]]
    cron: Cron = field(compare=False)
    first: _Key = field(compare=False)
    second: _Key = field(compare=False)


def _covers(key: _Key, other: _Key) -> bool:
    return key[1] == other[1] and key[0].covers(other[0])


def _text(key: _Key) -> tuple[str, ...]:
    cron, apart = key
    return cron.time_zone, cron.text, *apart
