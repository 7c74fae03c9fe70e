"""What the transform's sensor launches of what could not go at its tick, or was lost. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from dagster_transform.graph import NodeId
from dagster_transform.planning.job_groups.values import JobGroupName
from dagster_transform.planning.situation import Scheduled, Situation

MOST_ATTEMPTS = 3
"""So often what was lost with its run is launched again."""
GRACE = timedelta(minutes=5)
"""A run that was asked for and has not appeared by then is asked for again."""


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
    """

    job_group: str
    node: NodeId
    tick: datetime
    attempt: int
    since: datetime
    reason: str = ""
    launched: str | None = None

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
) -> FollowUp:
    """What becomes of what is owed.

    Args:
        owed: All of it.
        runs: The runs that were asked for and have appeared, by key.
        situation: What is known; in its `pending` is what of `owed` has no run yet.
        scheduled: The nodes of all job groups.
        now: Aware.
        max_wait: What has waited for longer is given up.
    """
    done: list[Owed] = []
    given_up: dict[Owed, str] = {}
    waiting: dict[Owed, str] = {}
    open_: dict[NodeId, list[Owed]] = {}
    asked: set[NodeId] = set()
    for each in sorted(owed, key=_oldest_first):
        state = runs.get(each.launched) if each.launched is not None else None
        if state is RunState.ENDED:
            done.append(each)
        elif state is RunState.UNDER_WAY:
            continue
        elif each.launched is not None and not _never_appeared(each.launched, now):
            asked.add(each.node)
        elif scheduled.groups.get(each.node) != each.job_group:
            given_up[each] = f"{each.node} is not in job group {each.job_group} any more"
        elif now - each.since > max_wait:
            given_up[each] = f"it has waited since {each.since:%Y-%m-%d %H:%M} UTC: {each.reason}"
        else:
            open_.setdefault(each.node, []).append(each)
    going: dict[JobGroupName, dict[NodeId, list[Owed]]] = {}
    seen = replace(situation, pending=_still_pending(situation, given_up))
    for node in scheduled.order:
        if (mine := open_.get(node)) is None:
            continue
        group = scheduled.groups[node]
        with_it = going.setdefault(group, {})
        why = seen.held(node)
        if why is None and node in asked:
            why = "a run of it was asked for and has not appeared yet"
        if why is None:
            last = max(each.tick for each in mine)
            why = seen.awaited(node, last, scheduled, with_it)
        if why is None:
            with_it[node] = mine
        else:
            waiting.update(dict.fromkeys(mine, why))
    launches = [
        GroupLaunch(group, tuple(nodes), tuple(each for mine in nodes.values() for each in mine))
        for group, nodes in going.items()
        if nodes
    ]
    launches.sort(key=lambda launch: min(_oldest_first(each) for each in launch.owed))
    return FollowUp(tuple(launches), tuple(done), given_up, waiting)


def won_nodes(launch: GroupLaunch, won: Collection[Owed]) -> tuple[NodeId, ...]:
    """The nodes of a launch that are this sensor's to launch, where others may launch too: of which
    it has won the oldest."""
    oldest: dict[NodeId, Owed] = {}
    for each in sorted(launch.owed, key=_oldest_first):
        oldest.setdefault(each.node, each)
    return tuple(node for node in launch.nodes if oldest[node] in won)


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run of a job group that Dagster calls failed and that has not said what it came to: its
    process has died.

    Attributes:
        run_id: The run.
        job_group: Its group.
        tick: The tick that it answers for, aware.
        attempt: How often what it builds was lost before.
        nodes: What it was to build.
        built: What of that is built since it was created, by this run or another.
    """

    run_id: str
    job_group: str
    tick: datetime
    attempt: int
    nodes: Sequence[NodeId]
    built: Collection[NodeId]


def lost_work(run: LostRun, now: datetime) -> tuple[tuple[Owed, ...], str | None]:
    """What is owed because a run was lost.

    Args:
        run: The run.
        now: Aware.

    Returns:
        What is owed; and why it is not launched again, where it was lost too often: nothing is owed
        then.
    """
    left = [node for node in run.nodes if node not in run.built]
    if not left:
        return (), None
    if run.attempt >= MOST_ATTEMPTS:
        return (), (
            f"{len(left)} nodes of job group {run.job_group} were lost with run {run.run_id}, for "
            f"the {run.attempt + 1}th time: they are not launched again before their next tick"
        )
    reason = f"lost with run {run.run_id}, whose process has died"
    return tuple(
        Owed(run.job_group, node, run.tick, run.attempt + 1, now, reason) for node in left
    ), None


def _oldest_first(each: Owed) -> tuple[datetime, datetime, int, str]:
    return (each.since, each.tick, each.attempt, each.node)


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
