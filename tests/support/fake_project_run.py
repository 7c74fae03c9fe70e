"""A project run, an inbox and a rehearsal of a walk, in virtual time: nothing sleeps or hangs."""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from dagster_transform.planning import Limits, Outcome, Readiness, RunPlan, Unit, UnitKind
from dagster_transform.walk import (
    CheckResult,
    Event,
    Finished,
    Gate,
    Inbox,
    Report,
    Retrying,
    Revoked,
    Started,
)
from dagster_transform.walk.walker import Walk

GOOD = {
    UnitKind.BUILD: Outcome.BUILT,
    UnitKind.CHECK: Outcome.CHECKED,
    UnitKind.PROMOTE: Outcome.PROMOTED,
}


class NothingWillHappen(AssertionError):
    """The walk waits for a report that nobody will send."""


class Interrupted(Exception):
    """What a run's cancellation looks like to the walk: an exception while it waits."""


@dataclass(frozen=True)
class Script:
    """What a unit does each time it is started.

    Attributes:
        seconds: How long it takes; `NEVER`: it does not return by itself.
        outcome: How it ends; None: well.
        reason: What it says if it does not end well.
        transient_failures: How often it fails transiently first.
        failed_checks: Ids of blocking checks that fail in it.
        warned_checks: Ids of non-blocking checks that fail in it.
        heeds_cancel: Whether a cancel ends it; False: it goes on to its own end.
    """

    seconds: float = 1.0
    outcome: Outcome | None = None
    reason: str = "division by zero"
    transient_failures: int = 0
    failed_checks: tuple[str, ...] = ()
    warned_checks: tuple[str, ...] = ()
    heeds_cancel: bool = True

    def report(self, unit: Unit, attempt: int) -> Report:
        if attempt <= self.transient_failures:
            reason = f"connection lost (attempt {attempt})"
            return Report(unit.id, Outcome.FAILED, reason, transient=True)
        checks = (
            *(CheckResult(c, passed=False) for c in self.failed_checks),
            *(CheckResult(c, passed=False, blocking=False) for c in self.warned_checks),
        )
        outcome = self.outcome or GOOD[unit.kind]
        reason = "" if self.outcome in (None, *GOOD.values()) else self.reason
        return Report(unit.id, outcome, reason, checks=checks)


NEVER = math.inf
CANCEL_SECONDS = 0.25
"""What ending a statement takes in a project run that heeds a cancel."""

FAILS = Script(outcome=Outcome.FAILED)


class VirtualInbox(Inbox):
    """Time passes only in `get`: to the next thing that happens, or to the end of the timeout.

    Attributes:
        interrupt_at: When `get` raises `Interrupted`, once.
        before_wait: Called at each `get`, before anything happens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.interrupt_at = math.inf
        self.before_wait: Callable[[], None] = lambda: None
        self._now = 0.0
        self._reports: deque[Report | Revoked] = deque()
        self._future: list[tuple[float, int, Callable[[], None]]] = []
        self._scheduled = 0
        self._gets = 0

    def now(self) -> float:
        return self._now

    def put(self, report: Report | Revoked) -> None:
        self._reports.append(report)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self._scheduled += 1
        heapq.heappush(self._future, (self._now + seconds, self._scheduled, action))

    def get(self, timeout: float | None) -> Report | Revoked | None:
        if timeout != 0:  # with 0 the walk takes what is there, and waits for nothing
            self.before_wait()
        self._gets += 1
        if self._gets > 100_000:
            raise NothingWillHappen("the walk asks again and again")
        end = math.inf if timeout is None else self._now + timeout
        while not self._reports:
            upcoming = self._future[0][0] if self._future else math.inf
            if self.interrupt_at < min(upcoming, end):
                self._now, self.interrupt_at = max(self._now, self.interrupt_at), math.inf
                raise Interrupted
            if upcoming > end or math.isinf(upcoming):
                if math.isinf(end):
                    raise NothingWillHappen
                self._now = end
                return None
            self._now, _, action = heapq.heappop(self._future)
            action()
        return self._reports.popleft()

    def let_time_pass(self, seconds: float) -> None:
        """Let what is under way happen; the reports stay in the inbox."""
        end = self._now + seconds
        while self._future and self._future[0][0] <= end:
            self._now, _, action = heapq.heappop(self._future)
            action()
        self._now = end


@dataclass
class Ran:
    """One start of a unit; `end` is None while it runs."""

    unit: Unit
    start: float
    end: float | None = None


@dataclass
class FakeProjectRun:
    """A project run that does what it was told in advance, and does not put up with a wrong walk.

    Attributes:
        holders: Who holds what is exclusive; one dictionary for all project runs of a walk.
        ran: All starts, in order.
        cancels: When which unit was cancelled.
        closings: When the project_run was asked to close its files.
    """

    project: str
    inbox: VirtualInbox
    scripts: Mapping[str, Script] = field(default_factory=dict)
    capacity: int = 8
    exclusive: frozenset[str] = frozenset()
    holders: dict[str, str] = field(default_factory=dict)
    ran: list[Ran] = field(default_factory=list)
    cancels: list[tuple[float, str]] = field(default_factory=list)
    closings: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.running: dict[str, Ran] = {}
        self._attempts: Counter[str] = Counter()
        self._done: dict[str, Callable[[Report], None]] = {}

    def assess(self, nodes: Collection[str], checks: Collection[str]) -> Mapping[str, Readiness]:
        return {}

    def open(self, units: Sequence[Unit]) -> None:
        pass

    def close(self, *, completed: bool) -> None:
        pass

    def start(self, unit: Unit, done: Callable[[Report], None]) -> None:
        assert unit.project == self.project
        assert unit.id not in self.running, f"{unit.id} runs already"
        for resource in self.exclusive:
            holder = self.holders.setdefault(resource, self.project)
            assert holder == self.project, f"{holder} has {resource}"
        self._attempts[unit.id] += 1
        ran = Ran(unit, self.inbox.now())
        self.ran.append(ran)
        self.running[unit.id] = ran
        self._done[unit.id] = done
        script = self.scripts.get(unit.id, Script())
        report = script.report(unit, self._attempts[unit.id])
        if script.seconds < NEVER:
            self.inbox.later(script.seconds, lambda: self._end(ran, report))

    def cancel(self, unit: str) -> None:
        assert unit in self.running, f"{unit} does not run"
        self.cancels.append((self.inbox.now(), unit))
        ran = self.running[unit]
        if self.scripts.get(unit, Script()).heeds_cancel:
            report = Report(unit, Outcome.CANCELLED, "cancelled")
            self.inbox.later(CANCEL_SECONDS, lambda: self._end(ran, report))

    def end_backends(self, backends: Collection[str]) -> Collection[str]:
        return frozenset()

    def close_files(self) -> None:
        assert not self.running, f"{self.project} is at work"
        assert any(h == self.project for h in self.holders.values()), "it holds nothing"
        self.closings.append(self.inbox.now())
        for resource in [r for r, holder in self.holders.items() if holder == self.project]:
            del self.holders[resource]

    def _end(self, ran: Ran, report: Report) -> None:
        if ran.end is None:  # a cancel and the unit's own end may both be under way
            ran.end = self.inbox.now()
            del self.running[ran.unit.id]
            self._done[ran.unit.id](report)


def build(id: str, *after: str, promotion: str | None = None) -> Unit:
    return Unit(id, UnitKind.BUILD, id.partition(":")[0], frozenset(after), promotion)


def check(id: str, *after: str, blocking: bool = True) -> Unit:
    project = id.partition(":")[0]
    return Unit(id, UnitKind.CHECK, project, frozenset(after), blocking=blocking)


def promotion(id: str, *after: str) -> Unit:
    return Unit(id, UnitKind.PROMOTE, id.partition(":")[0], frozenset(after))


class Rehearsal:
    """A walk over fake project runs, and the record of it.

    Args:
        units: The plan, dependencies first; the part of an id before the colon is its project.
        scripts: What units do that do not simply take a second and end well.
        capacity: Of each project run, or by project.
        exclusive: What project runs need alone, by project.
        gate: What units need besides.
        inbox: One that somebody else puts messages into as well.
        limits: Fields of `Limits`.

    Attributes:
        told: All events, each with the time at which it was told.
    """

    def __init__(
        self,
        *units: Unit,
        scripts: Mapping[str, Script] | None = None,
        capacity: int | Mapping[str, int] = 8,
        exclusive: Mapping[str, Collection[str]] | None = None,
        gate: Gate | None = None,
        inbox: VirtualInbox | None = None,
        **limits: Any,
    ) -> None:
        limits.setdefault("max_concurrent_models", 100)
        self.plan = RunPlan({u.id: u for u in units}, limits=Limits(**limits))
        self.inbox = inbox or VirtualInbox()
        self.told: list[tuple[float, Event]] = []
        self.holders: dict[str, str] = {}
        self.project_runs = {
            project: FakeProjectRun(
                project,
                self.inbox,
                scripts or {},
                capacity if isinstance(capacity, int) else capacity.get(project, 8),
                frozenset((exclusive or {}).get(project, ())),
                self.holders,
            )
            for project in sorted({u.project for u in units})
        }
        self.walk = Walk(self.plan, self.project_runs, self.inbox, gate=gate)

    def run(self) -> Rehearsal:
        """Walk to the end; every unit is told exactly once."""
        for event in self.walk.events():
            self.note(event)
        return self._over()

    def run_until(self, time: float) -> Rehearsal:
        """Walk until a moment at which the run is interrupted; the walk may be over before."""
        self.inbox.interrupt_at = time
        try:
            for event in self.walk.events():
                self.note(event)
        except Interrupted:
            self.inbox.before_wait = lambda: None
        return self

    def run_for(self, events: int) -> Rehearsal:
        """Walk until so many events were told, and then leave the walk where it is."""
        for event in islice(self.walk.events(), events):
            self.note(event)
        self.inbox.before_wait = lambda: None
        return self

    def cancel(self, reason: str = "the run was cancelled") -> Rehearsal:
        for event in self.walk.cancel(reason):
            self.note(event)
        return self._over()

    def note(self, event: Event) -> None:
        self.told.append((self.inbox.now(), event))

    def _over(self) -> Rehearsal:
        told = Counter(e.unit.id for _, e in self.told if isinstance(e, Finished))
        assert told == dict.fromkeys(self.plan.units, 1), "every unit is told exactly once"
        return self

    # -- the record -----------------------------------------------------------------------------

    @property
    def ran(self) -> list[Ran]:
        """All starts, in the order of time."""
        return sorted((r for s in self.project_runs.values() for r in s.ran), key=lambda r: r.start)

    @property
    def times(self) -> dict[str, tuple[float, float | None]]:
        """When each started unit began and ended, for the last time."""
        return {r.unit.id: (r.start, r.end) for r in self.ran}

    def runs_of(self, unit: str) -> list[Ran]:
        return [r for r in self.ran if r.unit.id == unit]

    @property
    def running(self) -> set[str]:
        return {unit for s in self.project_runs.values() for unit in s.running}

    @property
    def order(self) -> list[str]:
        """Ids of the units in the order in which they were started, retries too."""
        return [e.unit.id for _, e in self.told if isinstance(e, Started)]

    @property
    def ends(self) -> dict[str, Finished]:
        return {e.unit.id: e for _, e in self.told if isinstance(e, Finished)}

    @property
    def outcomes(self) -> dict[str, str]:
        return {unit: end.outcome.value for unit, end in self.ends.items()}

    @property
    def reasons(self) -> dict[str, str]:
        return {unit: end.reason for unit, end in self.ends.items() if end.reason}

    @property
    def retries(self) -> list[tuple[str, float]]:
        return [(e.unit.id, e.delay) for _, e in self.told if isinstance(e, Retrying)]

    def most_at_once(self, kind: UnitKind | None = None) -> int:
        """How many units (of a kind) ran at the same moment, at most."""
        ran = [r for r in self.ran if kind in (None, r.unit.kind)]
        return max(
            sum(r.start <= at.start < (math.inf if r.end is None else r.end) for r in ran)
            for at in ran
        )


def chain(length: int, project: str = "a") -> list[Unit]:
    ids = [f"{project}:{i:05}" for i in range(length)]
    return [build(id, *ids[i - 1 : i]) for i, id in enumerate(ids)]
