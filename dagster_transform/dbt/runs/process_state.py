"""What is known of a dbt process: how far it has come, and why it has ended."""

from __future__ import annotations

import threading

from dagster_transform.dbt.protocol import Ended, FilesClosed, Loaded, Ready
from dagster_transform.errors import redact


class ProcessState:
    """How far a dbt process has come. One thread notes what it says, others wait for it."""

    def __init__(self) -> None:
        self._loaded: Loaded | None = None
        self._ready: Ready | None = None
        self._ended: Ended | None = None
        self._times_closed = 0
        self._over = ""
        self._changed = threading.Condition()

    @property
    def loaded(self) -> Loaded | None:
        """What it says of the project, if it has come to that."""
        return self._loaded

    @property
    def ready(self) -> Ready | None:
        """What it says after the on-run-start hooks, if it has come to that."""
        return self._ready

    @property
    def ended(self) -> Ended | None:
        """Its last news, if it could still say them."""
        return self._ended

    @property
    def times_closed(self) -> int:
        """How often it has closed the database's files."""
        return self._times_closed

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return bool(self._over)

    @property
    def reason(self) -> str:
        """Why it has ended, without passwords."""
        said = self._ended.reason if self._ended is not None else ""
        return redact(said or self._over)

    def note(self, news: Loaded | Ready | FilesClosed | Ended) -> None:
        """Note what it says of itself."""
        with self._changed:
            match news:
                case Loaded():
                    self._loaded = news
                case Ready():
                    self._ready = news
                case FilesClosed():
                    self._times_closed += 1
                case Ended():
                    self._ended = news
            self._changed.notify_all()

    def end(self, reason: str) -> None:
        """Note that it has ended; `reason`: why, if it has not said so itself."""
        with self._changed:
            self._over = reason or "dbt's invocation is over"
            self._changed.notify_all()

    def wait_until_loaded(self) -> Loaded | None:
        """What it says of the project, once it has loaded it; None: it has ended before."""
        with self._changed:
            self._changed.wait_for(lambda: self._loaded is not None or self.is_over)
            return self._loaded

    def wait_until_ready(self) -> Ready | None:
        """What it says after the on-run-start hooks; None: it has ended before."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready is not None or self.is_over)
            return self._ready

    def wait_until_closed(self, times: int, timeout: float) -> bool:
        """Wait until it has closed the database's files so often, or ended; False after `timeout`
        seconds."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._times_closed >= times or self.is_over, timeout
            )

    def wait_until_over(self) -> Ended | None:
        """Its last news, once it has ended; None: it could not say any."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_over)
            return self._ended
