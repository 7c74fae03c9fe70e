"""What the dbt process finds out of a relation once it is built: its rows and its columns.

On threads and connections of its own, so that neither the next node nor a descendant waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dagster_transform.dbt import _compat_database
from dagster_transform.dbt.protocol import Facts

_THREADS = 4


class Measuring:
    """Finds out facts of nodes, each told once.

    Args:
        wanted: What `Begin.facts` names.
        say: Called with the facts of a node, on a thread of this object's own.
    """

    def __init__(self, wanted: Collection[str], say: Callable[[Facts], None]) -> None:
        self._wanted = frozenset(wanted)
        self._say = say
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="facts")
        self._under_way: dict[int, str] = {}  # by token: the name of its connection
        self._closed = False
        self._changed = threading.Condition()

    def wants(self, build: Any, node: str) -> bool:
        """Whether there is something to find out of a node that was built."""
        if not self._wanted or self._closed or not _compat_database.is_relation(build, node):
            return False
        return "columns" in self._wanted or not _compat_database.is_view(build, node)

    def begin(self, build: Any, token: int, node: str) -> None:
        """Find out what is wanted of a node, and return at once."""
        with self._changed:
            self._under_way[token] = f"facts of {node}"
        self._pool.submit(self._measure, build, token, node)

    def drain(self, patience: float) -> bool:
        """Wait until nothing is under way; False after `patience` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._under_way, patience)

    def connections(self) -> list[str]:
        """Names of the connections on which something is under way."""
        with self._changed:
            return list(self._under_way.values())

    def close(self) -> None:
        """Tell nothing any more, and begin nothing."""
        with self._changed:
            self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _measure(self, build: Any, token: int, node: str) -> None:
        rows: int | None = None
        columns: dict[str, str] = {}
        problem = ""
        try:
            if not self._closed:
                with _compat_database.own_connection(build, f"facts of {node}"):
                    if "columns" in self._wanted:
                        columns = _compat_database.columns_of(build, node)
                    if "row_counts" in self._wanted and not _compat_database.is_view(build, node):
                        rows = _compat_database.count_rows(build, node)
        except BaseException as error:  # noqa: BLE001 - the node is built, whatever this raises
            problem = str(error) or type(error).__name__
        with self._changed:
            if not self._closed:
                self._say(Facts(token, rows, columns, problem))
            del self._under_way[token]
            self._changed.notify_all()
