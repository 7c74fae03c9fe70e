"""The batches of one node, which one or several threads take one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.runs.failures import Cancelled
from dagster_transform.sqlmesh.runs.shared_work import SharedWork
from dagster_transform.sqlmesh.state.work import Work
from dagster_transform.walk import CheckResult


@dataclass(frozen=True, slots=True)
class BuiltBatch:
    """A batch whose data is in the table.

    Attributes:
        checks: Results of its blocking audits.
        rows: Rows written, where the engine reports them.
        recorded: Whether the state has its interval now; not where a blocking audit has failed.
    """

    checks: list[CheckResult]
    rows: int | None
    recorded: bool


class Batches:
    """Builds what is still to be built of one node.

    SQLMesh starts batch i when batch i - batch_concurrency is done; taking them in order with as
    many threads is the same bound.

    Args:
        work: What there is to do; its `recorded` gets every batch that is in the state.
        build: Builds a batch, by its number.
        is_cancelled: Whether to stop before the next batch.
        failed: Called with an error, on the thread on which it happened.
        progressed: Told how many batches are recorded, and the one that was recorded last.
    """

    def __init__(
        self,
        work: Work,
        build: Callable[[int], BuiltBatch],
        is_cancelled: Callable[[], bool],
        failed: Callable[[BaseException], None],
        progressed: Callable[[int, Interval], None],
    ) -> None:
        self._work = work
        self._build_batch = build
        self._is_cancelled = is_cancelled
        self._failed = failed
        self._progressed = progressed
        todo = [i for i in range(len(work.batches)) if i not in work.recorded]
        self._shared = SharedWork(todo, self._build, self._after_error)
        self._built: dict[int, BuiltBatch] = {}
        self._lock = threading.Lock()

    @property
    def at_once(self) -> int:
        """How many batches may be built at the same moment, at least 1."""
        todo = len(self._shared)
        return max(1, min(todo, concurrency(self._work.snapshot) or todo))

    @property
    def built(self) -> Mapping[int, BuiltBatch]:
        """What was built, by number and in their order."""
        return dict(sorted(self._built.items()))

    def do(self) -> None:
        """Build batches until there are none, then wait for those of the other threads.

        Raises:
            Exception: The first error of any thread.
        """
        self._shared.do()

    def help_out(self) -> None:
        """Build batches until there are none."""
        self._shared.help_out()

    def _build(self, index: int) -> None:
        if self._is_cancelled():
            raise Cancelled
        built = self._build_batch(index)
        with self._lock:
            self._built[index] = built
            if built.recorded:
                self._work.recorded.add(index)
                self._progressed(len(self._work.recorded), self._work.batches[index])
        if not built.recorded:
            self._leave_out_the_rest()

    def _after_error(self, error: BaseException) -> None:
        self._failed(error)
        self._leave_out_the_rest()

    def _leave_out_the_rest(self) -> None:
        """After a batch that failed: as in SQLMesh, batches that need not wait for one another go
        on without it, others don't."""
        if concurrency(self._work.snapshot) is not None:
            self._shared.leave_out_the_rest()


def concurrency(snapshot: Any) -> int | None:
    """Batches at the same moment that SQLMesh allows; None: any number (`Scheduler._dag`)."""
    found: int | None = 1 if snapshot.depends_on_past else snapshot.node.batch_concurrency
    return found
