"""What was started in a dbt process and is not answered yet, as the run sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic

from dagster_transform.dbt.protocol import BatchDone, Measured, Result
from dagster_transform.dbt.unique_ids import UniqueId


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of what was started.

    Attributes:
        result: What dbt says, or None if its process had ended before it could say anything.
        lost: Why there is no result; or "".
        made: Whether the database has committed its relation.
        cancelled: Whether the run has asked to cancel it.
        timed_out: The time limit that has ended it, in words; or "".
    """

    result: Result | None
    lost: str = ""
    made: bool = False
    cancelled: bool = False
    timed_out: str = ""


@dataclass(slots=True)
class StartedNode:
    """A node between its start and its answer.

    Attributes:
        node: Its unique id.
        answer: Called once.
        measured: Called once where its result says that this follows.
        progressed: Called for each of its batches that ends.
        held: Whether it is still the run's to build; asked whenever it has got a connection.
        began: When it was started; on the clock of `monotonic`, as all moments here.
        cancelled_at: When it was cancelled, by whom ever; None: it was not.
        cancelled, timed_out, made: As of `Answer`.
    """

    node: UniqueId
    answer: Callable[[Answer], None]
    measured: Callable[[Measured], None]
    progressed: Callable[[BatchDone], None]
    held: Callable[[], bool]
    began: float
    cancelled_at: float | None = None
    cancelled: bool = False
    timed_out: str = ""
    made: bool = False


class StartedNodes:
    """The nodes that were started, by token, until each is answered: exactly once.

    Used from any thread; the callbacks are called on the thread that brings the answer.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, StartedNode] = {}
        self._awaited: dict[int, Callable[[Measured], None]] = {}
        self._tokens = 0
        self._first_cancel: float | None = None
        self._lost = ""
        self._lock = threading.Lock()

    @property
    def first_cancel(self) -> float | None:
        """When one was cancelled for the first time; None: not yet."""
        return self._first_cancel

    def by_token(self) -> dict[int, StartedNode]:
        """Those that are not answered at this moment; others may change them meanwhile."""
        with self._lock:
            return dict(self._nodes)

    def add(
        self,
        node: UniqueId,
        answer: Callable[[Answer], None],
        measured: Callable[[Measured], None],
        progressed: Callable[[BatchDone], None] = lambda _: None,
        held: Callable[[], bool] = lambda: True,
        *,
        timed_out: str = "",
    ) -> int | None:
        """Expect an answer for a node.

        Args:
            node: Its unique id.
            answer: Called once.
            measured: Called once where its result says that this follows.
            progressed: Called for each of its batches that ends.
            held: Whether it is still the run's to build; from any thread.
            timed_out: The time limit that was over before it could be started, in words; or "".

        Returns:
            Its token; None: it can't be started any more, and was answered.
        """
        with self._lock:
            lost = self._lost
            if not lost and not timed_out:
                self._tokens += 1
                self._nodes[self._tokens] = StartedNode(
                    node, answer, measured, progressed, held, monotonic()
                )
                return self._tokens
        answer(Answer(None, lost=lost) if lost else Answer(None, timed_out=timed_out))
        return None

    def cancel(self, token: int, timed_out: str = "") -> bool:
        """Note that a node is cancelled.

        Args:
            token: Its token.
            timed_out: The time limit that ends it, in words; "": the run wants it.

        Returns:
            Whether that was not known: it is neither answered nor was it cancelled before.
        """
        with self._lock:
            started = self._nodes.get(token)
            if started is None:
                return False
            started.cancelled = started.cancelled or not timed_out
            started.timed_out = started.timed_out or timed_out
            if started.cancelled_at is not None:
                return False
            started.cancelled_at = monotonic()
            self._first_cancel = self._first_cancel or started.cancelled_at
            return True

    def may_build(self, token: int) -> bool:
        """Whether a node that has got a connection may build: it is neither cancelled nor
        answered, and the run's."""
        with self._lock:
            started = self._nodes.get(token)
        return started is not None and started.cancelled_at is None and started.held()

    def note_made(self, token: int) -> None:
        """Note that the database has committed the relation of a node."""
        with self._lock:
            if started := self._nodes.get(token):
                started.made = True

    def tell_progress(self, batch: BatchDone) -> None:
        """Pass on that a batch of a node has ended."""
        with self._lock:
            started = self._nodes.get(batch.token)
        if started is not None:
            started.progressed(batch)

    def answer(self, result: Result) -> None:
        """Answer a node with dbt's result."""
        with self._lock:
            started = self._nodes.pop(result.token, None)
            if started is not None and result.measured_follows:
                self._awaited[result.token] = started.measured
        if started is not None:
            started.answer(replace(_answer(started), result=result, made=result.made))

    def answer_measured(self, measured: Measured) -> None:
        """Pass on what was found out of a relation that was built."""
        with self._lock:
            awaiting = self._awaited.pop(measured.token, None)
        if awaiting is not None:
            awaiting(measured)

    def lose(self, reason: str) -> None:
        """Answer all that there are, and all that will be added: their process has ended."""
        with self._lock:
            self._lost = reason
            lost = list(self._nodes.values())
            self._nodes.clear()
        for started in lost:
            started.answer(replace(_answer(started), lost=reason))
        self.give_up_measured(reason)

    def give_up_measured(self, reason: str) -> None:
        """Pass on that nothing more is found out of what was built until now."""
        with self._lock:
            awaited = dict(self._awaited)
            self._awaited.clear()
        for token, measured in awaited.items():
            measured(Measured(token, problem=reason))


def _answer(started: StartedNode) -> Answer:
    return Answer(None, "", started.made, started.cancelled, started.timed_out)
