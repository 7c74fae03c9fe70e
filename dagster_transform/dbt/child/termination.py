"""The end of the dbt process that the run has not ordered, or does not wait for: a signal, an
interrupt, the death of the run's process; by force once the grace is over."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dagster_transform.dbt.child.cancelling import POLL

_STUCK = 3
"""Exit status of a process that could not end by itself."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Termination:
    """Ends this process.

    Args:
        grace: Seconds in which it has to end by itself.
        abandon: Called first: what is in progress is to end, and nothing more begins.
        cancel: Cancels once what the database executes; False: there is nothing, nor will there be.
        end_backends: Ends this process's backends on the server, before it ends by force.

    Attributes:
        interrupted: Whether it ends without the on-run-end hooks.
        reason: Why it ends, if the run has not ordered it; else "".
    """

    def __init__(
        self,
        grace: float,
        abandon: Callable[[], None],
        cancel: Callable[[], bool],
        end_backends: Callable[[], None],
    ) -> None:
        self.interrupted = False
        self.reason = ""
        self._grace = grace
        self._abandon = abandon
        self._cancel = cancel
        self._end_backends = end_backends

    def hear_signals(self) -> None:
        """Let SIGINT and SIGTERM end it; on its main thread."""
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def begin(self, reason: str) -> None:
        """Cancel everything, and interrupt the main thread; by force after the grace.

        Args:
            reason: Why; "": the run has ordered it.
        """
        self.interrupted = True
        self.reason = self.reason or reason
        self._abandon()
        force = threading.Timer(self._grace, self._end_by_force)
        force.daemon = True
        force.start()
        # The main thread hears a signal only between two statements: hooks run on it.
        threading.Thread(target=self._cancel_all, name="cancel all", daemon=True).start()
        os.kill(os.getpid(), signal.SIGINT)

    def _on_signal(self, number: int, _: Any) -> None:
        # Once: dbt cancels what it does when it is interrupted, and must not be interrupted there.
        ignore_signals()
        if not self.interrupted:
            self.reason = f"dbt's process was told to end ({signal.Signals(number).name})"
        raise KeyboardInterrupt

    def _cancel_all(self) -> None:
        wait = threading.Event()
        while self._cancel():
            wait.wait(POLL)

    def _end_by_force(self) -> None:
        with suppress(Exception):
            self._end_backends()
        os._exit(_STUCK)


def ignore_signals() -> None:
    """Let SIGINT and SIGTERM do nothing any more; on the main thread."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
