"""The extension points of the walk: what it asks of a framework, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol

from dagster_transform.databases.backends import BackendId
from dagster_transform.databases.samples import Sample
from dagster_transform.graph import CheckId, InputId, NodeId, Relation, UnitId
from dagster_transform.planning import Outcome, Readiness, ResourceKey, Unit
from dagster_transform.walk.gate import Revoked, SharedResources

ColumnLineage = Mapping[str, tuple[tuple[InputId, str], ...]]
"""By column: what it is computed from, as ids of nodes or sources and columns there."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where a node or source is in a run, if not where the graph has it.

    Attributes:
        relation: Its relation in this run.
        words: The same, and where the graph file has it, as people read it.
    """

    relation: Relation
    words: str


Moved = Mapping[InputId, Elsewhere]
"""The nodes and sources of a project that are elsewhere, by id."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check that ran.

    Attributes:
        check: Its id.
        passed: Whether it found nothing wrong.
        failed_rows: How many rows it found wrong, where its framework counts them.
        blocking: Whether its failure counts: as its node's, and as the run's.
        details: What else people may want to know (`query`, `interval`...), as strings or numbers.
        error: Whether its failure is an error and no warning; a blocking one always is.
        sample: Some of the rows that it found wrong, where they were asked for.
    """

    check: CheckId
    passed: bool
    failed_rows: int | None = None
    blocking: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)
    error: bool = False
    sample: Sample = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a project run says when a unit has ended, however it ended.

    Attributes:
        unit: The unit's id.
        outcome: `built`, `checked`, `promoted`, `up_to_date` (another run had built it by then),
            `waiting`, `failed` or `cancelled`.
        reason: In words; never empty unless all went well.
        transient: For a failure, or a check that could not find out: whether trying again may help
            (a lost connection, a lock).
        checks: Results of the checks that ran within the unit.
        seconds: Wall time of the work.
        rows: Rows written, where the engine counts them.
        table_rows: Rows in the relation afterwards, where asking costs nothing.
        columns: Types of the relation's columns by name, where they were read from the database.
        column_lineage: What its columns are computed from, by name, as far as that was found out
            when it was built: (id of a node or source, column there).
        code_version: Of the code that was built, where it may be another one than the files have;
            None: it is theirs.
        facts_follow: Whether `Facts` of the unit will be reported, once, after this.
        details: What else people may want to know (`intervals`, `table`...), as strings or numbers.
    """

    # More than twelve attributes: what a build can say of itself, all of which is stored with it.
    unit: UnitId
    outcome: Outcome
    reason: str = ""
    transient: bool = False
    checks: tuple[CheckResult, ...] = ()
    seconds: float = 0.0
    rows: int | None = None
    table_rows: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    column_lineage: ColumnLineage = field(default_factory=dict)
    code_version: str | None = None
    facts_follow: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed_checks(self) -> tuple[CheckResult, ...]:
        """The blocking checks that did not pass."""
        return tuple(c for c in self.checks if c.blocking and not c.passed)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a project run has found out of a relation after it had reported it as built.

    Attributes:
        unit: The unit's id.
        table_rows: Rows in the relation; None: not known.
        columns: Types of its columns by name; empty: not known.
        column_lineage: What its columns are computed from, by name: (id of a node or source, column
            there). Columns that are computed from no column, and those of which that is not
            certain, are left out.
        problem: Why something is not known that was asked for; or "".
    """

    unit: UnitId
    table_rows: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    column_lineage: ColumnLineage = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build has come that goes batch by batch; there are at least two.

    Attributes:
        unit: The unit's id.
        done: Batches that are done, those of earlier attempts too.
        total: All of them.
        what: The batch that was done just now, in words.
    """

    unit: UnitId
    done: int
    total: int
    what: str


Message = Report | Facts | Progress


class Worker(Protocol):
    """What a walk needs of a framework's side of a run.

    Every method is called from the walk's own thread. A worker has threads or processes of its own
    for the work and answers a `start` by calling `done` with a report once, from any thread;
    before that as often as it likes with progress, and once more with facts where the report says
    that they follow. Nothing waits for those but the walk's end.
    """

    @property
    def capacity(self) -> int:
        """Units that it takes at the same moment, at least 1; a few of them may wait in it."""

    @property
    def exclusive(self) -> frozenset[ResourceKey]:
        """The files that only one worker can have open at a time."""

    def start(self, unit: Unit, done: Callable[[Message], None]) -> None:
        """Begin a unit and return at once."""

    def cancel(self, unit: UnitId) -> None:
        """End a running unit's statement; called again until the unit has reported."""

    def close_files(self) -> None:
        """Close what is exclusive; called when none of its units runs. `start` opens it again."""


class Claimant(Protocol):
    """What claims need to know of a framework's side of a run."""

    def shared_resources(self) -> SharedResources:
        """What it shares with other runs. Asked before `assess`, and again when that has shown
        whether it makes a plan; opens no connection."""

    def claim_key(self, unit: Unit) -> ResourceKey | None:
        """The table that a build writes, or that a check reads. Asked after `assess`; None:
        nothing that is claimed."""

    def promotion_keys(self, unit: Unit) -> Mapping[ResourceKey, bool]:
        """The tables that a promotion writes (True) or reads (False), besides what its plan's
        builds write: those that it makes, changes or audits. Asked as `claim_key` is."""

    def end_backends(self, backends: Collection[BackendId]) -> Collection[BackendId]:
        """End backends in which a run built that has lost its claims.

        Those on servers that this project does not reach are passed over. Returns those that are
        not there any more. Raises where one that it reaches does not end."""


class ProjectRun(Worker, Claimant, Protocol):
    """A framework's side of one run of one project, from its first look to its end."""

    def assess(
        self, nodes: Collection[NodeId], checks: Collection[CheckId]
    ) -> Mapping[NodeId, Readiness]:
        """What there is to do for the selected nodes; called once, before the run is planned."""

    def elsewhere(self) -> Moved:
        """The nodes and sources whose relation is another one than the graph has: what `assess`
        has found out of the run's own environment."""

    def open(self, units: Sequence[Unit]) -> None:
        """Get ready for these units, which are all that `start` will name."""

    def refresh(self, units: Sequence[Unit]) -> None:
        """These builds were held by another run until now: look at each again when it starts."""

    def close(self, *, completed: bool) -> None:
        """End it and release everything. `completed`: the walk came to its end."""


class ClaimGuard(Protocol):
    """What a project run asks of the claims of its run, and says to them; from any thread."""

    def holds(self, unit: UnitId) -> bool:
        """Whether the run still has its claims on a unit: asked before something is recorded."""

    def builds_in(self, unit: UnitId, backends: frozenset[BackendId]) -> None:
        """Write down, before a unit is carried out, in which backends it is."""

    def plans_in(self, environment: ResourceKey, backends: frozenset[BackendId]) -> None:
        """Write down, before the stages of a plan are carried out, in which backends they are."""


class Unclaimed:
    """The guard of a run without claims: nobody takes anything from it."""

    def holds(self, _: UnitId) -> bool:
        """It does."""
        return True

    def builds_in(self, _: UnitId, __: frozenset[BackendId]) -> None:
        """Nobody asks."""

    def plans_in(self, _: ResourceKey, __: frozenset[BackendId]) -> None:
        """Nobody asks."""


class Inbox:
    """Where reports arrive, and the walk's clock; tests put virtual time in its place."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Message | Revoked] = SimpleQueue()

    def put(self, message: Message | Revoked) -> None:
        """Called by project runs and by whoever keeps the gate, from any thread."""
        self._queue.put(message)

    def get(self, timeout: float | None) -> Message | Revoked | None:
        """The next message; None after `timeout` seconds without one."""
        try:
            return self._queue.get(timeout=timeout)
        except Empty:
            return None

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        return monotonic()
