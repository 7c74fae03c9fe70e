"""The dbt process of a run, as the run holds it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dagster_transform.dbt.protocol import (
    Begin,
    Ended,
    News,
    Order,
    decode_news,
    encode,
)
from dagster_transform.dbt.runs.memory_check import MemoryKills
from dagster_transform.dbt.runs.spawn import SpareProcess, spawn
from dagster_transform.errors import redact, words_of

ERRORS = "dbt.err"
"""The file of a process's standard error, in its folder."""

_TAIL = 2000  # characters of what it printed that are shown


class DbtProcess:
    """A process that is spoken with. Making one starts it, unless a spare one can be used.

    It is in a process group of its own: Ctrl-C in a terminal is the run's to hear, which then ends
    it in order.

    Args:
        begin: The first order.
        folder: An existing folder for its standard error, `dbt.err`.
        hear: Called with each news, on a thread of this object's own, in order.
        over: Called once after the last news, on the same thread, with why the process has ended:
            "" if it has said `Ended`.
        spare: A process that was started ahead.
    """

    def __init__(
        self,
        begin: Begin,
        folder: Path,
        hear: Callable[[News], None],
        over: Callable[[str], None],
        spare: SpareProcess | None = None,
    ) -> None:
        self._hear = hear
        self._on_over = over
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._killed = ""
        self._kills_before = MemoryKills()
        spawned = spawn(folder, folder / ERRORS, spare)
        self._process = spawned.process
        self._errors = spawned.errors
        self.send(begin)
        threading.Thread(target=self._listen, name=f"dbt {self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def over(self) -> bool:
        """Whether it has ended, and that was said."""
        return self._over.is_set()

    def send(self, order: Order) -> None:
        """Give it an order. A process that has ended gets none; that it has is said otherwise."""
        stdin = self._process.stdin
        with self._lock, suppress(OSError, ValueError):
            if stdin is not None:
                stdin.write(encode(order))
                stdin.flush()

    def wait(self, timeout: float | None) -> bool:
        """Wait until it has ended and that was said; False after `timeout` seconds."""
        return self._over.wait(timeout)

    def kill(self, why: str) -> None:
        """End it at once, with whatever it has started itself.

        Args:
            why: What is said of it then, after "this run has killed dbt's process".
        """
        self._killed = self._killed or why
        self._end_group()

    def _end_group(self) -> None:
        with suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def _listen(self) -> None:
        said = ""
        ended = False
        stdout = self._process.stdout
        try:
            for line in stdout or ():
                if not line.endswith(b"\n"):
                    break  # it was killed while it wrote
                news = decode_news(line)
                ended = ended or isinstance(news, Ended)
                self._hear(news)
        except Exception as error:  # noqa: BLE001 - somebody waits for what is not heard now
            said = words_of(error)
            self._end_group()
        status = self._process.wait()
        for pipe in (self._process.stdin, stdout):
            with self._lock, suppress(OSError):
                if pipe is not None:
                    pipe.close()
        if not ended:
            self._end_group()  # what it has started itself is still there
        why = "" if ended else said or self._why(status)
        self._errors.close()
        self._on_over(why)
        self._over.set()

    def _why(self, status: int | None) -> str:
        """Why a process has ended that has not said `Ended`; of a fork it may not be known."""
        if self._killed:
            return f"this run has killed dbt's process: {self._killed}"
        if status is None:
            return "dbt's process has ended, and the warm one that it was a fork of can't say how"
        if status < 0:
            name = signal.Signals(-status).name
            if name == "SIGKILL" and self._kills_before.have_come():
                return "the system killed dbt's process, because memory ran out"
            return f"dbt's process was killed by {name}, not by this run"
        with suppress(OSError):
            self._errors.seek(0)
            printed = redact(self._errors.read().decode(errors="replace").strip())
            if printed:
                return f"dbt's process ended with status {status}: {printed[-_TAIL:]}"
        return f"dbt's process ended with status {status}"
