"""The nodes that the run has started and that are not answered yet, in the dbt process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from dagster_transform.dbt.protocol import Connected, ProtocolError, Start
from dagster_transform.dbt.unique_ids import UniqueId

_POLL = 0.1
"""Seconds between two looks whether a node that waits was cancelled."""


@dataclass(slots=True)
class NodeInProgress:
    """A node between its start and its result; see also `_compat_build.BuildNode`.

    Attributes:
        token: Of its start.
        node: Its unique id.
        refresh: Whether others may have made or dropped its relation since dbt looked.
        cancelled: Whether it is to end.
        made: Whether the database has committed its relation.
        error: The exception that ended it, if one did.
        batch_error: What went wrong in its first batch that failed; or "".
        connection_lost: Whether a batch has lost its connection. Another run may have ended its
            backend, because it builds there now: no further batch is begun.
        batches: Numbers for its batches in the order in which they end; dbt has several threads.
        ended: Set once, when it is answered.
        cancelling: Held while the node is cancelled: its thread does not go on to another node
            meanwhile, which would be cancelled in its place.
    """

    token: int
    node: UniqueId
    refresh: bool = False
    cancelled: bool = False
    made: bool = False
    error: BaseException | None = None
    batch_error: str = ""
    connection_lost: bool = False
    batches: Iterator[int] = field(default_factory=lambda: count(1))
    ended: threading.Event = field(default_factory=threading.Event)
    cancelling: threading.Lock = field(default_factory=threading.Lock)

    def end(self) -> bool:
        """Note that it has ended; False: that was known."""
        with self.cancelling:
            if self.ended.is_set():
                return False
            self.ended.set()
            return True


class NodesInProgress:
    """The nodes in progress, by unique id. Used from any thread.

    Attributes:
        permissions: Whether they may build, once they are connected.
    """

    def __init__(self) -> None:
        self.permissions = Permissions()
        self._nodes: dict[UniqueId, NodeInProgress] = {}
        self._lock = threading.Lock()

    def add(self, order: Start) -> NodeInProgress:
        """Begin with a node. Raises ProtocolError where it is in progress."""
        node = NodeInProgress(order.token, order.node, order.refresh)
        with self._lock:
            if order.node in self._nodes:
                raise ProtocolError(f"{order.node} is started, and not done yet.")
            self._nodes[order.node] = node
        return node

    def remove(self, node: NodeInProgress) -> None:
        """Forget a node that has ended."""
        with self._lock:
            self._nodes.pop(node.node, None)

    def find(self, node: UniqueId) -> NodeInProgress | None:
        """The node of a unique id; None: it is not in progress."""
        return self._nodes.get(node)

    def by_token(self, token: int) -> NodeInProgress | None:
        """The node of a token; None: it is not in progress."""
        return next((node for node in self.all() if node.token == token), None)

    def all(self) -> list[NodeInProgress]:
        """Those that there are at this moment."""
        with self._lock:
            return list(self._nodes.values())


class Permissions:
    """Whether nodes that have got a connection may build on it: the run is asked."""

    def __init__(self) -> None:
        self._answers: list[bool | None] = []  # by number
        self._changed = threading.Condition()

    def ask(self, node: NodeInProgress, say: Callable[[Connected], None]) -> bool:
        """Whether a node may go on; from any thread. One that is cancelled meanwhile may not.

        Args:
            node: The node.
            say: Asks.
        """
        with self._changed:
            number = len(self._answers)
            self._answers.append(None)
        say(Connected(node.token, number))
        with self._changed:
            while self._answers[number] is None and not node.cancelled:
                self._changed.wait(_POLL)
            return bool(self._answers[number]) and not node.cancelled

    def answer(self, number: int, *, allowed: bool) -> None:
        """The run has answered."""
        with self._changed:
            self._answers[number] = allowed
            self._changed.notify_all()
