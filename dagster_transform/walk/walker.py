"""The walk of a run plan over its sessions.

One thread coordinates. What is ready starts at once, up to the limits, in the plan's order; a
failure blocks what depends on it and nothing else. The walk holds no connection and starts no
thread, so that an interrupt finds it in one place: waiting for the next report.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dagster_transform.planning import GOOD_OUTCOMES, Outcome, RunPlan, Unit, UnitKind
from dagster_transform.walk.gate import Gate, Later, OpenGate, Refused, Revoked
from dagster_transform.walk.ports import Facts, Inbox, Message, Report, Session

_CANCEL_POLL = 0.1
"""Seconds between two cancels of one unit: a statement that began in between must end too."""


@dataclass(frozen=True, slots=True)
class Started:
    """A unit has been handed to its session; `attempt` counts from 1."""

    unit: Unit
    attempt: int


@dataclass(frozen=True, slots=True)
class Retrying:
    """A unit failed transiently and will be tried again in `delay` seconds."""

    unit: Unit
    report: Report
    delay: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A unit has come to its end in this run; `report` is None if it never started."""

    unit: Unit
    outcome: Outcome
    reason: str = ""
    report: Report | None = None

    @property
    def good(self) -> bool:
        """Whether what depends on the unit may go on."""
        return self.outcome in GOOD_OUTCOMES and not (self.report and self.report.failed_checks)


@dataclass(frozen=True, slots=True)
class Learned:
    """More is known of a unit that has finished."""

    unit: Unit
    facts: Facts


Event = Started | Retrying | Finished | Learned


class Walk:
    """Carries out one run plan.

    Args:
        plan: What to do.
        sessions: The open session of each project that the plan names.
        inbox: Where the sessions' reports arrive.
        called: What people call a unit, for reasons.
        gate: What a unit needs besides; None: nothing.
    """

    def __init__(
        self,
        plan: RunPlan,
        sessions: Mapping[str, Session],
        inbox: Inbox | None = None,
        called: Callable[[str], str] = str,
        gate: Gate | None = None,
    ) -> None:
        self.finished: dict[str, Finished] = {}
        self._plan = plan
        self._called = called
        self._sessions = sessions
        self._inbox = inbox or Inbox()
        self._gate = gate or OpenGate()
        self._rank = {unit_id: rank for rank, unit_id in enumerate(plan.units)}
        self._missing = {u.id: len(u.after) for u in plan.units.values()}
        self._dependents: dict[str, list[str]] = {unit_id: [] for unit_id in plan.units}
        for unit in plan.units.values():
            for before in unit.after:
                self._dependents[before].append(unit.id)
        self._order = list(plan.units)
        self._ready: dict[tuple[str, UnitKind], list[int]] = {}  # lane -> ranks, a heap each
        for unit_id, missing in self._missing.items():
            if not missing:
                self._make_ready(self._rank[unit_id])
        self._running: dict[str, Unit] = {}
        self._busy: Counter[str] = Counter()  # units in flight, by project
        self._builds = 0  # in flight, of projects that are bounded
        self._alone: set[str] = set()  # projects whose promotion is in flight
        self._holder: dict[str, str] = {}  # exclusive resource -> project that holds it
        self._attempts: Counter[str] = Counter()
        self._resting: list[tuple[float, int]] = []  # (when to try again, rank)
        self._held_up: dict[int, float] = {}  # rank of a unit at the gate -> when to ask again
        self._revoked: dict[str, tuple[str, float]] = {}  # unit to be ended -> why, until when
        self._last: dict[str, Report] = {}  # why a unit that rests has failed
        self._stopping = ""
        self._stop_until = 0.0
        self._due: set[str] = set()  # units that have ended and of which facts follow
        self._told: deque[Event] = deque()

    def events(self) -> Iterator[Event]:
        """Do it all, telling what happens as it happens, until nothing is left to do."""
        while True:
            if not self._stopping:
                self._start_what_can()
            if self._told:
                yield self._told.popleft()
                # Storing an event takes Dagster longer than many a node: go on in between.
                self._take_reports()
            elif self._running or self._resting or self._held_up or self._due:
                self._wait()
            else:
                break
        self._give_up_the_rest("its session could not start it")
        while self._told:
            yield self._told.popleft()

    def cancel(self, reason: str = "the run was cancelled") -> list[Event]:
        """Start nothing any more, end what runs, and say what became of everything.

        Units that do not come back within the plan's grace are told as cancelled: their session
        closes their connections next.
        """
        self._stop(reason)
        while self._running:
            self._wait()
        self._due.clear()
        self._give_up_the_rest(reason)
        told, self._told = list(self._told), deque()
        return told

    # -- starting -------------------------------------------------------------------------------

    def _start_what_can(self) -> None:
        now = self._inbox.now()
        while self._resting and self._resting[0][0] <= now:
            self._make_ready(heapq.heappop(self._resting)[1])
        self._call_up([rank for rank, when in self._held_up.items() if when <= now])
        while (lane := self._next_lane()) is not None:
            rank = heapq.heappop(self._ready[lane])
            unit = self._plan.units[self._order[rank]]
            answer = self._gate.enter(unit)
            if isinstance(answer, Later):
                self._held_up[rank] = now + answer.seconds
            elif isinstance(answer, Refused):
                self._finish(Finished(unit, answer.outcome, answer.reason))
            else:
                self._take(unit.project)
                self._start(unit)

    def _call_up(self, ranks: Iterable[int]) -> None:
        """Have units ask again at the gate."""
        for rank in ranks:
            del self._held_up[rank]
            self._make_ready(rank)

    def _make_ready(self, rank: int) -> None:
        unit = self._plan.units[self._order[rank]]
        heapq.heappush(self._ready.setdefault((unit.project, unit.kind), []), rank)

    def _next_lane(self) -> tuple[str, UnitKind] | None:
        """Where the first unit in the plan's order waits among those that can start now.

        Units wait in lanes, one for each project and kind, so that a full session costs nothing
        however many of its units are ready. First comes what needs nothing that another session
        holds: a session that still has work keeps what it holds, and no file is opened and closed
        for every node.
        """
        best: tuple[bool, int] | None = None
        found: tuple[str, UnitKind] | None = None
        for lane, ranks in self._ready.items():
            project, kind = lane
            if not ranks or not self._has_room(project, kind):
                continue
            holders = self._holders(project)
            if any(self._busy[holder] for holder in holders):
                continue
            candidate = (bool(holders), ranks[0])
            if best is None or candidate < best:
                best, found = candidate, lane
        return found

    def _has_room(self, project: str, kind: UnitKind) -> bool:
        # A promotion ends by closing the connections of every other thread.
        if project in self._alone or (kind is UnitKind.PROMOTE and self._busy[project]):
            return False
        most = self._plan.limits.max_concurrent_models
        if self._is_bounded(project, kind) and self._builds >= most:
            return False
        return self._busy[project] < self._sessions[project].capacity

    def _is_bounded(self, project: str, kind: UnitKind) -> bool:
        return kind is UnitKind.BUILD and project not in self._plan.limits.unbounded

    def _holders(self, project: str) -> set[str]:
        """Other projects that hold what `project` needs alone."""
        needed = self._sessions[project].exclusive
        return {self._holder[r] for r in needed if r in self._holder} - {project}

    def _take(self, project: str) -> None:
        """Give `project` what it needs alone; those that held it are idle and let go."""
        for holder in self._holders(project):
            self._sessions[holder].let_go()
            self._holder = {r: p for r, p in self._holder.items() if p != holder}
        self._holder.update(dict.fromkeys(self._sessions[project].exclusive, project))

    def _start(self, unit: Unit) -> None:
        self._attempts[unit.id] += 1
        self._running[unit.id] = unit
        self._busy[unit.project] += 1
        self._builds += self._is_bounded(unit.project, unit.kind)
        if unit.kind is UnitKind.PROMOTE:
            self._alone.add(unit.project)
        self._told.append(Started(unit, self._attempts[unit.id]))
        self._sessions[unit.project].start(unit, self._inbox.put)

    # -- ending ---------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Wait for one report, or for the next retry, or (when stopping) cancel once more."""
        to_end = list(self._running if self._stopping else self._revoked)
        for unit_id in to_end:
            self._sessions[self._running[unit_id].project].cancel(unit_id)
        timeout: float | None = _CANCEL_POLL if to_end else None
        if not self._stopping:
            again = [*self._held_up.values(), *(when for when, _ in self._resting[:1])]
            if again:
                until_then = max(0.0, min(again) - self._inbox.now())
                timeout = until_then if timeout is None else min(timeout, until_then)
        self._receive(self._inbox.get(timeout))
        self._take_reports()
        if self._stopping and self._inbox.now() >= self._stop_until:
            self._abandon(dict.fromkeys(self._running, self._stopping))
        late = [(u, why) for u, (why, until) in self._revoked.items() if until <= self._inbox.now()]
        self._abandon(dict(late))

    def _abandon(self, units: Mapping[str, str]) -> None:
        """Go on without units that were cancelled and do not come back; by id, why."""
        for unit_id, why in units.items():
            self._revoked.pop(unit_id, None)
            reason = f"{why}; it did not come back"
            self._end(self._running[unit_id], Report(unit_id, Outcome.CANCELLED, reason))

    def _take_reports(self) -> None:
        """Take in what has arrived, without waiting."""
        while (message := self._inbox.get(0)) is not None:
            self._receive(message)

    def _receive(self, message: Message | Revoked | None) -> None:
        if isinstance(message, Revoked):
            if message.unit in self._running:
                until = self._inbox.now() + self._plan.limits.cancel_grace
                self._revoked.setdefault(message.unit, (message.reason, until))
        elif isinstance(message, Facts):
            if message.unit in self._due:
                self._due.discard(message.unit)
                self._told.append(Learned(self._plan.units[message.unit], message))
        elif message is not None and message.unit in self._running:
            self._end(self._running[message.unit], message)

    def _end(self, unit: Unit, report: Report) -> None:
        del self._running[unit.id]
        self._busy[unit.project] -= 1
        self._builds -= self._is_bounded(unit.project, unit.kind)
        if unit.kind is UnitKind.PROMOTE:
            self._alone.discard(unit.project)
        self._gate.leave(unit)
        self._call_up(list(self._held_up))
        limits = self._plan.limits
        tried = self._attempts[unit.id]
        revoked = self._revoked.pop(unit.id, None)
        if revoked is not None and report.outcome not in GOOD_OUTCOMES:
            report = replace(report, outcome=Outcome.CANCELLED, reason=revoked[0])
        may_pass = report.outcome is Outcome.FAILED and report.transient and not self._stopping
        if may_pass and tried <= limits.retries:
            delay = limits.retry_delay * 2 ** (tried - 1)
            heapq.heappush(self._resting, (self._inbox.now() + delay, self._rank[unit.id]))
            self._last[unit.id] = report
            self._told.append(Retrying(unit, report, delay))
            return
        outcome = report.outcome
        if outcome is Outcome.BUILT and unit.promotion is not None:
            outcome = Outcome.BACKFILLED
        if report.facts_follow:
            self._due.add(unit.id)
        self._finish(Finished(unit, outcome, report.reason, report))
        failed = outcome is Outcome.FAILED or bool(report.failed_checks)
        if failed and limits.fail_fast and not self._stopping:
            self._stop(f"fail_fast: {self._called(unit.id)} failed")
            self._give_up_the_rest(self._stopping)

    def _finish(self, finished: Finished) -> None:
        """Record an end, free what waited for it, and block what can't go on any more."""
        ends = deque([finished])
        while ends:
            end = ends.popleft()
            if end.unit.id in self.finished:
                continue
            self.finished[end.unit.id] = end
            self._gate.finish(end.unit)
            self._told.append(end)
            for dependent in self._dependents[end.unit.id]:
                unit = self._plan.units[dependent]
                # A check judges what was built, also where another check has already failed.
                judges = unit.kind is UnitKind.CHECK and end.outcome in GOOD_OUTCOMES
                if end.good or judges:
                    self._missing[dependent] -= 1
                    if not self._missing[dependent]:
                        self._make_ready(self._rank[dependent])
                else:
                    ends.append(Finished(unit, *_held_back(end, self._called)))

    def _stop(self, reason: str) -> None:
        self._stopping = self._stopping or reason
        self._stop_until = self._inbox.now() + self._plan.limits.cancel_grace
        self._resting.clear()
        self._held_up.clear()

    def _give_up_the_rest(self, reason: str) -> None:
        """Tell every unit that has not ended and does not run: it failed, or never started."""
        for unit in self._plan.units.values():
            if unit.id in self.finished or unit.id in self._running:
                continue
            if last := self._last.get(unit.id):
                self._finish(Finished(unit, Outcome.FAILED, last.reason, last))
            else:
                self._finish(Finished(unit, Outcome.CANCELLED, reason))


def _held_back(end: Finished, called: Callable[[str], str]) -> tuple[Outcome, str]:
    """What becomes of a unit whose upstream did not go well, and why: the first cause, once."""
    if end.outcome in (Outcome.WAITING, Outcome.CANCELLED, Outcome.BLOCKED) and not end.report:
        return end.outcome, end.reason
    if end.report is not None and end.report.failed_checks:
        names = ", ".join(called(c.check) for c in end.report.failed_checks)
        return Outcome.BLOCKED, f"blocking check failed: {names}"
    if end.outcome is Outcome.FAILED:
        return Outcome.BLOCKED, f"upstream failed: {called(end.unit.id)}"
    outcome = Outcome.CANCELLED if end.outcome is Outcome.CANCELLED else Outcome.WAITING
    return outcome, f"its upstream {called(end.unit.id)} is {end.outcome.value}: {end.reason}"
