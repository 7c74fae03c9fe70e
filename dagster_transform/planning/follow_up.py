"""What the transform's sensor launches of what could not go at its tick, or was lost. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType

from dagster_transform.graph import NodeId
from dagster_transform.planning.job_groups.values import JobGroupName
from dagster_transform.planning.situation import AssetPath, Scheduled, Situation, minute
from dagster_transform.planning.tag_room import TagRoom
from dagster_transform.planning.upstreams import Upstreams, along_with

NOTHING_BUILT: Mapping[NodeId, datetime] = MappingProxyType({})
GRACE = timedelta(minutes=5)
"""A run that was asked for and has not appeared by then is asked for again."""
_NAMED = 3
"""Nodes that a reason names."""


@dataclass(frozen=True, slots=True)
class LaunchKey:
    """Under which key work is launched: Dagster remembers those for ever, so no two are the same.

    Attributes:
        name: What is launched, as short text.
        generation: 1, and one more whenever its run did not appear.
        at: When it was asked for, aware.
    """

    name: str
    generation: int
    at: datetime

    def __str__(self) -> str:
        return f"{self.name}#{self.generation}@{self.at.isoformat()}"

    @classmethod
    def parse(cls, text: str) -> LaunchKey | None:
        """The key that a text is; None: it is none."""
        rest, _, at = text.rpartition("@")
        name, _, generation = rest.rpartition("#")
        try:
            return cls(name, int(generation), datetime.fromisoformat(at))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Owed:
    """A node that is still owed a run.

    Attributes:
        job_group: Its group's name, as it was then.
        node: The node.
        tick: The tick that it answers for, aware.
        attempt: 0, and one more whenever it was lost with its run.
        since: From when on it waits, aware.
        reason: Why, in words.
        launched: Under which key a run was asked for; None: none was.
        awaits: Nodes that were not well in the run that has left it out: one of them has to be
            built first; empty: it waits for nothing of the kind.
        began: When that run began, aware; None: it was left out by no run.
    """

    job_group: str
    node: NodeId
    tick: datetime
    attempt: int
    since: datetime
    reason: str = ""
    launched: str | None = None
    awaits: tuple[NodeId, ...] = ()
    began: datetime | None = None

    @property
    def tick_text(self) -> str:
        """Tick and attempt, as they are stored."""
        return self.tick.isoformat() + (f"~{self.attempt}" if self.attempt else "")

    @staticmethod
    def read_tick(text: str) -> tuple[datetime, int] | None:
        """Tick and attempt of what was stored; None: it is of another version."""
        moment, _, attempt = text.partition("~")
        try:
            return datetime.fromisoformat(moment), int(attempt or "0")
        except ValueError:
            return None


class RunState(Enum):
    """What is known of a run that was asked for."""

    UNDER_WAY = "under way"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class GroupLaunch:
    """A run to launch, of one job group.

    Attributes:
        job_group: The group.
        nodes: What it builds, each after what it reads.
        owed: What it answers for: several ticks of a node are built at once.
    """

    job_group: JobGroupName
    nodes: tuple[NodeId, ...]
    owed: tuple[Owed, ...]

    @property
    def tick(self) -> datetime:
        """The first tick that it answers for."""
        return min(each.tick for each in self.owed)

    @property
    def last_ticks(self) -> dict[NodeId, datetime]:
        """By node, the last tick of it that it answers for."""
        found: dict[NodeId, datetime] = {}
        for each in self.owed:
            found[each.node] = max(each.tick, found.get(each.node, each.tick))
        return found

    @property
    def attempt(self) -> int:
        """The highest of what it answers for."""
        return max(each.attempt for each in self.owed)


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What becomes of what is owed; each is in at most one of these.

    Attributes:
        launches: Runs to launch, those that wait longest first.
        done: Whose run has ended: to be forgotten.
        given_up: What has waited for too long, or is of no job group any more, and why.
        waiting: What goes on waiting, and why.
    """

    launches: tuple[GroupLaunch, ...]
    done: tuple[Owed, ...]
    given_up: Mapping[Owed, str]
    waiting: Mapping[Owed, str]


def follow_up(
    owed: Iterable[Owed],
    runs: Mapping[str, RunState],
    situation: Situation,
    scheduled: Scheduled,
    *,
    now: datetime,
    max_wait: timedelta,
    built: Mapping[NodeId, datetime] = NOTHING_BUILT,
    whole: Collection[NodeId] = (),
) -> FollowUp:
    """What becomes of what is owed.

    Args:
        owed: All of it.
        runs: The runs that were asked for and have appeared, by key.
        situation: What is known; in its `pending` is what of `owed` has no run yet.
        scheduled: The nodes of all job groups.
        now: Aware.
        max_wait: What has waited for longer is given up.
        built: When nodes were last built, aware: those that runs have left out, and those that
            these await.
        whole: Nodes of which a build by anybody is all that is owed, as a dbt model's is; of a
            SQLMesh model it may have been of other intervals.
    """
    found = _Sorted()
    for each in sorted(owed, key=_oldest_first):
        state = runs.get(each.launched) if each.launched is not None else None
        if state is RunState.ENDED:
            found.done.append(each)
        elif state is RunState.UNDER_WAY:
            continue
        elif each.launched is not None and not _never_appeared(each.launched, now):
            found.asked.add(each.node)
        elif scheduled.groups.get(each.node) != each.job_group:
            found.given_up[each] = f"{each.node} is not in job group {each.job_group} any more"
        elif _is_answered(each, situation, scheduled, built, whole):
            found.done.append(each)
        elif now - each.since > max_wait:
            found.given_up[each] = f"it has waited since {minute(each.since)}: {each.reason}"
        else:
            found.open.setdefault(each.node, []).append(each)
    return _launch(found, situation, scheduled, built)


@dataclass(slots=True)
class _Sorted:
    """What is owed, sorted by what there is to do.

    Attributes:
        done: To be forgotten.
        given_up: Likewise, and why.
        asked: Nodes of which a run was asked for that has not appeared yet.
        open: By node, what may be launched.
    """

    done: list[Owed] = field(default_factory=list)
    given_up: dict[Owed, str] = field(default_factory=dict)
    asked: set[NodeId] = field(default_factory=set)
    open: dict[NodeId, list[Owed]] = field(default_factory=dict)


def _launch(
    found: _Sorted, situation: Situation, scheduled: Scheduled, built: Mapping[NodeId, datetime]
) -> FollowUp:
    """What of it can go: each node after what it reads, and the group first that waits longest, so
    that it gets what a concurrency tag has left."""
    waiting: dict[Owed, str] = {}
    going: dict[JobGroupName, dict[NodeId, list[Owed]]] = {}
    room = TagRoom(situation, scheduled)
    seen = replace(situation, pending=_still_pending(situation, found.given_up))
    upstreams = Upstreams(seen, scheduled)
    along: dict[AssetPath, JobGroupName] = {}
    oldest: dict[JobGroupName, tuple[datetime, datetime, int, str]] = {}
    for node, owed in found.open.items():
        group = scheduled.groups[node]
        oldest[group] = min(oldest.get(group, _oldest_first(owed[0])), _oldest_first(owed[0]))
    in_order = [node for node in scheduled.order if node in found.open]
    in_order.sort(key=lambda node: oldest[scheduled.groups[node]])
    for node in in_order:
        mine, group = found.open[node], scheduled.groups[node]
        last = max(each.tick for each in mine)
        with_it = going.setdefault(group, {})
        why = seen.held(node)
        if why is None and node in found.asked:
            why = "a run of it was asked for and has not appeared yet"
        if why is None:
            why = _unrecovered(mine, built, with_it, scheduled)
        if why is None:
            why = upstreams.awaited(node, last, with_it)
        assets = along_with({node: last}, seen.read_assets)
        if why is None:
            why = _along_with_another(assets, group, along)
        if why is None:
            why = room.why_not(node, group)
        if why is None:
            with_it[node] = mine
            along.update(dict.fromkeys(assets, group))
            room.take(node, group)
        else:
            waiting.update(dict.fromkeys(mine, why))
    launches = [
        GroupLaunch(group, tuple(nodes), tuple(each for mine in nodes.values() for each in mine))
        for group, nodes in going.items()
        if nodes
    ]
    launches.sort(key=lambda launch: min(_oldest_first(each) for each in launch.owed))
    return FollowUp(tuple(launches), tuple(found.done), found.given_up, waiting)


def _along_with_another(
    assets: Iterable[AssetPath], group: JobGroupName, along: Mapping[AssetPath, JobGroupName]
) -> str | None:
    """Which of a node's other assets goes along with another group's run already, in words; None:
    none does."""
    for key in assets:
        if along.get(key, group) != group:
            return f"waits for {'/'.join(key)}, which goes along with job group {along[key]}"
    return None


def won_nodes(launch: GroupLaunch, won: Collection[Owed]) -> tuple[NodeId, ...]:
    """The nodes of a launch that are this sensor's to launch, where others may launch too: of which
    it has won the oldest."""
    oldest: dict[NodeId, Owed] = {}
    for each in sorted(launch.owed, key=_oldest_first):
        oldest.setdefault(each.node, each)
    return tuple(node for node in launch.nodes if oldest[node] in won)


def _oldest_first(each: Owed) -> tuple[datetime, datetime, int, str]:
    return (each.since, each.tick, each.attempt, each.node)


def _is_answered(
    each: Owed,
    situation: Situation,
    scheduled: Scheduled,
    built: Mapping[NodeId, datetime],
    whole: Collection[NodeId],
) -> bool:
    """Whether what a run has left out is owed no more: another run was launched for a later tick,
    or has built it, over what has recovered."""
    if each.began is None:
        return False
    until = situation.launched_until.get(scheduled.groups[each.node])
    if each.awaits and until is not None:
        later = scheduled.crons[each.node].due(each.tick, until)
        if next(iter(later), None) is not None:
            return True
    last = built.get(each.node, each.began)
    if each.node in whole:
        return last > each.began
    recovered = [built[node] for node in each.awaits if built.get(node, each.began) > each.began]
    return bool(recovered) and last >= max(recovered)


def _unrecovered(
    mine: Sequence[Owed],
    built: Mapping[NodeId, datetime],
    going: Collection[NodeId],
    scheduled: Scheduled,
) -> str | None:
    """Why a node that runs have left out is left out still; None: it need not be."""
    for each in mine:
        if each.began is None or not each.awaits:
            return None
        if any(node in going or built.get(node, each.began) > each.began for node in each.awaits):
            return None
    first = mine[0]
    names = ", ".join(scheduled.called(node) for node in first.awaits[:_NAMED])
    more = len(first.awaits) - _NAMED
    return f"waits until {names}{f' or one of {more} more' if more > 0 else ''} is built"


def _never_appeared(key: str, now: datetime) -> bool:
    found = LaunchKey.parse(key)
    return found is None or now - found.at > GRACE


def _still_pending(
    situation: Situation, given_up: Iterable[Owed]
) -> dict[NodeId, tuple[datetime, ...]]:
    """What is pending without what is given up: nothing waits for that any more."""
    dropped: dict[NodeId, list[datetime]] = {}
    for each in given_up:
        dropped.setdefault(each.node, []).append(each.tick)
    found: dict[NodeId, tuple[datetime, ...]] = {}
    for node, ticks in situation.pending.items():
        left = list(ticks)
        for tick in dropped.get(node, ()):
            if tick in left:
                left.remove(tick)
        if left:
            found[node] = tuple(left)
    return found
