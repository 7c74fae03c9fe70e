"""The extension points of the walk: what it asks of a framework, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol

from dagster_transform.planning import Outcome, Readiness, Unit


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check that ran.

    Attributes:
        check: Its id.
        passed: Whether it found nothing wrong.
        failed_rows: How many rows it found wrong, where its framework counts them.
        blocking: Whether its failure counts as its node's.
        details: Further facts for people (`query`, `interval`...), as strings or numbers.
    """

    check: str
    passed: bool
    failed_rows: int | None = None
    blocking: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What a session says when a unit has ended, however it ended.

    Attributes:
        unit: The unit's id.
        outcome: `built`, `checked`, `promoted`, `up_to_date` (another run had built it by then),
            `waiting`, `failed` or `cancelled`.
        reason: In words; never empty unless all went well.
        transient: For a failure: whether trying again may help (a lost connection, a lock).
        checks: Results of the checks that ran within the unit.
        seconds: Wall time of the work.
        rows: Rows written, where the engine tells.
        table_rows: Rows in the relation afterwards, where asking costs nothing.
        details: Further facts for people (`intervals`, `table`...), as strings or numbers.
    """

    unit: str
    outcome: Outcome
    reason: str = ""
    transient: bool = False
    checks: tuple[CheckResult, ...] = ()
    seconds: float = 0.0
    rows: int | None = None
    table_rows: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed_checks(self) -> tuple[CheckResult, ...]:
        """The blocking checks that did not pass."""
        return tuple(c for c in self.checks if c.blocking and not c.passed)


class Session(Protocol):
    """A framework's side of one run of one project.

    Every method is called from the walk's own thread. A session has threads or processes of its
    own for the work and answers a `start` by calling `done` once, from any thread.
    """

    @property
    def capacity(self) -> int:
        """Units that it can do at the same moment, at least 1."""

    @property
    def exclusive(self) -> frozenset[str]:
        """What only one session can hold at a time (`file:/data/x.duckdb`)."""

    def assess(self, nodes: Collection[str], checks: Collection[str]) -> Mapping[str, Readiness]:
        """What there is to do for the selected nodes; called once, before the run is planned."""

    def open(self, units: Sequence[Unit]) -> None:
        """Get ready for these units, which are all that `start` will name."""

    def start(self, unit: Unit, done: Callable[[Report], None]) -> None:
        """Begin a unit and return at once."""

    def cancel(self, unit: str) -> None:
        """End a running unit's statement; called again until the unit has reported."""

    def let_go(self) -> None:
        """Release what is exclusive; called when none of its units runs. `start` takes it again."""

    def close(self, *, completed: bool) -> None:
        """End the session and release everything. `completed`: the walk came to its end."""


class Inbox:
    """Where reports arrive, and the walk's clock; tests put virtual time in its place."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Report] = SimpleQueue()

    def put(self, report: Report) -> None:
        """Called by sessions, from any thread."""
        self._queue.put(report)

    def get(self, timeout: float | None) -> Report | None:
        """The next report; None after `timeout` seconds without one."""
        try:
            return self._queue.get(timeout=timeout)
        except Empty:
            return None

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        return monotonic()
