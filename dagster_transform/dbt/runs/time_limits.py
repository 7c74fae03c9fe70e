"""The time limits of a dbt process's nodes, and the end of a process that nothing else can end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from time import monotonic

from dagster_transform.dbt.runs.process import DbtProcess
from dagster_transform.dbt.runs.settings import ProcessLimits
from dagster_transform.dbt.runs.started_nodes import StartedNode, StartedNodes

_POLL = 0.2


class TimeLimits:
    """Cancels nodes that take too long; kills a process none of whose nodes can be cancelled.

    Args:
        limits: What nodes and process may take.
        process: The process.
        nodes: What was started in it.
        cancel: Cancels a node by its token; given the limit that ends it, in words.
        log: Called with level and text.
    """

    def __init__(
        self,
        limits: ProcessLimits,
        process: DbtProcess,
        nodes: StartedNodes,
        cancel: Callable[[int, str], None],
        log: Callable[[str, str], None],
    ) -> None:
        self._limits = limits
        self._process = process
        self._nodes = nodes
        self._cancel = cancel
        self._log = log
        self._run_ends: float | None = None
        self._watching = False
        self._lock = threading.Lock()

    def begin_run(self) -> None:
        """Count the time of the run from now."""
        if self._limits.run_timeout is not None:
            self._run_ends = monotonic() + self._limits.run_timeout

    def run_timed_out(self) -> str:
        """The run's limit in words, if it is over; else ""."""
        if self._run_ends is None or monotonic() <= self._run_ends:
            return ""
        return f"the run took longer than {self._limits.run_timeout:g} s"

    def watch_started(self) -> None:
        """Watch the limits, where there are any, from the first node on."""
        if self._limits.node_timeout is not None or self._run_ends is not None:
            self.watch()

    def watch(self) -> None:
        """Watch the limits and what is cancelled, on a thread of this object's own, until the
        process has ended; once, later calls do nothing."""
        with self._lock:
            if self._watching:
                return
            self._watching = True
        threading.Thread(target=self._watch, name="dbt limits", daemon=True).start()

    def _watch(self) -> None:
        timeout = self._limits.node_timeout
        while not self._process.wait(_POLL):
            nodes, now = self._nodes.by_token(), monotonic()
            run_timed_out = self.run_timed_out()
            for token, started in nodes.items():
                if run_timed_out:
                    self._cancel(token, run_timed_out)
                elif timeout is not None and now > started.began + timeout:
                    self._cancel(token, f"it took longer than {timeout:g} s")
            if run_timed_out:
                self._nodes.give_up_measured(run_timed_out)
            # Python code without SQL hears no cancel. Where others are at work it may go on.
            if nodes and self._all_stuck(nodes.values(), now):
                names = ", ".join(sorted(started.node for started in nodes.values()))
                self._log("error", f"dbt's process is killed: {names} can't be cancelled")
                self._process.kill(
                    f"{names} could not be cancelled within {self._limits.grace:g} s"
                )

    def _all_stuck(self, nodes: Collection[StartedNode], now: float) -> bool:
        grace = self._limits.grace
        return all(n.cancelled_at is not None and now > n.cancelled_at + grace for n in nodes)
