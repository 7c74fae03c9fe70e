"""One dbt invocation, as the run sees it: nodes are started, and each is answered exactly once.

Whatever becomes of the process (it ends too early, it is killed, it hangs), what was started is
answered, and nothing of it is left: neither a process nor a statement on a server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any

from dagster_transform.databases.backends import new_name
from dagster_transform.dbt.errors import DbtRunError
from dagster_transform.dbt.protocol import (
    Begin,
    Cancel,
    End,
    Ended,
    Facts,
    Gone,
    Interrupt,
    LetGo,
    Loaded,
    Log,
    Made,
    News,
    Open,
    Ready,
    Result,
    Start,
)
from dagster_transform.dbt.runs.flight import Answer, Flight
from dagster_transform.dbt.runs.memory import wait_for_memory
from dagster_transform.dbt.runs.process import DbtProcess
from dagster_transform.dbt.runs.settings import DbtSettings, arguments
from dagster_transform.dbt.sweep import end_backends
from dagster_transform.errors import redact

_LET_GO_TIMEOUT = 30.0
_WATCH = 0.2
_SOON = 2.0
"""Seconds that a process gets at least to end by itself, and after its own grace."""


class DbtInvocation:
    """A `dbt build` in a process of its own.

    Args:
        project: The project's name in transform.yaml, for messages.
        settings: What the run asks for.
        log: Called with level (`info`, `warn`, `error`) and text of what dbt says beyond results,
            on a thread of this object's own.

    Attributes:
        began: When it was made, in UTC.
        session: The name of its sessions on a database server (`backends.new_name`).
        entries: What run_results.json will say of each node, by unique id; whoever hears the
            answers writes it.
    """

    def __init__(
        self, project: str, settings: DbtSettings, log: Callable[[str, str], None]
    ) -> None:
        self.began = datetime.now(timezone.utc)
        self.session = new_name()
        self.entries: dict[str, dict[str, Any]] = {}
        self._project = project
        self._settings = settings
        self._log = log
        self._process: DbtProcess | None = None
        self._loaded: Loaded | None = None
        self._ready: Ready | None = None
        self._ended: Ended | None = None
        self._gone = ""  # why the process is gone; set before anybody is told
        self._flights: dict[int, Flight] = {}
        self._due: dict[int, Callable[[Facts], None]] = {}  # who waits for facts of what was built
        self._tokens = 0
        self._let_go = 0  # how often the process has let go
        self._opened: float | None = None
        self._cancelled_at: float | None = None
        self._watching = False
        self._changed = threading.Condition()

    # -- beginning ------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the process, which loads the project; returns at once. Later calls do nothing.

        Raises:
            OutOfMemoryError: There was too little memory, for longer than the settings wait.
        """
        if self._process is not None:
            return
        settings = self._settings
        wait_for_memory(self._project, settings.memory, settings.memory_wait)
        settings.run_folder.mkdir(parents=True, exist_ok=True)
        folder = str(settings.folder)
        begin = Begin(arguments(settings), folder, self.session, settings.grace, settings.facts)
        self._process = DbtProcess(begin, settings.run_folder, self._hear, self._lose)

    def loaded(self) -> Loaded:
        """What the process says of the project; waits until it has loaded it.

        Raises:
            DbtRunError: It could not.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._loaded is not None or self._is_over())
            if self._loaded is None:
                raise self._early("can't be loaded")
            return self._loaded

    def open(self, nodes: Collection[str]) -> set[str]:
        """Connect and carry out the on-run-start hooks; once, later calls only look.

        Args:
            nodes: Unique ids of all that will be started.

        Returns:
            Those of them that the project does not have.

        Raises:
            DbtRunError: dbt ended instead.
        """
        self.loaded()
        if self._opened is None:
            self._opened = monotonic()
            self._send(Open(tuple(sorted(nodes))))
        with self._changed:
            self._changed.wait_for(lambda: self._ready is not None or self._is_over())
            if self._ready is None:
                raise self._early("can't begin its run")
            return set(self._ready.missing) & set(nodes)

    @property
    def id(self) -> str:
        """The id that dbt gives it; "" before the project is loaded."""
        return self._loaded.invocation if self._loaded is not None else ""

    @property
    def folder(self) -> Path:
        """Where its artifacts go."""
        return self._settings.run_folder

    @property
    def last_loaded(self) -> Loaded | None:
        """What the process says of the project, if it came to that; does not wait."""
        return self._loaded

    @property
    def opened(self) -> bool:
        """Whether the on-run-start hooks were carried out or begun."""
        return self._opened is not None

    # -- nodes ----------------------------------------------------------------------------------

    def start(
        self,
        node: str,
        answer: Callable[[Answer], None],
        learn: Callable[[Facts], None] = lambda _: None,
        *,
        again: bool = False,
    ) -> int:
        """Begin a node and return at once.

        Args:
            node: Its unique id.
            answer: Called once, from another thread or, if dbt is gone, from this one.
            learn: Called once after a result that says that there is more, likewise.
            again: Whether others may have made or dropped its relation since dbt looked.

        Returns:
            What `cancel` wants to know.
        """
        limit = self._run_limit()
        late = limit is not None and monotonic() > limit
        with self._changed:
            self._tokens += 1
            token = self._tokens
            over = self._is_over()
            if not over and not late:
                self._flights[token] = Flight(node, answer, learn, monotonic())
        if over:
            answer(Answer(None, lost=self._why()))
        elif late:
            answer(Answer(None, late=self._too_long_for_run()))
        else:
            self._send(Start(token, node, again))
            if self._settings.node_timeout is not None or limit is not None:
                self._watch()
        return token

    def cancel(self, token: int, late: str = "") -> None:
        """End what was started; `late`: the time limit that ends it. Again, it does nothing."""
        with self._changed:
            flight = self._flights.get(token)
            if flight is None:
                return
            flight.cancelled = flight.cancelled or not late
            flight.late = flight.late or late
            if flight.cancelled_at is not None:
                return
            flight.cancelled_at = monotonic()
            self._cancelled_at = self._cancelled_at or flight.cancelled_at
        self._send(Cancel(token))
        self._watch()

    def let_go(self) -> None:
        """Have the database closed; the next start opens it again.

        Raises:
            DbtRunError: That took too long.
        """
        if self._ready is None or self._is_over():
            return
        with self._changed:
            before = self._let_go
        self._send(LetGo())
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._let_go > before or self._is_over(), _LET_GO_TIMEOUT
            ):
                raise DbtRunError(
                    f"Project {self._project}: dbt did not close its database within"
                    f" {_LET_GO_TIMEOUT:g} s."
                )

    # -- ending ---------------------------------------------------------------------------------

    def end(self) -> tuple[str, ...]:
        """Carry out the on-run-end hooks and end.

        Returns:
            The on-run-start and on-run-end hooks that failed, in dbt's words.

        Raises:
            DbtRunError: dbt ended otherwise.
        """
        self._send(End())
        with self._changed:
            self._changed.wait_for(self._is_over)
        if self._ended is None or self._ended.reason:
            raise self._early("can't end its run")
        return self._ended.hooks

    def stop(self) -> None:
        """End at once: dbt is interrupted, then killed; then its sessions on the server are ended.

        The grace counts from the first cancel: whoever stops may have waited already.
        """
        if self._process is None or self._process.over:
            return
        since = self._cancelled_at
        waited = 0.0 if since is None else monotonic() - since
        self._send(Interrupt())
        if not self._process.wait(max(_SOON, self._settings.grace - waited)):
            self._process.kill()
            self._process.wait(self._settings.grace + _SOON)

    # -- on the process's thread ----------------------------------------------------------------

    def _hear(self, news: News) -> None:
        match news:
            case Log():
                with suppress(Exception):  # a log that can't be written ends nothing
                    self._log(news.level, redact(news.text))
                return
            case Result():
                with self._changed:
                    flight = self._flights.pop(news.token, None)
                    if flight is not None and news.more:
                        self._due[news.token] = flight.learn
                if flight is not None:
                    flight.answer(
                        Answer(
                            news,
                            made=news.made,
                            cancelled=flight.cancelled,
                            late=flight.late,
                        )
                    )
                return
            case Facts():
                with self._changed:
                    learn = self._due.pop(news.token, None)
                if learn is not None:
                    learn(news)
                return
        with self._changed:
            match news:
                case Loaded():
                    self._loaded = news
                case Ready():
                    self._ready = news
                case Made():
                    if flight := self._flights.get(news.token):
                        flight.made = True
                case Gone():
                    self._let_go += 1
                case Ended():
                    self._ended = news
            self._changed.notify_all()

    def _lose(self, reason: str) -> None:
        """The process is gone: nothing of it may be left, and nobody may wait for it."""
        if reason and self._loaded is not None:
            try:
                end_backends(self._loaded.server)
            except Exception as error:  # noqa: BLE001 - drivers raise what they like
                text = redact(str(error)).strip()
                self._log("warn", f"dbt's sessions on the server could not be ended: {text}")
        with self._changed:
            self._gone = reason or "dbt's invocation is over"
            flights = list(self._flights.values())
            self._flights.clear()
            self._changed.notify_all()
        for flight in flights:
            lost = Answer(None, self._why(), flight.made, flight.cancelled, flight.late)
            flight.answer(lost)
        self._give_up_facts(self._why())

    def _give_up_facts(self, reason: str) -> None:
        with self._changed:
            due = dict(self._due)
            self._due.clear()
        for token, learn in due.items():
            learn(Facts(token, problem=reason))

    # -- limits ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        with self._changed:
            if self._watching:
                return
            self._watching = True
        threading.Thread(target=self._keep_limits, name="dbt limits", daemon=True).start()

    def _keep_limits(self) -> None:
        """Cancel what takes too long, and end a process that nothing else can end."""
        run_limit = self._run_limit()
        while self._process is not None and not self._process.wait(_WATCH):
            now = monotonic()
            with self._changed:
                flights = dict(self._flights)
            timeout = self._settings.node_timeout
            for token, flight in flights.items():
                if run_limit is not None and now > run_limit:
                    self.cancel(token, self._too_long_for_run())
                elif timeout is not None and now > flight.began + timeout:
                    self.cancel(token, f"it took longer than {timeout:g} s")
            if run_limit is not None and now > run_limit:
                self._give_up_facts(self._too_long_for_run())
            # Python code without SQL hears no cancel. Where others are at work it may go on.
            if flights and self._all_stuck(flights.values(), now):
                names = ", ".join(sorted(flight.node for flight in flights.values()))
                self._log("error", f"dbt's process is killed: {names} can't be cancelled")
                self._process.kill()

    def _all_stuck(self, flights: Iterable[Flight], now: float) -> bool:
        grace = self._settings.grace
        return all(f.cancelled_at is not None and now > f.cancelled_at + grace for f in flights)

    def _run_limit(self) -> float | None:
        timeout = self._settings.run_timeout
        return None if timeout is None or self._opened is None else self._opened + timeout

    def _too_long_for_run(self) -> str:
        return f"the run took longer than {self._settings.run_timeout:g} s"

    # -- small things ---------------------------------------------------------------------------

    def _send(self, order: Open | Start | Cancel | LetGo | End | Interrupt) -> None:
        if self._process is None:
            raise RuntimeError("launch comes first")
        self._process.send(order)

    def _is_over(self) -> bool:
        return bool(self._gone)

    def _why(self) -> str:
        reason = self._ended.reason if self._ended is not None else ""
        return redact(reason or self._gone)

    def _early(self, what: str) -> DbtRunError:
        """The error that dbt has ended before it could do what it was to do."""
        hooks = self._ended.hooks if self._ended is not None else ()
        reason = "; ".join(hooks) or self._why()
        remedy = f"Correct it, then check with: dbt debug --project-dir {self._settings.folder}"
        if "Could not set lock on file" in reason:
            remedy = "Another process holds the DuckDB file: close it, then run again."
        return DbtRunError(f"Project {self._project} {what}: {reason}", remedy=remedy)
