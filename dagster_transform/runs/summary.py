"""What a run comes to: the table of what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from dagster_transform.graph import UnitId
from dagster_transform.planning import LeftOut, Outcome, Readiness, UnitKind
from dagster_transform.walk import Finished

_BAD = frozenset({Outcome.FAILED, Outcome.BLOCKED, Outcome.CANCELLED})


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        name: What people call the node or check.
        outcome: What became of it.
        reason: In words, on one line.
    """

    name: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run has come to.

    Attributes:
        failed: Whether the run has failed.
        rows: What did not go well.
        good: How many units did.
        hidden: What did go well and readers don't see: a plan was not promoted.
        below: What becomes of the nodes below what did not go well, by its id.
    """

    failed: bool
    rows: tuple[Row, ...]
    good: int
    hidden: tuple[Row, ...] = ()
    below: Mapping[UnitId, Readiness] = field(default_factory=dict)

    def as_text(self) -> str:
        """A sentence with the counts, and the table in columns."""
        rows = self.rows + self.hidden
        count = f"{len(self.rows)} did not go well, {self.good} did"
        if self.hidden:
            count += (
                f", {len(self.hidden)} of which wait for a promotion "
                "(the next run goes on from there)"
            )
        width = max((len(row.name) for row in rows), default=0)
        lines = [f"{row.name:<{width}}  {row.outcome:<12}  {row.reason}" for row in rows]
        return f"{count}:\n" + "\n".join(lines)

    def as_markdown(self) -> str:
        """The table."""
        lines = ["| node or check | outcome | reason |", "|---|---|---|"]
        for row in self.rows + self.hidden:
            reason = row.reason.replace("|", "\\|")
            lines.append(f"| {row.name} | {row.outcome} | {reason} |")
        return "\n".join(lines)


def of_rounds(summaries: Iterable[RunSummary]) -> RunSummary:
    """What a run in several rounds has come to."""
    found = list(summaries)
    return RunSummary(
        failed=any(summary.failed for summary in found),
        rows=tuple(row for summary in found for row in summary.rows),
        good=sum(summary.good for summary in found),
        hidden=tuple(row for summary in found for row in summary.hidden),
        below={id: why for summary in found for id, why in summary.below.items()},
    )


def summarise(
    called: Callable[[UnitId], str],
    finished: Mapping[UnitId, Finished],
    left_out: Mapping[UnitId, LeftOut],
    problems: Mapping[str, LeftOut],
    *,
    waited: bool,
) -> RunSummary:
    """What a run has come to.

    Args:
        called: What people call a unit.
        finished: How the units of the walk ended.
        left_out: What was not in the plan.
        problems: What went wrong besides units, by what people call it.
        waited: Whether the run waits for what others hold: what it did not get after all, it has
            failed to build. A run that does not wait leaves that to others.
    """
    bad_outcomes = _BAD | {Outcome.CLAIMED} if waited else _BAD
    rows: list[Row] = []
    hidden: list[Row] = []
    promotions = [e for e in finished.values() if e.unit.kind is UnitKind.PROMOTE]
    unpromoted = {e.unit.id for e in promotions if not e.good}
    failed = False
    not_started = [(called(unit), why) for unit, why in left_out.items()]
    for name, why in [*not_started, *problems.items()]:
        if why.outcome in _BAD:
            failed = True
            rows.append(_row(name, why.outcome.value, why.reason))
    for unit_id, end in finished.items():
        name = called(unit_id)
        if end.good:
            if end.unit.promotion in unpromoted:
                reason = f"readers don't see it yet: no {end.unit.promotion}"
                hidden.append(_row(name, end.outcome.value, reason))
            continue
        checks = end.report.failed_checks if end.report is not None else ()
        # Cancelled by nobody's wish: its claim was lost. What a person cancels ends elsewhere.
        failed |= end.outcome in bad_outcomes or bool(checks)
        what = "check failed" if checks else end.outcome.value
        reason = end.reason or ", ".join(f"{called(c.check)}: {c.failed_rows} rows" for c in checks)
        rows.append(_row(name, what, reason))
    good = sum(end.good for end in finished.values())
    return RunSummary(failed, tuple(rows), good, tuple(hidden))


def _row(name: str, outcome: str, reason: str) -> Row:
    return Row(name, outcome, " ".join(reason.split()))
