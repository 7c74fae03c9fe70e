"""The walk of a run plan over its project runs.

One thread coordinates. What is ready starts at once, up to the limits, in the plan's order; a
failure blocks what depends on it and nothing else. The walk holds no connection and starts no
thread, so that an interrupt finds it in one place: waiting for the next report.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from dagster_transform.graph import UnitId
from dagster_transform.planning import GOOD_OUTCOMES, Outcome, RunPlan, Unit, UnitKind
from dagster_transform.walk.events import Event, Finished, Learned, Progressed, Retrying, Started
from dagster_transform.walk.gate import Gate, Later, OpenGate, Refused, Revoked
from dagster_transform.walk.ports import Facts, Inbox, Message, Progress, Report, Worker
from dagster_transform.walk.ready import ReadyUnits
from dagster_transform.walk.retries import Attempts, retry_delay
from dagster_transform.walk.room import Room
from dagster_transform.walk.times import WalkTimes
from dagster_transform.walk.untold import Untold

_CANCEL_POLL = 0.1
"""Seconds between two cancels of one unit: a statement that began in between must end too."""


@dataclass(slots=True)
class _Running:
    """A unit in flight; `revoked` says why it is to be ended, and until when it may take that."""

    unit: Unit
    revoked: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True)
class _Stop:
    """Nothing starts any more, for this reason; what runs may take until then to end."""

    reason: str
    until: float


class Walk:
    """Carries out one run plan.

    Args:
        run_plan: What to do.
        workers: The open project run of each project that the plan names.
        inbox: Where their reports arrive.
        called: What people call a unit, for reasons.
        gate: What a unit needs besides; None: nothing.

    Attributes:
        finished: How the units have ended, by id.
        times: When they began and ended, and what they waited for.
    """

    # More than twelve attributes: they are the state of one state machine. Which unit is next,
    # and who has room for it, is a matter of its own, in `ready`.
    def __init__(
        self,
        run_plan: RunPlan,
        workers: Mapping[str, Worker],
        inbox: Inbox | None = None,
        called: Callable[[UnitId], str] = str,
        gate: Gate | None = None,
    ) -> None:
        self.finished: dict[UnitId, Finished] = {}
        self._run_plan = run_plan
        self._workers = workers
        self._inbox = inbox or Inbox()
        self.times = WalkTimes(self._inbox.now)
        self._called = called
        self._gate = gate or OpenGate()
        self._room = Room(workers, run_plan.limits)
        self._ready = ReadyUnits(run_plan)
        self._missing = {u.id: len(u.after) for u in run_plan.units.values()}
        self._dependents: dict[UnitId, list[UnitId]] = {unit_id: [] for unit_id in run_plan.units}
        for unit in run_plan.units.values():
            for before in unit.after:
                self._dependents[before].append(unit.id)
        # Units that come last and are ready, while others have yet to end: so many.
        self._early = sum(not unit.last for unit in run_plan.units.values())
        self._put_off: list[UnitId] = []
        self._running: dict[UnitId, _Running] = {}
        self._attempts: dict[UnitId, Attempts] = {}
        self._awaited: set[UnitId] = set()  # units that have ended and of which facts follow
        self._stop: _Stop | None = None
        self._untold = Untold(self._inbox.now)
        for unit_id, missing in self._missing.items():
            if not missing:
                self._make_ready(unit_id)

    def events(self) -> Iterator[Event]:
        """Do it all, yielding what happens as it happens, until nothing is to be done any more."""
        while True:
            if self._stop is None and not self._untold.is_behind:
                self._start_what_can()
            if self._untold:
                yield from self._untold.next()
                # Storing an event takes Dagster longer than many a node: go on in between.
                self._take_reports()
            elif self._running or self._ready.waiting or self._awaited:
                self._wait()
            else:
                break
        self._give_up_the_rest("its project run could not start it")
        yield from self._untold.all()

    def cancel(self, reason: str = "the run was cancelled") -> list[Event]:
        """Start nothing any more, end what runs, and say what became of everything.

        Units that do not come back within the plan's grace end as cancelled: their project
        run closes their connections next.
        """
        self._stop_all(reason)
        while self._running:
            self._wait()
        self._awaited.clear()
        self._give_up_the_rest(reason)
        return list(self._untold.all())

    # -- starting -------------------------------------------------------------------------------

    def _start_what_can(self) -> None:
        now = self._inbox.now()
        self._ready.wake(now)
        while (unit := self._ready.take_next(self._room)) is not None:
            answer = self._gate.enter(unit)
            if isinstance(answer, Later):
                self.times.held_up(unit.id, answer.reason)
                self._ready.hold_up(unit.id, now + answer.seconds)
            elif isinstance(answer, Refused):
                self._finish(Finished(unit, answer.outcome, answer.reason))
            else:
                self._start(unit)

    def _start(self, unit: Unit) -> None:
        self._room.take(unit)
        self.times.began(unit.id)
        attempts = self._attempts.setdefault(unit.id, Attempts())
        attempts.count += 1
        self._running[unit.id] = _Running(unit)
        self._untold.add(Started(unit, attempts.count))
        self._workers[unit.project].start(unit, self._inbox.put)

    # -- ending ---------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Wait for one report, or for the next retry, or (when stopping) cancel once more."""
        to_end = [r for r in self._running.values() if self._stop is not None or r.revoked]
        for running in to_end:
            self._workers[running.unit.project].cancel(running.unit.id)
        timeout: float | None = _CANCEL_POLL if to_end else None
        if self._stop is None and (moment := self._ready.next_moment()) is not None:
            until_then = max(0.0, moment - self._inbox.now())
            timeout = until_then if timeout is None else min(timeout, until_then)
        self._receive(self._inbox.get(timeout))
        self._take_reports()
        self._abandon_overdue()

    def _abandon_overdue(self) -> None:
        """Go on without units that were cancelled and do not come back."""
        now = self._inbox.now()
        if self._stop is not None and now >= self._stop.until:
            overdue = dict.fromkeys(self._running, self._stop.reason)
        else:
            overdue = {
                unit_id: running.revoked[0]
                for unit_id, running in self._running.items()
                if running.revoked is not None and running.revoked[1] <= now
            }
        for unit_id, why in overdue.items():
            running = self._running[unit_id]
            running.revoked = None
            reason = f"{why}; it did not come back"
            self._end(running, Report(unit_id, Outcome.CANCELLED, reason))

    def _take_reports(self) -> None:
        """Take in what has arrived, without waiting."""
        while (message := self._inbox.get(0)) is not None:
            self._receive(message)

    def _receive(self, message: Message | Revoked | None) -> None:
        if message is None:
            return
        running = self._running.get(message.unit)
        if isinstance(message, Revoked):
            if running is not None and running.revoked is None:
                until = self._inbox.now() + self._run_plan.limits.cancel_grace
                running.revoked = (message.reason, until)
        elif isinstance(message, Facts):
            if message.unit in self._awaited:
                self._awaited.discard(message.unit)
                self._untold.add(Learned(self._run_plan.units[message.unit], message))
        elif isinstance(message, Progress):
            if running is not None:
                self._untold.add(Progressed(running.unit, message))
        elif running is not None:
            self._end(running, message)

    def _end(self, running: _Running, report: Report) -> None:
        unit = running.unit
        del self._running[unit.id]
        self.times.ended(unit.id)
        self._room.give_back(unit)
        self._gate.leave(unit)
        self._ready.ask_again()
        limits = self._run_plan.limits
        attempts = self._attempts[unit.id]
        if running.revoked is not None and report.outcome not in GOOD_OUTCOMES:
            report = replace(report, outcome=Outcome.CANCELLED, reason=running.revoked[0])
        delay = retry_delay(report, attempts, limits) if self._stop is None else None
        if delay is not None:
            self._ready.rest(unit.id, self._inbox.now() + delay)
            attempts.failure = report
            self._untold.add(Retrying(unit, report, delay))
            return
        outcome = report.outcome
        if outcome is Outcome.BUILT and unit.promotion is not None:
            outcome = Outcome.BACKFILLED
        if report.facts_follow:
            self._awaited.add(unit.id)
        self._finish(Finished(unit, outcome, report.reason, report))
        failed = outcome is Outcome.FAILED or bool(report.failed_checks)
        if failed and limits.fail_fast and self._stop is None:
            reason = f"fail_fast: {self._called(unit.id)} failed"
            self._stop_all(reason)
            self._give_up_the_rest(reason)

    def _finish(self, finished: Finished) -> None:
        """Record an end, free what waited for it, and block what can't go on any more."""
        ends = deque([finished])
        while ends:
            end = ends.popleft()
            if end.unit.id in self.finished:
                continue
            self.finished[end.unit.id] = end
            self.times.finished(end.unit.id)
            self._gate.finish(end.unit)
            self._untold.add(end)
            self._early -= not end.unit.last
            for dependent in self._dependents[end.unit.id]:
                unit = self._run_plan.units[dependent]
                # A check judges what was built, also where another check has already failed; one
                # that comes after a check judges what would be built after it.
                kinds = (end.unit.kind, unit.kind)
                judges = kinds == (UnitKind.BUILD, UnitKind.CHECK) and end.outcome in GOOD_OUTCOMES
                if end.good or judges:
                    self._missing[dependent] -= 1
                    if not self._missing[dependent]:
                        self._make_ready(dependent)
                else:
                    ends.append(Finished(unit, *held_back(end, self._called)))
        if not self._early:
            put_off, self._put_off = self._put_off, []
            for unit_id in put_off:
                if unit_id not in self.finished:
                    self._add_ready(unit_id)

    def _make_ready(self, unit_id: UnitId) -> None:
        """All that a unit waits for has ended well; it may start, or when its time has come."""
        if self._early and self._run_plan.units[unit_id].last:
            self._put_off.append(unit_id)
        else:
            self._add_ready(unit_id)

    def _add_ready(self, unit_id: UnitId) -> None:
        self.times.ready(unit_id)
        self._ready.add(unit_id)

    def _stop_all(self, reason: str) -> None:
        until = self._inbox.now() + self._run_plan.limits.cancel_grace
        self._stop = _Stop(reason if self._stop is None else self._stop.reason, until)
        self._ready.stop_waiting()

    def _give_up_the_rest(self, reason: str) -> None:
        """Tell every unit that has not ended and does not run: it failed, or never started."""
        for unit in self._run_plan.units.values():
            if unit.id in self.finished or unit.id in self._running:
                continue
            attempts = self._attempts.get(unit.id)
            if attempts is not None and (last := attempts.failure) is not None:
                self._finish(Finished(unit, Outcome.FAILED, last.reason, last))
            else:
                self._finish(Finished(unit, Outcome.CANCELLED, reason))


def held_back(end: Finished, called: Callable[[UnitId], str]) -> tuple[Outcome, str]:
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
