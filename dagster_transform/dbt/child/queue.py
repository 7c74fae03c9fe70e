"""The queue that stands in the place of dbt's own: no graph, and the run says what comes next.

dbt's main thread asks `empty`, then `get`, and gives the node to its thread pool; the pool's
threads say `mark_done`. dbt's own queue answers from the graph; this one from what was put in.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from dagster_transform.dbt.unique_ids import UniqueId

NodeT = TypeVar("NodeT")
"""dbt's node."""


class RunQueue(Generic[NodeT]):
    """Nodes to do, in the order in which they were put in.

    Args:
        selected: Unique ids of all nodes that may be put in.
        find: The node of a unique id.
        ready: Called once, when dbt asks for a node for the first time: by then it is connected,
            and its on-run-start hooks were carried out.

    Attributes:
        in_progress: Unique ids of the nodes that dbt does right now.
        in_progress_microbatch: dbt reads it; here it is always empty, because the run limits what
            goes on at the same moment.
    """

    def __init__(
        self,
        selected: Collection[UniqueId],
        find: Callable[[UniqueId], NodeT],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.in_progress: set[UniqueId] = set()
        self.in_progress_microbatch: set[UniqueId] = set()
        self._selected = frozenset(selected)
        self._find = find
        self._ready: Callable[[], None] | None = ready
        self._waiting: deque[UniqueId] = deque()
        self._ended = False
        self._changed = threading.Condition()

    # -- the run's side -------------------------------------------------------------------------

    def put(self, node: UniqueId, patience: float = 5.0) -> bool:
        """Let dbt do a node; False after `end`.

        A node that is tried again may be put in a moment before dbt says that it is done: its
        result comes first. So that is waited for, up to `patience` seconds.

        Raises:
            ValueError: It is not selected, or it is not done yet since it was last put in.
        """
        with self._changed:
            if node not in self._selected:
                raise ValueError(f"{node} is not selected")
            if node in self._waiting or not self._changed.wait_for(
                lambda: node not in self.in_progress, patience
            ):
                raise ValueError(f"{node} is not done yet")
            if self._ended:
                return False
            self._waiting.append(node)
            self._changed.notify_all()
            return True

    def take_back(self, node: UniqueId) -> bool:
        """Forget a node that dbt has not got yet; False if it has."""
        with self._changed:
            if node not in self._waiting:
                return False
            self._waiting.remove(node)
            return True

    def end(self) -> None:
        """Nothing will be put in any more. What was, is still done."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    # -- dbt's side -----------------------------------------------------------------------------

    def empty(self) -> bool:
        """Wait until there is a node (False), or until there will be none (True)."""
        ready, self._ready = self._ready, None
        if ready is not None:
            ready()
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            return not self._waiting

    def get(self) -> NodeT:
        """The next node. Call `empty` first: it waits, this does not.

        Raises:
            IndexError: There is none.
        """
        with self._changed:
            node = self._waiting.popleft()
            self.in_progress.add(node)
        return self._find(node)

    def mark_done(self, node: UniqueId) -> None:
        """A node has ended. A second time, or of a node that was not given out: nothing."""
        with self._changed:
            self.in_progress.discard(node)
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until nothing is in progress."""
        with self._changed:
            self._changed.wait_for(lambda: not self.in_progress)

    def get_selected_nodes(self) -> set[UniqueId]:
        """Unique ids of all nodes that may be put in."""
        return set(self._selected)

    def __len__(self) -> int:
        return len(self._waiting)
