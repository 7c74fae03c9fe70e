"""The one failure of a run, in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from dagster_transform.planning import LeftOut, Outcome, UnitKind
from dagster_transform.walk import Finished

_BAD = (Outcome.FAILED, Outcome.BLOCKED, Outcome.CANCELLED)


def failure(
    names: Mapping[str, str],
    finished: Mapping[str, Finished],
    left_out: Mapping[str, LeftOut],
    *,
    waited: bool,
) -> dg.Failure | None:
    """The one failure of a run, with a table; None if nothing failed.

    Args:
        names: How to call the units.
        finished: How the units of the walk ended.
        left_out: What was not in the plan.
        waited: Whether the run waits for what others hold: what it did not get after all, it has
            failed to build. A run that does not wait leaves that to others.
    """
    bad_ends = {*_BAD, Outcome.CLAIMED} if waited else {*_BAD}
    rows: list[tuple[str, str, str]] = []
    hidden: list[tuple[str, str, str]] = []
    promotions = [e for e in finished.values() if e.unit.kind is UnitKind.PROMOTE]
    unpromoted = {e.unit.id for e in promotions if not e.good}
    failed = False
    for unit_id, why in left_out.items():
        if why.outcome in (Outcome.FAILED, Outcome.BLOCKED):
            failed = True
            rows.append((names.get(unit_id, unit_id), why.outcome.value, why.reason))
    for unit_id, end in finished.items():
        name = names.get(unit_id, unit_id)
        if end.good:
            if end.unit.promotion in unpromoted:
                reason = f"readers don't see it yet: no {end.unit.promotion}"
                hidden.append((name, end.outcome.value, reason))
            continue
        checks = end.report.failed_checks if end.report is not None else ()
        # Cancelled by nobody's wish: its claim was lost. What a person cancels ends elsewhere.
        failed |= end.outcome in bad_ends or bool(checks)
        what = "check failed" if checks else end.outcome.value
        reason = end.reason or ", ".join(
            f"{names.get(c.check, c.check)}: {c.failed_rows} rows" for c in checks
        )
        rows.append((name, what, reason))
    if not failed:
        return None
    bad, good = len(rows), sum(end.good for end in finished.values())
    count = f"{bad} did not go well, {good} did"
    if hidden:
        rows += hidden
        count += f", {len(hidden)} of which wait for a promotion (the next run goes on from there)"
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:<{width}}  {what:<12}  {_one_line(why)}" for name, what, why in rows]
    markdown = ["| node or check | outcome | reason |", "|---|---|---|"]
    markdown += [f"| {n} | {w} | {_one_line(r).replace('|', chr(92) + '|')} |" for n, w, r in rows]
    return dg.Failure(
        description=f"{count}:\n" + "\n".join(lines),
        metadata={"dagster_transform/outcomes": dg.MetadataValue.md("\n".join(markdown))},
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
