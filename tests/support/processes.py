"""Processes that a test starts, stops, kills and looks for."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil


def alive(pid: int) -> bool:
    """Whether a process is there; one that has ended and was not waited for is not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class Child:
    """A forked process. It must open its connections itself, and leaves without cleaning up."""

    pid: int

    def wait(self) -> int:
        """Its exit code; below zero: the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def is_stopped(self) -> bool:
        """Whether it has stopped by now; waits for that."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        return os.WIFSTOPPED(status)

    def send(self, what: signal.Signals) -> None:
        """Nothing where it has been waited for: the id may be another process's by now."""
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            os.kill(self.pid, what)


def fork(work: Callable[[], None]) -> Child:
    """Do `work` in a process of its own; its exit code is 1 if that raises."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return Child(pid)
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the parent learns it from the exit code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
    return Child(0)


def signal_at(point: str, what: signal.Signals) -> Callable[[str], None]:
    """Hook of a store: the process sends itself a signal at the first pass of a point."""
    passed = []

    def at(here: str) -> None:
        if here == point and not passed:
            passed.append(here)
            os.kill(os.getpid(), what)

    return at
