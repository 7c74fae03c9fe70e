"""What a run says in its log: its plan, and each unit's start and end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dagster_transform.graph import Graph, NodeId, UnitId
from dagster_transform.graph.counts import counted
from dagster_transform.planning import LeftOut, Outcome, RunPlan, UnitKind
from dagster_transform.runs.build_checks import checks_in_build
from dagster_transform.runs.ports import RunLog
from dagster_transform.runs.progress import ProgressTold
from dagster_transform.runs.summary import LEFT
from dagster_transform.walk import Event, Finished, Learned, Progressed, Retrying, Started

_NAMED = 10
"""So many of the nodes that are left out for one reason are named."""
_FEW = 10
"""Checks each of which is worth lines of its own, also where it passes."""


class LogLines:
    """Writes the log of one run.

    Args:
        log: Where to.
        graph: The graph.
        run_plan: What the run does.
        called: What people call a unit.
        now: Seconds on a clock that never goes back.
    """

    def __init__(
        self,
        log: RunLog,
        graph: Graph,
        run_plan: RunPlan,
        called: Callable[[UnitId], str],
        now: Callable[[], float],
    ) -> None:
        self._log = log
        self._graph = graph
        self._run_plan = run_plan
        self._called = called
        kinds = [unit.kind for unit in run_plan.units.values()]
        self._total = kinds.count(UnitKind.BUILD)
        checks = {unit.id for unit in run_plan.units.values() if unit.kind is UnitKind.CHECK}
        self._only_checks = len(checks) == len(kinds)
        self._many = checks if len(checks) > _FEW else set()  # those of many that have not ended
        self._started = 0
        self._progress = ProgressTold(now)

    def begin(self) -> None:
        """Say what the run will do, what of the selected is up to date already, and what the run
        leaves out for other reasons. What has failed before it began, or is blocked, is in the
        failure of the run."""
        units, left_out = self._run_plan.units.values(), self._run_plan.left_out.items()
        checks = sum(unit.kind is UnitKind.CHECK for unit in units)
        checks += sum(len(checks_in_build(self._graph, u.id)) for u in units)
        up_to_date = {
            id: why.reason
            for id, why in left_out
            if why.outcome is Outcome.UP_TO_DATE and self._graph.is_node(id)
        }
        parts = [f"{counted(self._total, 'node')} to build"]
        parts += [counted(checks, "check")] * bool(checks)
        parts += [f"{len(up_to_date)} up to date"] * bool(up_to_date)
        put_off = {
            id: why for id, why in left_out if why.outcome in LEFT and self._graph.is_node(id)
        }
        parts += [f"{len(put_off)} left out"] * bool(put_off)
        self._log.info(f"Run plan: {', '.join(parts)}.")
        by_reason: dict[str, list[str]] = {}
        for node_id, reason in sorted(up_to_date.items()):
            by_reason.setdefault(reason, []).append(self._called(node_id))
        for reason, names in by_reason.items():
            self._log.info(f"up_to_date ({reason}): {', '.join(names)}")
        self._nodes_left_out(put_off)

    def _nodes_left_out(self, put_off: Mapping[NodeId, LeftOut]) -> None:
        """A line for each outcome and reason. Time and other runs end some of them; what the
        environment does not have is built by no run until a person does something."""
        alike: dict[tuple[Outcome, str], list[str]] = {}
        for id, why in sorted(put_off.items()):
            alike.setdefault((why.outcome, why.reason), []).append(self._called(id))
        for (outcome, reason), names in alike.items():
            lost = outcome is Outcome.NOT_PROMOTED
            more = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
            text = f"{', '.join(names[:_NAMED])}{more}: {outcome.value}: {reason}"
            (self._log.warning if lost else self._log.info)(text)

    def checks_left_out(self) -> None:
        """Say which selected checks are not run, and why: a line for each reason. Those of nodes
        that are up to date are not worth one."""
        by_reason: dict[str, list[str]] = {}
        for id, why in self._run_plan.left_out.items():
            if self._graph.check(id) is not None and why.outcome is not Outcome.UP_TO_DATE:
                by_reason.setdefault(why.reason, []).append(self._called(id))
        for reason, names in by_reason.items():
            count = counted(len(names), "check") * (len(names) > 1)
            self._log.info(f"{count}{': ' * bool(count)}{', '.join(names)} not run: {reason}")

    def event(self, event: Event) -> None:
        """Say what happens in the walk.

        Where many checks are run, their results are events already: there are lines for what went
        wrong, and where nothing else is run, one for the last few, among which is one that hangs.
        """
        if event.unit.id in self._many and self._is_one_of_many(event):
            return
        unit, name = event.unit, self._called(event.unit.id)
        if isinstance(event, Started):
            is_build = unit.kind is UnitKind.BUILD
            self._progress.begin(unit.id)
            self._started += is_build and event.attempt == 1
            count = f" ({self._started} of {self._total})" * is_build
            again = f", attempt {event.attempt}" * (event.attempt > 1)
            self._log.info(f"{name}: {unit.kind.value} started{count}{again}")
        elif isinstance(event, Retrying):
            self._log.warning(
                f"{name}: failed, will be tried again in {event.delay:g} s: {event.report.reason}"
            )
        elif isinstance(event, Progressed):
            if line := self._progress.line(event.progress):
                self._log.info(f"{name}: {line}")
        elif not isinstance(event, Learned):
            self._end(name, event)

    def _is_one_of_many(self, event: Event) -> bool:
        """Whether an event of a check that is one of many is not worth a line."""
        if isinstance(event, Started):
            return event.attempt == 1
        if not isinstance(event, Finished):
            return False
        self._many.discard(event.unit.id)
        if self._only_checks and len(self._many) == _FEW:
            self._log.info(f"The last {_FEW}: {', '.join(map(self._called, sorted(self._many)))}")
        report = event.report
        return report is not None and bool(report.checks) and all(c.passed for c in report.checks)

    def _end(self, name: str, end: Finished) -> None:
        report, progress = end.report, self._progress.end(end.unit.id)
        words = [f"{name}: {end.outcome.value}"]
        if report is not None and report.outcome is not Outcome.FAILED:
            words[0] += f" in {report.seconds:.2f} s"
            rows = report.rows if report.rows is not None else report.table_rows
            if rows is not None:
                words.append(counted(rows, "row"))
            for result in report.checks:
                found = (
                    "" if result.failed_rows is None else f" ({counted(result.failed_rows, 'row')})"
                )
                passed = "passed" if result.passed else f"FAILED{found}"
                check = self._graph.check(result.check)
                words.append(f"{check.name if check is not None else result.check} {passed}")
        if progress is not None:
            words.append(f"{progress.done:,} of {progress.total:,} batches")
        text = ", ".join(words) + (f": {end.reason}" if end.reason else "")
        log = self._log.info if end.good else self._log.warning
        (self._log.error if end.outcome is Outcome.FAILED else log)(text)
