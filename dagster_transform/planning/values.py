"""The values of planning: what a project run says, what is decided, what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from dagster_transform.graph import PromotionId, UnitId
from dagster_transform.planning.resource_keys import ResourceKey


class Outcome(str, Enum):
    """What became of a unit; the words that users read."""

    BUILT = "built"
    BACKFILLED = "backfilled"
    UP_TO_DATE = "up_to_date"
    FAILED = "failed"
    BLOCKED = "blocked"
    CLAIMED = "claimed"
    WAITING = "waiting"
    CANCELLED = "cancelled"
    NOT_PROMOTED = "not_promoted"
    STALE = "stale"
    """Not rebuilt, downstream of what is restated; only of nodes that a run does not select."""
    CHECKED = "checked"
    """A check ran; whether it passed is in its result."""
    PROMOTED = "promoted"
    """A plan's promotion was carried out: readers see what it backfilled."""


GOOD_OUTCOMES = frozenset(
    {
        Outcome.BUILT,
        Outcome.BACKFILLED,
        Outcome.UP_TO_DATE,
        Outcome.CHECKED,
        Outcome.PROMOTED,
    }
)
"""Outcomes after which dependents may go on (a blocking check that failed is not among them)."""


class UnitKind(str, Enum):
    """What a project run is asked to do."""

    BUILD = "build"
    CHECK = "check"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that a project run does when the walk says so.

    Attributes:
        id: A node's id, a check's id, or the name of a promotion.
        project: Whose project run does it.
        after: Ids of the units that must have ended well before.
        promotion: For a build: id of the promotion that shows it to readers; None: at once.
        blocking: For a check: whether its failure counts as a failure of the unit.
        last: Whether it waits until all units that are not last have ended, well or not.
    """

    id: UnitId
    kind: UnitKind
    project: str
    after: frozenset[UnitId] = frozenset()
    promotion: PromotionId | None = None
    blocking: bool = True
    last: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a project run says of one selected node before the run is planned.

    Attributes:
        outcome: None if the node is to be built; else why this run will not build it.
        reason: In words, for people; with an outcome it is never empty.
        promotion: Name of the promotion that will publish it, if a plan does.
        step: Name of a step of that promotion which comes before this node and after all the
            others (SQLMesh builds forward-only changes after the environment's record).
        shown: For an `up_to_date` node with a promotion: whether readers get to see a table that
            was built before (by a plan that failed, or for another environment).
        built_at: For a node that is not built now: when what readers see was last built, aware;
            None: never, or nobody knows.
        unjudged: For an `up_to_date` node: whether its selected checks are run all the same, since
            none of them was when it was built.
    """

    outcome: Outcome | None = None
    reason: str = ""
    promotion: PromotionId | None = None
    step: PromotionId | None = None
    shown: bool = False
    built_at: datetime | None = None
    unjudged: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """So much of a counted resource.

    Attributes:
        key: Of a concurrency tag, or of the connections to a database.
        weight: How much of it the node takes.
        capacity: How much of it there is, over all runs.
    """

    key: ResourceKey
    weight: int
    capacity: int


DEFAULT_MODELS = 5
"""Builds at the same moment where nobody has said how many."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How a walk may go about its plan.

    Attributes:
        max_concurrent_models: Builds at the same moment, over all projects; at least 1.
        unbounded: Projects that this does not bound, and whose builds it does not count: they
            build as many as their project run can do.
        max_concurrent_checks: Checks at the same moment, over all projects; None: as many as their
            project runs can do.
        fail_fast: After the first failure nothing starts, and what runs is cancelled.
        retries: How often a unit that failed transiently is tried again.
        retry_delay: Seconds before the first retry; doubled for each further one.
        cancel_grace: Seconds that a cancelled unit has to come back.
    """

    max_concurrent_models: int = DEFAULT_MODELS
    unbounded: frozenset[str] = frozenset()
    max_concurrent_checks: int | None = None
    fail_fast: bool = False
    retries: int = 2
    retry_delay: float = 1.0
    cancel_grace: float = 25.0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why a selected node or check is not in a run plan.

    Attributes:
        outcome: What it is instead.
        reason: In words.
        promotion: For an `up_to_date` node: the promotion that shows readers its table.
        built_at: For a node that is not built now: when what readers see was last built, aware;
            None: never, or nobody knows.
    """

    outcome: Outcome
    reason: str
    promotion: PromotionId | None = None
    built_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What one run does.

    Attributes:
        units: By id, dependencies first.
        left_out: Selected nodes and checks that the run will not do, and why.
        limits: How the walk goes about it.
    """

    units: Mapping[UnitId, Unit] = field(default_factory=dict)
    left_out: Mapping[UnitId, LeftOut] = field(default_factory=dict)
    limits: Limits = Limits()
