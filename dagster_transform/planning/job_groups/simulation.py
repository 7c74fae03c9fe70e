"""What job groups will do: their ticks, what each builds, and what waits for whom. Pure.

A tick launches the nodes of its group that are due (`due_at`, as the schedules ask it). Each goes
ahead when what it reads, directly or through nodes that nobody schedules, is built by all that was
launched up to its tick; the others of its run do not wait with it. Nothing fails here, and every
build takes as long as is expected of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from heapq import heappop, heappush
from itertools import groupby

from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.job_groups.due import due_at
from dagster_transform.planning.job_groups.expected_durations import expected_seconds
from dagster_transform.planning.job_groups.simulated import Launch, Simulation, Wait
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupPlan
from dagster_transform.planning.values import DEFAULT_MODELS


def simulate(
    plan: JobGroupPlan,
    graph: Graph,
    durations: Mapping[NodeId, float],
    start: datetime,
    end: datetime,
    *,
    max_concurrent_models: int = DEFAULT_MODELS,
    progress: Callable[[datetime], None] = lambda _: None,
) -> Simulation:
    """What the job groups of a plan do in a time.

    Args:
        plan: The plan.
        graph: Of its nodes.
        durations: What is known of past builds, in seconds; of others it is expected by kind.
        start: Ticks from then on are looked at, aware. What was launched before is not.
        end: And before then, aware. What they launch is followed until it is done.
        max_concurrent_models: How many nodes a run builds at a time, where its group does not say.
        progress: Called with each moment in which something ticks, before that is looked at.
    """
    nodes = _Nodes.of(plan, graph, durations)
    queue = _Queue(nodes, max_concurrent_models)
    for tick, launched in groupby(_ticks(plan.groups, start, end), key=lambda found: found[0]):
        progress(tick)
        now = (tick - start).total_seconds()
        queue.go_on_until(now)
        queue.launch(
            now,
            [
                (tick, group, due_at(group, plan.crons, group.cron.previous(tick), tick))
                for _, group in launched
            ],
        )
    queue.go_on_until(None)
    return Simulation(
        start=_moment(0, start),
        end=end.astimezone(timezone.utc),
        launches=tuple(run.as_launch(start) for run in queue.runs),
        waits=tuple(_as_wait(queue, run, on, nodes, start) for run, on in sorted(queue.waits)),
        peak_groups=queue.peak_groups,
        peak_nodes=queue.peak_nodes,
    )


def _as_wait(queue: _Queue, run: int, on: int, nodes: _Nodes, start: datetime) -> Wait:
    mine, other, waited = queue.runs[run], queue.runs[on], queue.waits[run, on]
    return Wait(
        group=mine.group.name,
        tick=mine.tick,
        on_group=other.group.name,
        on_tick=other.tick,
        nodes=tuple(nodes.ids[node] for node in sorted(waited.nodes)),
        since=_moment(waited.since, start),
        until=_moment(waited.until, start),
    )


def _ticks(
    groups: Sequence[JobGroup], start: datetime, end: datetime
) -> list[tuple[datetime, JobGroup]]:
    """All ticks in order; those of one moment in the order of the groups."""
    found = [(tick, n) for n, group in enumerate(groups) for tick in group.cron.ticks(start, end)]
    return [(tick, groups[number]) for tick, number in sorted(found)]


def _moment(seconds: float, start: datetime) -> datetime:
    return (start + timedelta(seconds=seconds)).astimezone(timezone.utc)


@dataclass(slots=True, eq=False)
class _Run:
    """What one tick has launched.

    Attributes:
        number: In the order of launching.
        slots: How many builds may be under way at a time.
        ready: Builds that could go ahead, the first of the group's order on top.
        left: How many are not done.
        at, done: When the first began and the last ended, in seconds.
    """

    number: int
    tick: datetime
    group: JobGroup
    nodes: tuple[NodeId, ...]
    slots: int
    at: float
    done: float
    left: int
    begun: bool = False
    ready: list[_Build] = field(default_factory=list)

    def as_launch(self, start: datetime) -> Launch:
        return Launch(
            group=self.group.name,
            tick=self.tick,
            nodes=self.nodes,
            begun=_moment(self.at, start),
            done=_moment(self.done, start),
        )


@dataclass(slots=True, eq=False)
class _Build:
    """One node of a run.

    Attributes:
        place: In the order of all builds.
        mine: How many builds of its own run it waits for.
        others: Those of other runs that it waits for.
        since: From when on it waits only for others, in seconds; None: it does not.
        then: What waits for it.
    """

    run: _Run
    node: int
    place: int
    mine: int = 0
    others: set[_Build] = field(default_factory=set)
    since: float | None = None
    then: list[_Build] = field(default_factory=list)

    def __lt__(self, other: _Build) -> bool:
        return self.place < other.place


@dataclass(slots=True)
class _Waited:
    since: float
    until: float
    nodes: set[int]


@dataclass(frozen=True, slots=True)
class _Nodes:
    """The nodes of a graph as numbers, in its order.

    Attributes:
        ids, numbers: Both ways.
        reads: As `_scheduled_upstream` has it.
        seconds: How long a build takes.
    """

    ids: Sequence[NodeId]
    numbers: Mapping[NodeId, int]
    reads: Sequence[tuple[int, ...]]
    seconds: Sequence[float]

    @classmethod
    def of(cls, plan: JobGroupPlan, graph: Graph, durations: Mapping[NodeId, float]) -> _Nodes:
        """Those of a graph."""
        numbers = {node_id: number for number, node_id in enumerate(graph.order)}
        return cls(
            ids=graph.order,
            numbers=numbers,
            reads=_scheduled_upstream(graph, plan, numbers),
            seconds=[expected_seconds(graph.nodes[id], durations) for id in graph.order],
        )


class _Queue:
    """All that is under way. Times are seconds since the start."""

    # More than twelve attributes: the whole state of a simulation, in one place.

    def __init__(self, nodes: _Nodes, slots: int) -> None:
        self._nodes = nodes
        self._slots = slots
        self._last: dict[int, _Build] = {}  # by node, its last build that is not done
        self._under_way: list[tuple[float, _Build]] = []
        self._building: dict[str, int] = defaultdict(int)  # by group, how many nodes
        self._builds = 0
        self.runs: list[_Run] = []
        self.waits: dict[tuple[int, int], _Waited] = {}
        self.peak_groups = self.peak_nodes = 0

    def launch(
        self, now: float, ticks: Sequence[tuple[datetime, JobGroup, tuple[NodeId, ...]]]
    ) -> None:
        """Launch what is due at a moment."""
        fresh: list[tuple[_Build, _Build | None]] = []
        runs: list[_Run] = []
        for tick, group, nodes in ticks:
            slots = group.max_concurrent_models or self._slots
            run = _Run(len(self.runs), tick, group, nodes, slots, now, now, len(nodes))
            self.runs.append(run)
            runs.append(run)
            for node_id in nodes:
                build = _Build(run, self._nodes.numbers[node_id], self._builds)
                self._builds += 1
                fresh.append((build, self._last.get(build.node)))
                self._last[build.node] = build
        # Only now: what is launched in one moment waits for each other, whatever comes first.
        for build, before in fresh:
            awaited = [
                self._last[node] for node in self._nodes.reads[build.node] if node in self._last
            ]
            for other in awaited if before is None else (*awaited, before):
                other.then.append(build)
                if other.run is build.run:
                    build.mine += 1
                else:
                    build.others.add(other)
        for build, _ in fresh:
            self._advance(build, now)
        self._begin(runs, now)

    def go_on_until(self, moment: float | None) -> None:
        """End what ends up to a moment, and begin what can then; None: until nothing is left."""
        while self._under_way and (moment is None or self._under_way[0][0] <= moment):
            now = self._under_way[0][0]
            touched: dict[int, _Run] = {}
            while self._under_way and self._under_way[0][0] == now:
                for run in self._end(heappop(self._under_way)[1], now):
                    touched[run.number] = run
            self._begin([touched[number] for number in sorted(touched)], now)

    def _end(self, build: _Build, now: float) -> Iterator[_Run]:
        """Let go on what waits for a build; yields the runs in which something may begin."""
        run = build.run
        run.slots += 1
        run.left -= 1
        run.done = now
        self._building[run.group.name] -= 1
        if self._last.get(build.node) is build:
            del self._last[build.node]
        yield run
        for then in build.then:
            if then.run is run:
                then.mine -= 1
            else:
                then.others.discard(build)
                if then.since is not None:
                    self._note(then, build, now)
            self._advance(then, now)
            yield then.run

    def _advance(self, build: _Build, now: float) -> None:
        if build.mine:
            return
        if not build.others:
            heappush(build.run.ready, build)
        elif build.since is None:
            build.since = now

    def _note(self, build: _Build, other: _Build, now: float) -> None:
        assert build.since is not None  # noqa: S101 - it waits
        key = build.run.number, other.run.number
        found = self.waits.setdefault(key, _Waited(build.since, now, set()))
        found.since, found.until = min(found.since, build.since), max(found.until, now)
        found.nodes.add(build.node)

    def _begin(self, runs: Sequence[_Run], now: float) -> None:
        for run in runs:
            while run.ready and run.slots:
                build = heappop(run.ready)
                run.slots -= 1
                if not run.begun:
                    run.begun, run.at = True, now
                self._building[run.group.name] += 1
                heappush(self._under_way, (now + self._nodes.seconds[build.node], build))
        self.peak_groups = max(self.peak_groups, sum(map(bool, self._building.values())))
        self.peak_nodes = max(self.peak_nodes, len(self._under_way))


def _scheduled_upstream(
    graph: Graph, plan: JobGroupPlan, numbers: Mapping[NodeId, int]
) -> list[tuple[int, ...]]:
    """By node, the scheduled nodes that it reads, directly or through nodes that nobody schedules,
    as numbers."""
    nearest = graph.nearest_upstream(plan.crons.__contains__)
    return [
        tuple(numbers[above] for above in nearest[node_id] if graph.is_node(above))
        for node_id in graph.order
    ]
