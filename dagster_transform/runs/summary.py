"""What a run comes to: the table of what went wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dagster_transform.graph import UnitId
from dagster_transform.graph.counts import counted
from dagster_transform.planning import LeftOut, Outcome, Readiness, UnitKind
from dagster_transform.runs.check_failures import Fails, fails
from dagster_transform.walk import CheckResult, Finished

_MARKS = re.compile(r"[\\`*_<>\[\]|~]")
_BAD = frozenset({Outcome.FAILED, Outcome.BLOCKED, Outcome.CANCELLED})
LEFT = frozenset({Outcome.CLAIMED, Outcome.WAITING, Outcome.NOT_PROMOTED})
"""Outcomes of what a run leaves to others, to later, or to a plan."""
_CHECK_FAILED = "check failed"
_NOT_RUN = "not run"
"""Of a check only: what it would have judged, or its project, has an outcome and the reason."""
_CAUSES_FIRST = (
    Outcome.FAILED.value, _CHECK_FAILED, Outcome.CANCELLED.value, Outcome.CLAIMED.value,
    Outcome.NOT_PROMOTED.value, Outcome.WAITING.value,
)  # fmt: skip
_LAST = (Outcome.BLOCKED.value, _NOT_RUN)
"""Consequences, never causes."""
_NAMED = 3
"""So many of what shares an outcome and its reason are named; of all there is an observation."""
_SHOWN = 100
"""Rows that the text and the markdown have, so that Dagster can store and show them."""


@dataclass(frozen=True, slots=True)
class Row:
    """What has one outcome for one reason.

    Attributes:
        names: What people call the nodes and checks, in their order.
        outcome: What became of them.
        reason: In words, on one line.
        of_checks: Whether all of them are checks; else none is.
    """

    names: tuple[str, ...]
    outcome: str
    reason: str
    of_checks: bool = False


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run has come to.

    Attributes:
        failed: Whether the run has failed.
        rows: What did not go well: causes first, then what they have blocked.
        good: How many nodes did.
        passed: How many checks have passed.
        warned: How many have not, and the run has not failed for it.
        hidden: What did go well and readers don't see: a plan was not promoted.
        left_out: What the run has left to others, or to later, and has not failed for.
        below: What becomes of the nodes below what did not go well, by its id.
    """

    failed: bool
    rows: tuple[Row, ...]
    good: int
    passed: int = 0
    warned: int = 0
    hidden: tuple[Row, ...] = ()
    left_out: tuple[Row, ...] = ()
    below: Mapping[UnitId, Readiness] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """A sentence with the counts: nodes and checks apart."""
        only_checks = not self.good and bool(self.passed or self.warned)
        well = f"{counted(self.good, 'node')} went well" * (not only_checks)
        if self.hidden:
            well += (
                f", {sum(len(row.names) for row in self.hidden)} of which wait for a promotion "
                "(the next run goes on from there)"
            )
        passed = f"{counted(self.passed, 'check')} passed" * bool(self.passed)
        warned = counted(self.warned, "check warns", "checks warn") * bool(self.warned)
        good = ", ".join(filter(None, [well, passed, warned]))
        left = _in_words(self.left_out, lambda _: "left out")
        return "; ".join(filter(None, [_in_words(self.rows, str), good, left]))

    def as_text(self) -> str:
        """The counts, and two lines for each row: outcome and names, and the reason. No columns:
        names and reasons may be longer than any terminal is wide."""
        lines = [f"{self.heading}."]
        for row in self._shown():
            lines += ["", f"{row.outcome}: {_listed(row.names)}"]
            lines += [f"    {row.reason}"] * bool(row.reason)
        if more := self._more:
            lines += ["", more]
        return "\n".join(lines)

    def as_markdown(self) -> str:
        """The same as a list."""
        lines = [f"{self.heading}.", ""]
        for row in self._shown():
            names = _listed([f"`{name}`" for name in row.names])
            reason = f": {_escaped(row.reason)}" if row.reason else ""
            lines.append(f"- **{row.outcome}** {names}{reason}")
        if more := self._more:
            lines += ["", more]
        return "\n".join(lines)

    @property
    def _every(self) -> tuple[Row, ...]:
        return self.rows + self.hidden + self.left_out

    def _shown(self) -> tuple[Row, ...]:
        return self._every[:_SHOWN]

    @property
    def _more(self) -> str:
        """That there are more rows than are shown."""
        more = len(self._every) - _SHOWN
        return f"... and {more} more reasons, which the log has." if more > 0 else ""


def of_rounds(summaries: Iterable[RunSummary]) -> RunSummary:
    """What a run in several rounds has come to."""
    found = list(summaries)
    return RunSummary(
        failed=any(summary.failed for summary in found),
        rows=_together(row for summary in found for row in summary.rows),
        good=sum(summary.good for summary in found),
        passed=sum(summary.passed for summary in found),
        warned=sum(summary.warned for summary in found),
        hidden=_together(row for summary in found for row in summary.hidden),
        left_out=_together(row for summary in found for row in summary.left_out),
        below={id: why for summary in found for id, why in summary.below.items()},
    )


def summarise(
    called: Callable[[UnitId], str],
    finished: Mapping[UnitId, Finished],
    left_out: Mapping[UnitId, LeftOut],
    problems: Mapping[str, LeftOut],
    fails: Fails = fails,
    *,
    checks: Container[UnitId],
    waited: bool,
    must_find: bool = False,
) -> RunSummary:
    """What a run has come to.

    Args:
        called: What people call a unit.
        finished: How the units of the walk ended.
        left_out: What was not in the plan.
        problems: What went wrong besides units, by what people call it.
        fails: Whether a check's result makes the run fail.
        checks: Which of the units are checks.
        waited: Whether the run waits for what others hold: what it did not get after all, it has
            failed to build. A run that does not wait leaves that to others.
        must_find: Whether the run has failed where its project's environment, or files, have none
            of its nodes.
    """
    bad_outcomes = _BAD | {Outcome.CLAIMED} if waited else _BAD
    rows, hidden, left = _Rows(), _Rows(), _Rows()
    results: dict[UnitId, bool] = {}  # of checks for which the run has not failed: all passed
    promotions = [e for e in finished.values() if e.unit.kind is UnitKind.PROMOTE]
    unpromoted = {e.unit.id for e in promotions if not e.good}
    became = [why.outcome for unit, why in left_out.items() if unit not in checks]
    became += [end.outcome for end in finished.values() if end.unit.kind is not UnitKind.CHECK]
    failed = must_find and {*became} == {Outcome.NOT_PROMOTED}
    # What the run is to blame for is not what it leaves to another, or to a later one.
    put_off = rows if failed else left
    good = 0
    not_started = [(called(unit), why, unit in checks) for unit, why in left_out.items()]
    for name, why, is_check in [*not_started, *((n, why, False) for n, why in problems.items())]:
        what = _NOT_RUN if is_check else why.outcome.value
        if why.outcome in _BAD:
            failed = True
            rows.add(name, what, why.reason, of_checks=is_check)
        elif why.outcome in LEFT:
            put_off.add(name, what, why.reason, of_checks=is_check)
    for unit_id, end in finished.items():
        name = called(unit_id)
        is_check = end.unit.kind is UnitKind.CHECK
        found = end.report.checks if end.report is not None else ()
        failing = [c for c in found if fails(c)]
        shown = [c for c in found if c in failing or (c.blocking and not c.passed)]
        for c in found:
            if c not in shown:
                results[c.check] = c.passed and results.get(c.check, True)
        failed |= bool(failing)
        if end.good and not shown:
            good += end.unit.kind is UnitKind.BUILD
            if end.unit.promotion in unpromoted:
                reason = f"readers don't see it yet: no {end.unit.promotion}"
                hidden.add(name, end.outcome.value, reason)
            continue
        # Cancelled by nobody's wish: its claim was lost. What a person cancels ends elsewhere.
        failed |= end.outcome in bad_outcomes
        what = _CHECK_FAILED if shown else end.outcome.value
        if is_check and end.outcome is Outcome.BLOCKED:
            what = _NOT_RUN
        reason = end.reason or ", ".join(_rows_found(called, unit_id, c) for c in shown)
        rows.add(name, what, reason, of_checks=is_check)
    passed = sum(results.values())
    return RunSummary(
        failed,
        rows.in_order(),
        good,
        passed,
        len(results) - passed,
        hidden.in_order(),
        left.in_order(),
    )


class _Rows:
    """Rows in the making: what has one outcome for one reason is one of them."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str, bool, str], list[str]] = {}

    def add(self, name: str, outcome: str, reason: str, *, of_checks: bool = False) -> None:
        """Something has come to this outcome."""
        own = name if outcome == _CHECK_FAILED else ""  # as many rows are not one reason
        key = (outcome, " ".join(reason.split()), of_checks, own)
        self._names.setdefault(key, []).append(name)

    def in_order(self) -> tuple[Row, ...]:
        """Causes first; else as they were added."""
        rows = [
            Row(tuple(names), outcome, why, of_checks)
            for (outcome, why, of_checks, _), names in self._names.items()
        ]
        return tuple(sorted(rows, key=lambda row: _rank(row.outcome)))


def _together(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows of several rounds: causes first, and what shares its reason is one of them."""
    found = _Rows()
    for row in rows:
        for name in row.names:
            found.add(name, row.outcome, row.reason, of_checks=row.of_checks)
    return found.in_order()


def _rank(outcome: str) -> int:
    if outcome in _CAUSES_FIRST:
        return _CAUSES_FIRST.index(outcome)
    return len(_CAUSES_FIRST) + (1 + _LAST.index(outcome) if outcome in _LAST else 0)


def _in_words(rows: Iterable[Row], word: Callable[[str], str]) -> str:
    """`1 failed, 2 checks failed, 4 blocked, 8 checks not run`.

    Args:
        rows: What is counted.
        word: What becomes of a node, by its outcome; of a check it is the outcome itself.
    """
    counts = Counter[tuple[bool, str]]()
    for row in rows:
        of_checks = row.of_checks or row.outcome == _CHECK_FAILED
        said = row.outcome.removeprefix("check ") if of_checks else word(row.outcome)
        counts[of_checks, said] += len(row.names)
    return ", ".join(
        f"{counted(count, 'check')} {said}" if of_checks else f"{count:,} {said}"
        for (of_checks, said), count in counts.items()
    )


def _rows_found(called: Callable[[UnitId], str], unit: UnitId, check: CheckResult) -> str:
    """What a failed check has found, with its name where it is not the unit itself."""
    name = "" if check.check == unit else f"{called(check.check)}: "
    found = "failed" if check.failed_rows is None else counted(check.failed_rows, "row")
    message = str(check.details.get("message") or "") if check.failed_rows is None else ""
    return f"{name}{message or found}"


def _listed(names: Sequence[str]) -> str:
    """`a, b, c`, or `214 (a, b, c and 211 more)`."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{len(names)} ({', '.join(names[:_NAMED])} and {len(names) - _NAMED} more)"


def _escaped(text: str) -> str:
    """Text in which markdown sees no mark of its own."""
    return _MARKS.sub(r"\\\g<0>", text)
