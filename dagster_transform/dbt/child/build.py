"""The dbt process of a run: one `dbt build` whose nodes come from the run, one by one.

Orders come on standard input, news go to standard output; what dbt, its adapters and Python models
print goes to standard error. It ends when the run says so, and when the run's process is gone.

    main thread      dbt's invocation; waits in the queue for the next node
    dbt's pool       the nodes
    orders           reads what the run says
    cancel ...       one for each node that was told to end, until it is gone
    facts            rows and columns of what was built, where they are asked for
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from dagster_transform.dbt.child import _compat, _compat_build, _compat_database
from dagster_transform.dbt.child.measure import Measuring
from dagster_transform.dbt.child.queue import RunQueue
from dagster_transform.dbt.failures import is_cut_off, is_transient
from dagster_transform.dbt.installation import require_dbt
from dagster_transform.dbt.protocol import (
    Begin,
    Cancel,
    End,
    Ended,
    Gone,
    Interrupt,
    LetGo,
    Loaded,
    Log,
    Made,
    News,
    Open,
    ProtocolError,
    Ready,
    Result,
    Start,
    decode_order,
)
from dagster_transform.dbt.sweep import end_backends

_CANCEL_POLL = 0.1
"""Seconds between two cancels of one node: a statement that began in between must end too."""
_MEASURING = 10.0
"""Seconds that rows may still be counted when the database is to be closed."""
_STUCK = 3
"""Exit status of a process that could not end by itself."""


@dataclass(slots=True)
class Flight:
    """A node between its start and its result; see `_compat_build.Flight`."""

    token: int
    node: str
    again: bool = False
    cancelled: bool = False
    made: bool = False
    error: BaseException | None = None
    batch: str = ""
    """What went wrong in its first batch that failed."""
    cut_off: bool = False
    """Whether a batch has lost its connection. Another run may have ended its session, because it
    builds there now: no further batch is begun."""
    ended: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held while the node is cancelled: its thread does not go on to another node meanwhile, which
    would be cancelled in its place."""


class Child:
    """One invocation, from its first order to its last news.

    Args:
        begin: The first order.
        orders: Where the others come from.
        say: Sends news.
    """

    def __init__(self, begin: Begin, orders: BinaryIO, say: Callable[[News], None]) -> None:
        self._begin = begin
        self._orders = orders
        self._say = say
        self._build: Any = None
        self._queue: RunQueue[Any] | None = None
        self._opened: Open | None = None
        self._open = threading.Event()
        self._flights: dict[str, Flight] = {}
        self._lock = threading.Lock()
        self._asked = False  # whether the run has told it to end
        self._interrupted = False  # whether it ends without the on-run-end hooks
        self._stopped = ""  # why it ends without being told
        self._server: dict[str, Any] = {}
        self._measuring = Measuring(begin.facts, say)

    def run(self) -> None:
        """Carry out the invocation; returns when it is over and everything was answered."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        reason = ""
        try:
            require_dbt()
            _compat_build.hand_over(self)
            reason = _compat_build.reason_of(_compat.invoke(self._begin.arguments, self._on_event))
        except BaseException as error:  # noqa: BLE001 - the run is told, whatever it is
            reason = str(error) or type(error).__name__
        _ignore_signals()
        for flight in list(self._flights.values()):
            self.finish(flight, {"status": "error", "message": reason or "dbt never came to it"})
        self._measuring.close()
        hooks: list[str] = []
        if self._build is not None:
            hooks = _compat_build.failed_hooks(self._build)
            with suppress(Exception):
                _compat_database.close_database(self._build)
        # What dbt says of an interrupt is of no use to whoever asked for it.
        reason = self._stopped or ("" if self._interrupted else reason)
        self._say(Ended(self._asked, reason, tuple(hooks)))

    # -- dbt's side; see `_compat_build.Hand` ---------------------------------------------------

    def take_over(self, build: Any) -> RunQueue[Any]:
        """Say what was loaded, and wait until the run opens the invocation."""
        self._build = build
        self._server = _compat_database.name_sessions(build, self._begin.session)
        self._say(Loaded(server=self._server, **_compat_build.loaded_facts(build)))
        # What was made until now stays until the end.
        gc.freeze()
        gc.enable()
        self._open.wait()
        opened = self._opened.nodes if self._opened is not None else ()
        known = _compat_build.known_nodes(build, opened)
        missing = tuple(sorted(set(opened) - set(known)))
        self._queue = RunQueue(
            known,
            lambda node: _compat_build.node_of(build, node),
            lambda: self._say(Ready(missing)),
        )
        if self._asked:
            self._queue.end()
        return self._queue

    def begin(self, node: str) -> Flight:
        """The flight of a node that a thread begins."""
        return self._flights[node]

    def cancelled(self, node: str) -> bool:
        """Whether no more is to be done for a node in flight."""
        flight = self._flights.get(node)
        return flight is not None and (flight.cancelled or flight.cut_off)

    def made(self, flight: _compat_build.Flight) -> None:
        """Tell at once: this process may be killed before the node's end."""
        if isinstance(flight, Flight):
            self._say(Made(flight.token))

    def finish(self, flight: _compat_build.Flight, facts: dict[str, Any]) -> None:
        """Answer a start, once."""
        if not isinstance(flight, Flight):
            return
        with flight.turn:
            if flight.ended.is_set():
                return
            flight.ended.set()
        if facts.get("batches") is not None:
            facts["message"] = flight.batch
        if self._stopped and facts["status"] == "error":
            facts["message"] = f"{self._stopped}: {facts['message']}"
        with self._lock:
            self._flights.pop(flight.node, None)
        good = facts["status"] == "success" and not flight.cancelled
        more = good and self._measuring.wants(self._build, flight.node)
        self._say(
            Result(
                flight.token,
                cancelled=flight.cancelled,
                made=flight.made,
                transient=is_transient(flight.error),
                more=more,
                **facts,
            )
        )
        if more:
            self._measuring.begin(self._build, flight.token, flight.node)

    def refuse(self, node: str, reason: str) -> None:
        """Answer a start that dbt can't do anything with."""
        self.finish(self._flights[node], {"status": "error", "message": reason})

    def _on_event(self, event: Any) -> None:
        failed = _compat_build.failed_batch(event)
        if failed is not None and (flight := self._flights.get(failed[0])) is not None:
            flight.batch = flight.batch or failed[1]
            flight.cut_off = flight.cut_off or is_cut_off(failed[2])
        said = _compat_build.worth_reading(event)
        if said is not None:
            self._say(Log(*said))

    # -- the run's side -------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            for line in self._orders:
                self._obey(decode_order(line))
        except Exception as error:  # noqa: BLE001 - whoever does not listen can't be ended
            self._stop(str(error) or type(error).__name__)
        else:
            self._stop("the process of the run is gone")

    def _obey(self, order: Any) -> None:
        match order:
            case Open():
                self._opened = order
                self._open.set()
            case Start():
                self._start(order)
            case Cancel():
                self._cancel(order.token)
            case LetGo():
                self._let_go()
                self._say(Gone())
            case End():
                self._asked = True
                self._open.set()
                self._measuring.close()  # who still wanted to know would not have said so
                self._end_measuring()
                if self._queue is not None:
                    self._queue.end()
            case Interrupt():
                self._asked = True
                self._stop("")
            case _:
                raise ProtocolError(f"{type(order).__name__} comes first, and once.")

    def _let_go(self) -> None:
        if self._build is None:
            return
        # A count opens the database, or finds it closed. It takes a file no time; if it does:
        if not self._measuring.drain(_MEASURING):
            self._end_measuring()
        _compat_database.close_database(self._build)

    def _end_measuring(self) -> None:
        """Cancel what is counted, until it is gone: a statement may begin in between."""
        for _ in range(int(_MEASURING / _CANCEL_POLL)):
            if self._measuring.drain(0):
                return
            self._cancel_measuring()
            self._measuring.drain(_CANCEL_POLL)

    def _cancel_measuring(self) -> None:
        for name in self._measuring.connections():
            with suppress(Exception):
                _compat_database.cancel_statements(self._build, name)

    def _start(self, order: Start) -> None:
        flight = Flight(order.token, order.node, order.again)
        with self._lock:
            if order.node in self._flights:
                raise ProtocolError(f"{order.node} is started, and not done yet.")
            self._flights[order.node] = flight
        try:
            begun = self._queue is not None and self._queue.put(order.node)
            reason = "dbt's invocation is over"
        except ValueError as error:
            begun, reason = False, str(error)
        if not begun:
            self.finish(flight, {"status": "error", "message": reason})

    def _cancel(self, token: int) -> None:
        with self._lock:
            flight = next((f for f in self._flights.values() if f.token == token), None)
        if flight is None or flight.cancelled:
            return  # it has ended, or is being cancelled
        flight.cancelled = True
        if self._queue is not None and self._queue.take_back(flight.node):
            self.finish(flight, {"status": "error", "message": "cancelled"})
            return
        threading.Thread(
            target=self._cancel_until_gone,
            args=(flight,),
            name=f"cancel {flight.node}",
            daemon=True,
        ).start()

    def _cancel_until_gone(self, flight: Flight) -> None:
        told = ""
        while not flight.ended.is_set():
            with flight.turn:
                if flight.ended.is_set():
                    break
                try:
                    _compat_database.cancel_statements(self._build, flight.node)
                except Exception as error:  # noqa: BLE001 - drivers raise what they like
                    if str(error) != told:
                        told = str(error)
                        self._say(Log("warn", f"{flight.node} can't be cancelled: {told}"))
            flight.ended.wait(_CANCEL_POLL)

    # -- ending without the run's patience ------------------------------------------------------

    def _on_signal(self, number: int, _: Any) -> None:
        # Once: dbt cancels what it does when it is interrupted, and must not be interrupted there.
        _ignore_signals()
        if not self._interrupted:
            self._stopped = f"dbt's process was told to end ({signal.Signals(number).name})"
        raise KeyboardInterrupt

    def _stop(self, reason: str) -> None:
        """Cancel everything, and end; by force if that takes longer than the grace."""
        self._interrupted = True
        self._measuring.close()
        self._stopped = self._stopped or reason
        with self._lock:
            flights = list(self._flights.values())
        for flight in flights:
            flight.cancelled = True
        force = threading.Timer(self._begin.grace, self._end_by_force)
        force.daemon = True
        force.start()
        # The main thread hears a signal only between two statements: hooks run on it.
        threading.Thread(target=self._cancel_everything, name="cancel all", daemon=True).start()
        os.kill(os.getpid(), signal.SIGINT)

    def _cancel_everything(self) -> None:
        wait = threading.Event()
        while self._build is not None:
            with self._lock:
                flights = list(self._flights.values())
            with suppress(Exception):
                for flight in flights:
                    with flight.turn:
                        if not flight.ended.is_set():
                            _compat_database.cancel_statements(self._build, flight.node)
                if not flights:
                    _compat_database.cancel_statements(self._build, None)
            self._cancel_measuring()
            wait.wait(_CANCEL_POLL)

    def _end_by_force(self) -> None:
        with suppress(Exception):
            end_backends(self._server)
        os._exit(_STUCK)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
