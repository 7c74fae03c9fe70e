"""Threads that a session works with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic

Job = Callable[[], None]


class Workers:
    """A fixed number of daemon threads, started when first needed.

    Not a ThreadPoolExecutor: that one joins its threads when the interpreter ends, so a Python
    model that never returns would keep a cancelled run alive. And the threads stay the same from
    unit to unit, because SQLMesh keeps one connection for each thread.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, job: Job) -> None:
        """Do `job` on a thread. A job must not raise."""
        if len(self._threads) < self._count:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put(job)

    def stop(self, timeout: float) -> bool:
        """End the threads once they are idle; False if one did not end within `timeout` seconds."""
        for _ in self._threads:
            self._jobs.put(None)
        until = monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))
        alive = [t for t in self._threads if t.is_alive()]
        self._threads.clear()
        return not alive

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
