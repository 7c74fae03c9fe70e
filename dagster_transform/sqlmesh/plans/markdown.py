"""The explanation of a plan for people: in Dagster's log and in its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dagster_transform.sqlmesh.intervals import in_words
from dagster_transform.sqlmesh.plans.digest import moment
from dagster_transform.sqlmesh.plans.explanation import MOST_DIFFS, Change, PlanExplanation

_LISTED = 100
"""Models that a section of the text names; the JSON names all."""
_DIFF_LINES = 60


def as_markdown(plan: PlanExplanation) -> str:
    """The explanation as people read it, in Dagster's log and in its metadata."""
    parts = [f"## Plan of {plan.project} for environment {plan.environment}", _heading(plan)]
    if not plan.needed:
        parts.append(
            "**Nothing to do**: the environment is equal to the files. "
            "What is merely due is built by runs, or by a plan with `run: true`."
        )
        return "\n\n".join(parts)
    if plan.undecided:
        parts.append(
            "**Needs a decision**: SQLMesh can't categorise these changes by itself: "
            + ", ".join(f"`{c.name}`" for c in plan.undecided)
        )
    for title, how in (
        ("Added", ("added",)),
        ("Changed", ("direct", "metadata")),
        ("Changed because of what they read", ("indirect",)),
        ("Removed", ("removed",)),
    ):
        if changes := plan.of(*how):
            lines = [f"- `{c.name}` ({c.kind}){_remark(c)}" for c in changes]
            parts.append(_section(title, lines))
    if plan.others:
        parts.append(_section("Also changed", [f"- {text}" for text in plan.others]))
    if plan.restated:
        lines = [f"- `{r.name}`: {in_words([r.interval])}" for r in plan.restated]
        parts.append(_section("Previews that are built again", lines))
    if plan.backfill:
        head = ["| model | builds |", "|---|---|"]
        rows = [f"| `{b.name}` | {b.words} |" for b in plan.backfill]
        parts.append(_section("Backfill", rows, head))
    elif not plan.undecided:
        parts.append("**Backfill**: none.")
    if plan.waiting:
        lines = [f"- `{w.name}`: {w.reason}" for w in plan.waiting]
        parts.append(_section("Not built by this plan", lines))
    shown = [c for c in plan.of("direct", "metadata") if c.diff][:MOST_DIFFS]
    parts += [f"`{c.name}`:\n```diff\n{_cut(c.diff)}\n```" for c in shown]
    return "\n\n".join(parts)


def _heading(plan: PlanExplanation) -> str:
    text = f"As of {moment(plan.execution_time):%Y-%m-%d %H:%M:%S} UTC. "
    if plan.previous_plan is None:
        text += "The environment is new"
        text += f": compared with {plan.origin}." if plan.origin else "."
    else:
        text += f"The environment has {plan.standing}"
        text += "." if plan.finalized else ": compared with what it had before."
    return f"{text} Digest `{plan.digest}`."


def _remark(change: Change) -> str:
    if change.how in ("added", "removed"):
        return ", forward-only" * change.forward_only
    return f": {change.words}"


def _section(title: str, lines: Sequence[str], head: Iterable[str] = ()) -> str:
    shown = lines[:_LISTED]
    more = len(lines) - len(shown)
    count = f"**{title} ({len(lines)})**"
    rest = [f"\n... and {more} more, which the JSON has."] if more else []
    return "\n".join([count, "", *head, *shown, *rest])


def _cut(diff: str) -> str:
    lines = diff.strip("\n").splitlines()
    # SQLMesh's diffs begin with the names of two files, which are empty.
    lines = lines[next((i for i, line in enumerate(lines) if line.startswith("@@")), 0) :]
    more = len(lines) - _DIFF_LINES
    return "\n".join(lines[:_DIFF_LINES] + [f"... {more} more lines"] * (more > 0))
