"""What a plan would do, as a value. Pure: no SQLMesh, no clock, no I/O.

`explain` makes it from SQLMesh's plan, `digest` identifies it, `differences` compares it with
another one, `markdown` shows it to people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from dagster_transform.sqlmesh.intervals import Interval, in_words
from dagster_transform.sqlmesh.plans.digest import make_digest

MOST_DIFFS = 20
"""Models whose changed lines are shown."""
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

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> PlanRequest:
        """The request in plain data: run config, or what JSON has of it.

        Args:
            options: By the names of the attributes; other keys are passed over.
        """
        own = {f.name for f in fields(cls)}
        found: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in options.items()
            if key in own
        }
        return cls(**found)

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
        name: What people call it.
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
class Waits:
    """A model of which the plan does not build all that it lacks now, and why, in words."""

    reference: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Restated:
    """Data that the plan builds again: previews of forward-only changes in development."""

    reference: str
    name: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class PlanExplanation:
    """What applying a plan would do.

    It has more attributes than a class should have: they are what the digest identifies, and what
    its JSON, which other runs read, has beside each other.

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
        waiting: By reference: what can't be built yet of what the plan backfills, and what is due
            of changed models that keep their tables, which runs build.
        others: What else changes, in words.
        request: What was asked for.
    """

    # More than twelve attributes: each is a part of a plan that people read or that a digest holds.
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
    waiting: tuple[Waits, ...] = ()
    others: tuple[str, ...] = ()
    request: PlanRequest = field(default_factory=PlanRequest)

    @property
    def undecided(self) -> tuple[Change, ...]:
        """Changes that SQLMesh could not categorise."""
        return tuple(c for c in self.changes if c.how != "removed" and not c.category)

    @property
    def digest(self) -> str:
        """Identity of what would be applied."""
        content = asdict(self)
        del content["waiting"]  # a signal may say something else by the time that it is applied
        for change in content["changes"]:
            del change["diff"]
        return make_digest(self.execution_time, content)

    @property
    def standing(self) -> str:
        """What the environment has, in words."""
        if self.previous_plan is None:
            return "no plan"
        return f"plan {self.previous_plan[:8]}{'' if self.finalized else ' (not finished)'}"

    def of(self, *how: str) -> tuple[Change, ...]:
        """The changes of these sorts."""
        return tuple(c for c in self.changes if c.how in how)

    def named(self, called: Callable[[str], str]) -> PlanExplanation:
        """The same with other names: `called` has that of a fully qualified name."""
        return replace(
            self,
            changes=tuple(replace(c, name=called(c.reference)) for c in self.changes),
            backfill=tuple(replace(b, name=called(b.reference)) for b in self.backfill),
            restated=tuple(replace(r, name=called(r.reference)) for r in self.restated),
            waiting=tuple(replace(w, name=called(w.reference)) for w in self.waiting),
        )

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
                "waiting": tuple(Waits(**item) for item in content["waiting"]),
                "others": tuple(content["others"]),
                "request": PlanRequest.of(content["request"]),
            }
        )
        if found.digest == data["digest"]:
            return found
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an explanation of a plan: {error}") from None
    raise ValueError("an explanation of a plan whose digest is not its own")
