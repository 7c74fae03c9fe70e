"""One dbt invocation, as the run sees it: nodes are started, and each is answered exactly once.

Whatever becomes of the process (it ends too early, it is killed, it hangs), what was started is
answered, and nothing of it remains: neither a process nor a statement on a server.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timezone
from time import monotonic
from typing import Any

from dagster_transform.databases.backends import new_name
from dagster_transform.databases.transient import FILE_IS_LOCKED
from dagster_transform.dbt.backends import end_backends_of_process
from dagster_transform.dbt.errors import DbtError, DbtRunError
from dagster_transform.dbt.faults import Fault, artifacts_error, error_of
from dagster_transform.dbt.protocol import (
    BatchDone,
    Begin,
    Cancel,
    CloseFiles,
    Connected,
    End,
    Ended,
    FilesClosed,
    Loaded,
    Log,
    Made,
    MayBuild,
    Measured,
    News,
    Open,
    Ready,
    Result,
    Start,
)
from dagster_transform.dbt.runs.build_arguments import build_arguments
from dagster_transform.dbt.runs.memory_check import wait_for_memory
from dagster_transform.dbt.runs.process import ERRORS, DbtProcess
from dagster_transform.dbt.runs.process_state import ProcessState
from dagster_transform.dbt.runs.settings import DbtSettings
from dagster_transform.dbt.runs.started_nodes import Answer, StartedNodes
from dagster_transform.dbt.runs.termination import terminate
from dagster_transform.dbt.runs.time_limits import TimeLimits
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.errors import redact
from dagster_transform.process.private_files import create_private, make_private_folder

_CLOSE_TIMEOUT = 30.0
"""Seconds in which the database's files have to be closed."""


class DbtInvocation:
    """A `dbt build` in a process of its own. Making one starts the process, which loads the
    project; that is not waited for.

    Args:
        project: The project's name in transform.yaml, for messages.
        settings: What the run asks for.
        log: Called with level (`info`, `warn`, `error`) and text of what dbt says beyond results,
            on a thread of this object's own.

    Attributes:
        began: When it was made, in UTC.
        backend_name: What its backends on a database server are called (`backends.new_name`).
        opened: Whether the on-run-start hooks were carried out or begun.
        entries: What run_results.json will say of each node, by unique id; whoever hears the
            answers writes it.

    Raises:
        OutOfMemoryError: There was too little memory, for longer than the settings wait.
        ArtifactsError: Nothing can be written where its artifacts are to be.
        DbtRunError: The process can't be started.
    """

    def __init__(
        self, project: str, settings: DbtSettings, log: Callable[[str, str], None]
    ) -> None:
        self.began = datetime.now(timezone.utc)
        self.backend_name = new_name()
        self.opened = False
        self.entries: dict[UniqueId, dict[str, Any]] = {}
        self._project = project
        self._settings = settings
        self._log = log
        self._state = ProcessState()
        self._nodes = StartedNodes()
        limits, folder = settings.limits, settings.folder.path
        wait_for_memory(project, limits.memory, limits.memory_wait)
        begin = Begin(
            build_arguments(settings),
            str(settings.project.path),
            self.backend_name,
            limits.grace,
            settings.measures.names,
            settings.sample_rows,
        )
        try:
            for made in (folder.parent.parent, folder.parent, folder):
                make_private_folder(made)
            create_private(folder / ERRORS)
        except OSError as error:
            raise artifacts_error(project, error) from None
        try:
            self._process = DbtProcess(begin, folder, self._hear, self._lose, settings.spare)
        except OSError as error:
            raise DbtRunError(f"Project {project}: dbt can't be started: {error}") from None
        self._limits = TimeLimits(limits, self._process, self._nodes, self.cancel, log)

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def last_loaded(self) -> Loaded | None:
        """What the process says of the project, if it came to that; does not wait."""
        return self._state.loaded

    # -- beginning ------------------------------------------------------------------------------

    def loaded(self) -> Loaded:
        """What the process says of the project; waits until it has loaded it.

        Raises:
            DbtError: It could not.
        """
        loaded = self._state.wait_until_loaded()
        if loaded is None:
            raise self._early("can't be loaded")
        return loaded

    def open(self, nodes: Collection[UniqueId]) -> Ready:
        """Connect and carry out the on-run-start hooks; once, later calls only look.

        Args:
            nodes: Unique ids of all that will be started.

        Returns:
            What can't be done of all that was opened.

        Raises:
            DbtRunError: dbt ended instead.
        """
        self.loaded()
        if not self.opened:
            self.opened = True
            self._limits.begin_run()
            self._process.send(Open(tuple(sorted(nodes))))
        ready = self._state.wait_until_ready()
        if ready is None:
            raise self._early("can't begin its run")
        return ready

    # -- nodes ----------------------------------------------------------------------------------

    def start(
        self,
        node: UniqueId,
        answer: Callable[[Answer], None],
        measured: Callable[[Measured], None] = lambda _: None,
        progressed: Callable[[BatchDone], None] = lambda _: None,
        held: Callable[[], bool] = lambda: True,
        *,
        refresh: bool = False,
    ) -> int | None:
        """Begin a node and return at once.

        Args:
            node: Its unique id.
            answer: Called once, from another thread or, if it can't be started any more, from this
                one.
            measured: Called once after a result that says that this follows, likewise.
            progressed: Called for each batch of a microbatch model that ends, likewise.
            held: Whether it is still the run's to build: asked, from another thread, before it
                executes anything on a connection that it has got.
            refresh: Whether others may have made or dropped its relation since dbt looked.

        Returns:
            What `cancel` wants to know; None: it was answered already.
        """
        timed_out = self._limits.run_timed_out()
        token = self._nodes.add(node, answer, measured, progressed, held, timed_out=timed_out)
        if token is not None:
            self._process.send(Start(token, node, refresh))
            self._limits.watch_started()
        return token

    def cancel(self, token: int, timed_out: str = "") -> None:
        """End what was started; a second time, it does nothing.

        Args:
            token: What `start` returned.
            timed_out: The time limit that ends it, in words; "": the run wants it.
        """
        if self._nodes.cancel(token, timed_out):
            self._process.send(Cancel(token))
            self._limits.watch()

    def close_files(self) -> None:
        """Have the database closed; the next start opens it again.

        Raises:
            DbtRunError: That took too long.
        """
        if self._state.ready is None or self._state.is_over:
            return
        times = self._state.times_closed + 1
        self._process.send(CloseFiles())
        if not self._state.wait_until_closed(times, _CLOSE_TIMEOUT):
            raise DbtRunError(
                f"Project {self._project}: dbt did not close its database within"
                f" {_CLOSE_TIMEOUT:g} s."
            )

    # -- ending ---------------------------------------------------------------------------------

    def end(self) -> tuple[str, ...]:
        """Carry out the on-run-end hooks and end.

        Returns:
            The on-run-start and on-run-end hooks that failed, in dbt's words.

        Raises:
            DbtRunError: dbt ended otherwise.
        """
        self._process.send(End())
        ended = self._state.wait_until_over()
        if ended is None or ended.reason:
            raise self._early("can't end its run")
        return ended.hooks

    def stop(self) -> None:
        """End at once: dbt is interrupted, then killed; then its backends on the server are ended.

        The grace counts from the first cancel: whoever stops may have waited already.
        """
        since = self._nodes.first_cancel
        waited = 0.0 if since is None else monotonic() - since
        terminate(self._process, self._settings.limits.grace, waited=waited)

    # -- on the process's thread ----------------------------------------------------------------

    def _hear(self, news: News) -> None:
        match news:
            case Log():
                with suppress(Exception):  # a log that can't be written ends nothing
                    self._log(news.level, redact(news.text))
            case Result():
                self._nodes.answer(news)
            case Measured():
                self._nodes.answer_measured(news)
            case BatchDone():
                self._nodes.tell_progress(news)
            case Connected():
                allowed = self._nodes.may_build(news.token)
                self._process.send(MayBuild(news.number, allowed))
            case Made():
                self._nodes.note_made(news.token)
            case Loaded() | Ready() | FilesClosed() | Ended():
                self._state.note(news)

    def _lose(self, reason: str) -> None:
        """The process has ended: nothing of it may remain, and nobody may wait for it."""
        loaded = self._state.loaded
        if reason and loaded is not None:
            try:
                end_backends_of_process(loaded.server)
            except Exception as error:  # noqa: BLE001 - drivers raise what they like
                text = redact(str(error)).strip()
                self._log("warn", f"dbt's backends on the server could not be ended: {text}")
        self._state.end(reason)
        self._nodes.lose(self._state.reason)

    def _early(self, what: str) -> DbtError:
        """The error that dbt has ended before it could do what it was to do."""
        ended = self._state.ended
        reason = "; ".join(ended.hooks if ended is not None else ()) or self._state.reason
        if ended is not None and ended.fault:
            fault = Fault(ended.fault, ended.place)
            return error_of(fault, reason, self._project, self._settings.project)
        remedy = (
            f"Correct it, then check with: dbt debug --project-dir {self._settings.project.path}"
        )
        if FILE_IS_LOCKED in reason:
            reason = f"{reason.rstrip('.')}."  # it ends with a link, to which nothing may be glued
            remedy = "Another process holds the DuckDB file: close it, then run again."
        return DbtRunError(f"Project {self._project} {what}: {reason}", remedy=remedy)
