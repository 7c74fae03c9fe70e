"""What a simulation of job groups has found, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.job_groups.values import JobGroupName

COLUMNS = ("tick (UTC)", "job group", "builds", "waits for", "done after")
"""What the parts of `Simulation.as_rows` are."""
_NAMES = 3
_HOUR = 3600
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Launch:
    """One tick.

    Attributes:
        group: Of which group.
        tick: When, in UTC.
        nodes: What it builds, in the group's order; none: it is idle.
        begun, done: When its first build begins and its last one ends, in UTC.
    """

    group: JobGroupName
    tick: datetime
    nodes: tuple[NodeId, ...]
    begun: datetime
    done: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """That builds of one tick wait for another's.

    Attributes:
        group, tick: What waits.
        on_group, on_tick: What it waits for: of another group, or an earlier tick of its own that
            is not done.
        nodes: Which of its nodes wait, in the graph's order.
        since, until: From when on the first, until when the last of them could not go ahead only
            because of this, in UTC.
    """

    group: JobGroupName
    tick: datetime
    on_group: JobGroupName
    on_tick: datetime
    nodes: tuple[NodeId, ...]
    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        """How long."""
        return (self.until - self.since).total_seconds()


class EventKind(str, Enum):
    """What happens."""

    IDLE = "idle"
    """A tick at which nothing is due."""
    LAUNCHED = "launched"
    WAITS = "waits"
    GOES_ON = "goes on"
    DONE = "done"


_ORDER = (EventKind.DONE, EventKind.GOES_ON, EventKind.IDLE, EventKind.LAUNCHED, EventKind.WAITS)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a moment.

    Attributes:
        at: When, in UTC.
        kind: What.
        group, tick: To which tick.
        nodes: How many nodes it is about.
        on_group, on_tick: For which tick it waits, or waited; None: that is not the matter.
    """

    at: datetime
    kind: EventKind
    group: JobGroupName
    tick: datetime
    nodes: int
    on_group: JobGroupName | None = None
    on_tick: datetime | None = None


@dataclass(frozen=True, slots=True)
class Simulation:
    """What job groups do in a time.

    Attributes:
        start, end: Of the ticks, in UTC; a tick at `end` is not among them.
        launches: All ticks, by time; at one moment in the order of the groups.
        waits: By the tick that waits, in the order of `launches`.
        peak_groups: How many groups build something at a time at most.
        peak_nodes: How many nodes are built at a time at most.
    """

    start: datetime
    end: datetime
    launches: tuple[Launch, ...]
    waits: tuple[Wait, ...]
    peak_groups: int
    peak_nodes: int

    @property
    def idle(self) -> tuple[Launch, ...]:
        """The ticks at which nothing is due."""
        return tuple(launch for launch in self.launches if not launch.nodes)

    @property
    def longest_wait(self) -> Wait | None:
        """The first of the longest; None: nothing waits."""
        return max(self.waits, key=lambda wait: wait.seconds, default=None)

    def events(self) -> list[Event]:
        """All that happens, by time; at one moment, first what ends."""
        found: list[Event] = []
        for launch in self.launches:
            of, count = (launch.group, launch.tick), len(launch.nodes)
            if not count:
                found.append(Event(launch.tick, EventKind.IDLE, *of, 0))
                continue
            found.append(Event(launch.tick, EventKind.LAUNCHED, *of, count))
            found.append(Event(launch.done, EventKind.DONE, *of, count))
        for wait in self.waits:
            on = (wait.group, wait.tick, len(wait.nodes), wait.on_group, wait.on_tick)
            found.append(Event(wait.since, EventKind.WAITS, *on))
            found.append(Event(wait.until, EventKind.GOES_ON, *on))
        return sorted(found, key=lambda event: (event.at, _ORDER.index(event.kind)))

    def as_rows(self, graph: Graph) -> list[tuple[str, ...]]:
        """A row of words for each tick, for a table; `COLUMNS` are its headings."""
        waits = self._waits_by_tick()
        return [
            (
                f"{launch.tick:%a %Y-%m-%d %H:%M}",
                launch.group,
                _named(launch.nodes, graph) if launch.nodes else "nothing is due",
                "; ".join(_words(wait) for wait in waits.get((launch.group, launch.tick), ())),
                in_words(launch.done - launch.tick) if launch.nodes else "",
            )
            for launch in self.launches
        ]

    def as_json(self, graph: Graph) -> dict[str, Any]:
        """All of it, for programs; moments as ISO texts in UTC."""
        waits = self._waits_by_tick()
        longest = self.longest_wait
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "ticks": [
                {
                    "job_group": launch.group,
                    "tick": launch.tick.isoformat(),
                    "nodes": [graph.nodes[id].name for id in launch.nodes],
                    "begun": launch.begun.isoformat() if launch.nodes else None,
                    "done": launch.done.isoformat() if launch.nodes else None,
                    "waits": [
                        _wait_as_json(wait, graph)
                        for wait in waits.get((launch.group, launch.tick), ())
                    ],
                }
                for launch in self.launches
            ],
            "idle_ticks": len(self.idle),
            "longest_wait": None
            if longest is None
            else {
                "job_group": longest.group,
                "tick": longest.tick.isoformat(),
                **_wait_as_json(longest, graph),
            },
            "peak_job_groups": self.peak_groups,
            "peak_models": self.peak_nodes,
        }

    def _waits_by_tick(self) -> dict[tuple[JobGroupName, datetime], list[Wait]]:
        found: dict[tuple[JobGroupName, datetime], list[Wait]] = {}
        for wait in self.waits:
            found.setdefault((wait.group, wait.tick), []).append(wait)
        return found


def in_words(time: timedelta) -> str:
    """A length of time: "2 h 05 min", "3 min 20 s", "4 s"."""
    seconds = round(time.total_seconds())
    if seconds >= _HOUR:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE:02} min"
    if seconds >= _MINUTE:
        return f"{seconds // _MINUTE} min {seconds % _MINUTE:02} s"
    return f"{seconds} s"


def _wait_as_json(wait: Wait, graph: Graph) -> dict[str, Any]:
    return {
        "for_job_group": wait.on_group,
        "for_tick": wait.on_tick.isoformat(),
        "nodes": [graph.nodes[id].name for id in wait.nodes],
        "since": wait.since.isoformat(),
        "until": wait.until.isoformat(),
        "seconds": round(wait.seconds, 3),
    }


def _words(wait: Wait) -> str:
    when = "" if wait.on_tick == wait.tick else f" of {wait.on_tick:%a %H:%M}"
    return f"{wait.on_group}{when} ({len(wait.nodes)}, {in_words(wait.until - wait.since)})"


def _named(nodes: Sequence[NodeId], graph: Graph) -> str:
    names = ", ".join(graph.nodes[id].name for id in nodes[:_NAMES])
    return names if len(nodes) <= _NAMES else f"{names} and {len(nodes) - _NAMES} more"
