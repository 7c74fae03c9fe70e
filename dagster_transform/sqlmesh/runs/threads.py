"""The threads of a run: which of them does which unit, and which units are cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from time import monotonic

from dagster_transform.graph import UnitId

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


class UnitThreads:
    """Threads that do the units of a run, one or several of them the same unit.

    Args:
        count: How many threads there are.
        name: What they are called.
        end_statements: Given a thread's ident: ends what it executes on a database, if it does.
    """

    def __init__(self, count: int, name: str, end_statements: Callable[[int], None]) -> None:
        self._workers = Workers(count, name)
        self._end_statements = end_statements
        self._idents: dict[UnitId, set[int]] = {}
        self._cancelled: set[UnitId] = set()

    def submit(self, job: Job) -> None:
        """Do `job`, which begins by saying which unit it does, on a thread. It must not raise."""
        self._workers.submit(job)

    @contextmanager
    def doing(self, unit: UnitId) -> Iterator[None]:
        """The calling thread does a unit; when it leaves, the unit has ended on all threads."""
        self._idents.setdefault(unit, set()).add(threading.get_ident())
        try:
            yield
        finally:
            self._idents.pop(unit, None)

    def help_with(self, unit: UnitId, job: Job, failed: Callable[[BaseException], None]) -> None:
        """Have another thread, once one is free, do a part of a unit that has not ended by then.

        Args:
            unit: The unit's id.
            job: The part; whoever does the unit does it too, should this thread fail.
            failed: Called with an error of the job, on the thread on which it happened.
        """

        def help_out() -> None:
            ident, idents = threading.get_ident(), self._idents.get(unit)
            if idents is None:
                return
            idents.add(ident)
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the others do its part
                failed(error)
            finally:
                idents.discard(ident)

        self._workers.submit(help_out)

    def cancel(self, unit: UnitId) -> None:
        """End the unit's statements, and remember that no further one of it is to begin."""
        self._cancelled.add(unit)
        for ident in tuple(self._idents.get(unit, ())):
            self._end_statements(ident)

    def is_cancelled(self, unit: UnitId) -> bool:
        """Whether `cancel` was called for the unit."""
        return unit in self._cancelled

    def stop(self, timeout: float) -> None:
        """Cancel what still runs and end the threads.

        Args:
            timeout: Seconds that idle threads have to end.
        """
        # A statement that still runs holds its connection, and closing that would wait for it.
        for unit in tuple(self._idents):
            self.cancel(unit)
        self._workers.stop(timeout)
