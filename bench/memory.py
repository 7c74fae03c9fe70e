"""How much memory a process and all that it starts have at their peak, looked at from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

EVERY = 0.5
"""Seconds. A look takes a millisecond for each 70 MB; a peak that is shorter may be missed."""


class Watched:
    """Looks at a process and its descendants until it is told to stop.

    What processes share is counted once (their proportional set sizes are added up), so that forks
    are not counted for what they have not written. Without Linux's /proc nothing is found.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The peak so far in MB; 0 where it can't be found out."""
        self._stop.set()
        self._thread.join()
        return self._peak >> 20

    def _look(self) -> None:
        while not self._stop.wait(EVERY):
            self._peak = max(self._peak, sum(map(_share, tree(self._pid))))


def tree(pid: int) -> Iterator[int]:
    """A process and its descendants, as far as they are there."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started = children.read_text(encoding="ascii").split()
        except OSError:  # the thread has ended
            continue
        for child in started:
            yield from tree(int(child))


def _share(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # the process has ended
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
