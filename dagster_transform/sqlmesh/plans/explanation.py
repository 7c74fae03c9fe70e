"""What a plan would do, as a value: rendered for people, identified by a digest, compared.

Pure: no SQLMesh, no clock, no I/O. `explain` makes it from SQLMesh's plan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any

from dagster_transform.sqlmesh.intervals import Interval, in_words, minus

_DIGEST = re.compile(r"(?P<time>\d{8}T\d{6}Z)-[0-9a-f]{12}")
_TIME = "%Y%m%dT%H%M%SZ"
_LISTED = 100
"""Models that a section of the text names; the JSON names all."""
DIFFS = 20
"""Models whose changed lines are shown."""
_DIFF_LINES = 60
_WHOLE = {"FULL": "the whole table", "VIEW": "the view", "SEED": "the seed's rows"}


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What somebody asks of a plan; the words are SQLMesh's.

    Attributes:
        start, end: Time that is backfilled; SQLMesh takes them in development only.
        run: Build also what is due of models that the plan does not change.
        forward_only: Changed models keep their tables.
        allow_destructive_models: Models whose forward-only changes may drop data.
        allow_additive_models: Models whose forward-only changes may add columns.
    """

    start: str | None = None
    end: str | None = None
    run: bool = False
    forward_only: bool = False
    allow_destructive_models: tuple[str, ...] = ()
    allow_additive_models: tuple[str, ...] = ()

    @property
    def given(self) -> dict[str, Any]:
        """What is not as it is by default, as one writes it in run config."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items() if v}


@dataclass(frozen=True, slots=True)
class Change:
    """A model that the plan adds, changes or removes.

    Attributes:
        reference: Its fully qualified name.
        name: As its users write it.
        kind: SQLMesh's word in capitals; "AUDIT" for an audit that stands alone.
        how: `added`, `direct` (its own code), `indirect` (what it reads), `metadata` or `removed`.
        category: `breaking`, `non-breaking`, `indirect breaking`, `indirect non-breaking`,
            `metadata`, `forward-only`; empty: somebody has to decide.
        forward_only: Whether it keeps its table.
        identifier: SQLMesh's identifier of the version: changes with everything about it.
        diff: The changed lines.
    """

    reference: str
    name: str
    kind: str
    how: str
    category: str = ""
    forward_only: bool = False
    identifier: str = ""
    diff: str = ""

    @property
    def words(self) -> str:
        """`breaking, forward-only`."""
        if self.how in ("added", "removed"):
            return self.how + ", forward-only" * self.forward_only
        parts = [self.category or "not categorised"]
        if self.forward_only and self.category != "forward-only":
            parts.append("forward-only")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Backfill:
    """Data that the plan builds.

    Attributes:
        reference, name, kind: As of a `Change`.
        intervals: `[start, end)` in epoch milliseconds, merged.
        due: Whether the plan does not change the model: it is built because what the plan changes
            reads it, or because `run` was asked for.
    """

    reference: str
    name: str
    kind: str
    intervals: tuple[Interval, ...]
    due: bool = False

    @property
    def words(self) -> str:
        """What is built: days for an incremental model, else `the whole table`."""
        what = _WHOLE.get(self.kind) or in_words(self.intervals)
        return what + " (unchanged, but due)" * self.due


@dataclass(frozen=True, slots=True)
class Restated:
    """Data that the plan builds again: previews of forward-only changes in development."""

    reference: str
    name: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class PlanExplanation:
    """What applying a plan would do.

    Attributes:
        project, environment: Whose plan it is.
        execution_time: Its moment, epoch milliseconds, whole seconds.
        previous_plan: The environment's plan, or None if there is no such environment.
        finalized: Whether that plan has come to its end.
        origin: The environment that a new one is compared with, or None.
        origin_plan: Its plan.
        target: Identity of all that the environment will hold: models, statements, requirements.
        needed: False: the environment is equal to the files, and nothing is to be done.
        changes: By reference.
        backfill: By reference; unknown (and empty) while somebody has to decide.
        restated: By reference.
        others: What else changes, in words.
        request: What was asked for.
    """

    project: str
    environment: str
    execution_time: int
    previous_plan: str | None = None
    finalized: bool = True
    origin: str | None = None
    origin_plan: str | None = None
    target: str = ""
    needed: bool = True
    changes: tuple[Change, ...] = ()
    backfill: tuple[Backfill, ...] = ()
    restated: tuple[Restated, ...] = ()
    others: tuple[str, ...] = ()
    request: PlanRequest = field(default_factory=PlanRequest)

    @property
    def undecided(self) -> tuple[Change, ...]:
        """Changes that SQLMesh could not categorise."""
        return tuple(c for c in self.changes if c.how != "removed" and not c.category)

    @property
    def digest(self) -> str:
        """Identity of what would be applied: its moment, and a hash of everything.

        The moment is in it so that the same plan can be made again later: intervals end with it,
        not with the clock.
        """
        content = asdict(self)
        for change in content["changes"]:
            del change["diff"]
        text = json.dumps(content, sort_keys=True)
        return f"{_when(self.execution_time):{_TIME}}-{sha256(text.encode()).hexdigest()[:12]}"

    def of(self, *how: str) -> tuple[Change, ...]:
        """The changes of these sorts."""
        return tuple(c for c in self.changes if c.how in how)

    @property
    def counts(self) -> dict[str, int]:
        """How much of everything."""
        return {
            "added": len(self.of("added")),
            "changed": len(self.of("direct", "metadata")),
            "changed_by_upstream": len(self.of("indirect")),
            "removed": len(self.of("removed")),
            "undecided": len(self.undecided),
            "backfilled": len(self.backfill),
            "restated": len(self.restated),
        }

    def to_json(self) -> dict[str, Any]:
        """As plain data; `from_json` reads it."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {**data, "digest": self.digest}


def from_json(data: Mapping[str, Any]) -> PlanExplanation:
    """The explanation in what `to_json` gave.

    Raises:
        ValueError: It is something else, or of another version of this package.
    """
    try:
        content = {f.name: data[f.name] for f in fields(PlanExplanation)}
        found = PlanExplanation(
            **{
                **content,
                "changes": tuple(Change(**item) for item in content["changes"]),
                "backfill": tuple(
                    Backfill(**{**item, "intervals": tuple(map(tuple, item["intervals"]))})
                    for item in content["backfill"]
                ),
                "restated": tuple(
                    Restated(**{**item, "interval": tuple(item["interval"])})
                    for item in content["restated"]
                ),
                "others": tuple(content["others"]),
                "request": _request(content["request"]),
            }
        )
        if found.digest == data["digest"]:
            return found
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an explanation of a plan: {error}") from None
    raise ValueError("an explanation of a plan whose digest is not its own")


def _request(data: Mapping[str, Any]) -> PlanRequest:
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return PlanRequest(**plain)


def moment_of(digest: str) -> datetime:
    """The execution time, aware, of the plan that a digest identifies.

    Raises:
        ValueError: It is no digest.
    """
    found = _DIGEST.fullmatch(digest.strip())
    if found is None:
        raise ValueError(f"'{digest}' is no digest of a plan")
    return datetime.strptime(found["time"], _TIME).replace(tzinfo=timezone.utc)


def differences(shown: PlanExplanation, now: PlanExplanation) -> list[str]:
    """What applying `now` would do that `shown` does not say, in words.

    Less to backfill is no difference: what was shown may have been built in part since then, by a
    plan that failed halfway, say.
    """
    found: list[str] = []
    if shown.request != now.request:
        found.append(f"other options: was {_options(shown)}, now {_options(now)}")
    if (shown.previous_plan, shown.finalized) != (now.previous_plan, now.finalized):
        found.append(
            f"environment {now.environment} has {_standing(now)} now, had {_standing(shown)}"
        )
    if (shown.origin, shown.origin_plan) != (now.origin, now.origin_plan):
        found.append(f"environment {now.origin or shown.origin} has another plan now")
    then, today = ({c.reference: c for c in plan.changes} for plan in (shown, now))
    told = {
        reference: difference
        for reference in sorted(then.keys() | today.keys())
        if (difference := _of_change(then.get(reference), today.get(reference)))
    }
    found += told.values()
    for reference, restated in {r.reference: r for r in now.restated}.items():
        before = [r.interval for r in shown.restated if r.reference == reference]
        if more := minus([restated.interval], before):
            found.append(f"{restated.name}: builds {in_words(more)} again, too")
    for item in now.backfill:
        built = [i for b in shown.backfill if b.reference == item.reference for i in b.intervals]
        if item.reference not in told and (more := minus(item.intervals, built)):
            found.append(f"{item.name}: builds {in_words(more)}, too")
    if shown.target != now.target and not found:
        found.append("before_all or after_all statements, or Python requirements, have changed")
    return found


def _of_change(then: Change | None, now: Change | None) -> str:
    if then is None and now is not None:
        return f"{now.name}: is {now.words} now (was not in the plan)"
    if now is None and then is not None:
        return f"{then.name}: is not in the plan any more (was {then.words})"
    if then is None or now is None:
        return ""
    other = then.identifier != now.identifier
    if (then.how, then.words) != (now.how, now.words):
        also = "has changed since, and is" if other else "is"
        return f"{now.name}: {also} {now.words} now (was {then.words})"
    if not other:
        return ""
    return f"{now.name}: {'reads what ' * (now.how == 'indirect')}has changed since ({now.words})"


def _standing(plan: PlanExplanation) -> str:
    if plan.previous_plan is None:
        return "no plan"
    return f"plan {plan.previous_plan[:8]}{'' if plan.finalized else ' (not finished)'}"


def _options(plan: PlanExplanation) -> str:
    return ", ".join(f"{k}={v}" for k, v in plan.request.given.items()) or "none"


# -- for people ---------------------------------------------------------------------------------


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
            "**SharedResources a decision**: SQLMesh can't categorise these changes by itself: "
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
    shown = [c for c in plan.of("direct", "metadata") if c.diff][:DIFFS]
    parts += [f"`{c.name}`:\n```diff\n{_cut(c.diff)}\n```" for c in shown]
    return "\n\n".join(parts)


def _heading(plan: PlanExplanation) -> str:
    text = f"As of {_when(plan.execution_time):%Y-%m-%d %H:%M:%S} UTC. "
    if plan.previous_plan is None:
        text += "The environment is new"
        text += f": compared with {plan.origin}." if plan.origin else "."
    else:
        text += f"The environment has {_standing(plan)}"
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


def _when(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc)
