"""The dbt process of a run: one `dbt build` whose nodes come from the run, one by one.

Orders come on standard input, news go to standard output; what dbt, its adapters and Python models
print goes to standard error. It ends when the run says so, and when the run's process has ended.

    main thread      dbt's invocation; waits in the queue for the next node
    dbt's pool       the nodes
    orders           reads what the run says
    cancel ...       one for each node that is cancelled, until it has ended
    measure          rows and columns of what was built, where they are asked for
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from dagster_transform.databases.transient import is_connection_lost, is_transient
from dagster_transform.dbt.backends import end_backends_of_process
from dagster_transform.dbt.child import _compat, _compat_build, _compat_database
from dagster_transform.dbt.child.cancelling import (
    cancel_everything,
    cancel_node,
    end_measurements,
)
from dagster_transform.dbt.child.nodes import NodeInProgress, NodesInProgress
from dagster_transform.dbt.child.queue import RunQueue
from dagster_transform.dbt.child.row_counts_and_columns import Measurements
from dagster_transform.dbt.child.termination import Termination, ignore_signals
from dagster_transform.dbt.installation import require_dbt
from dagster_transform.dbt.protocol import (
    BatchDone,
    Begin,
    Cancel,
    CloseFiles,
    End,
    Ended,
    FilesClosed,
    Interrupt,
    Loaded,
    Log,
    Made,
    MayBuild,
    News,
    Open,
    ProtocolError,
    Ready,
    Result,
    Start,
    decode_order,
)
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.errors import words_of

_MEASURING = 10.0
"""Seconds that rows may still be counted when the database is to be closed."""


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
        self._nodes = NodesInProgress()
        self._measurements = Measurements(begin.measures, say)
        self._termination = Termination(
            begin.grace, self._abandon, self._cancel_everything, self._end_backends
        )
        self._open: Open | None = None
        self._may_go_on = threading.Event()  # it was opened, or is to end
        self._ordered_to_end = False
        # What dbt makes of the project, once it has loaded it.
        self._build: Any = None
        self._server: dict[str, Any] = {}
        self._queue: RunQueue[Any] | None = None

    def run(self) -> None:
        """Carry out the invocation; returns when it is over and everything was answered."""
        self._termination.hear_signals()
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        reason, fault = "", ("", "")
        try:
            require_dbt()
            _compat_build.replace_build(self)
            invocation = _compat.invoke(self._begin.arguments, self._on_event)
            reason = _compat_build.reason_of(invocation)
            if reason and self._build is None:
                fault = _compat.fault(invocation)
        except BaseException as error:  # noqa: BLE001 - the run hears of it, whatever it is
            reason = words_of(error)
        ignore_signals()
        for node in self._nodes.all():
            self.finish(node, {"status": "error", "message": reason or "dbt never came to it"})
        self._measurements.close()
        hooks: list[str] = []
        if self._build is not None:
            hooks = _compat_build.failed_hooks(self._build)
            with suppress(Exception):
                _compat_database.close_database(self._build)
        # What dbt says of an interrupt is of no use to whoever asked for it.
        termination = self._termination
        reason = termination.reason or ("" if termination.interrupted else reason)
        self._say(Ended(self._ordered_to_end, reason, tuple(hooks), *fault))

    # -- dbt's side; see `_compat_build.BuildHost` ----------------------------------------------

    def take_over(self, build: Any) -> RunQueue[Any]:
        """Say what was loaded, and wait until the run opens the invocation."""
        self._build = build
        self._server = _compat_database.name_backends(build, self._begin.backend_name)
        places = _compat_database.places(build)
        said = _compat_build.loaded_fields(build)
        self._say(Loaded(server=self._server, places=places, **said))
        # What was made until now stays until the end.
        gc.freeze()
        gc.enable()
        self._may_go_on.wait()
        opened = self._open.nodes if self._open is not None else ()
        known = _compat_build.known_nodes(build, opened)
        missing = tuple(sorted(set(opened) - set(known)))
        excluded = tuple(_compat_build.excluded_nodes(build, known))
        self._queue = RunQueue(
            known,
            lambda node: _compat_build.node_of(build, node),
            lambda: self._say(Ready(missing, excluded)),
        )
        if self._ordered_to_end:
            self._queue.end()
        return self._queue

    def begin(self, node: UniqueId) -> NodeInProgress:
        """A node in progress that one of dbt's threads begins."""
        found = self._nodes.find(node)
        if found is None:
            raise KeyError(node)
        return found

    def is_cancelled(self, node: UniqueId) -> bool:
        """Whether no more is to be done for a node in progress."""
        found = self._nodes.find(node)
        return found is not None and (found.cancelled or found.connection_lost)

    def may_build(self, node: NodeInProgress) -> bool:
        """Ask the run, which asks its claims."""
        return self._nodes.permissions.ask(node, self._say)

    def note_made(self, node: NodeInProgress) -> None:
        """Say so at once: this process may be killed before the node's end."""
        self._say(Made(node.token))

    def finish(self, node: NodeInProgress, fields: dict[str, Any]) -> None:
        """Answer a start, once; on the node's own thread, where that has begun."""
        self._sample(node, fields)
        if not node.end():
            return
        if fields.get("batches") is not None:
            fields["message"] = node.batch_error
        if self._termination.reason and fields["status"] == "error":
            fields["message"] = f"{self._termination.reason}: {fields['message']}"
        self._nodes.remove(node)
        good = fields["status"] == "success" and not node.cancelled
        measure = self._measurements.of(self._build, node.token, node.node) if good else None
        self._say(
            Result(
                node.token,
                cancelled=node.cancelled,
                made=node.made,
                transient=is_transient(node.error),
                measured_follows=measure is not None,
                unwritable=_compat.unwritable(node.error) is not None,
                **fields,
            )
        )
        if measure is not None:
            measure()

    def _sample(self, node: NodeInProgress, fields: dict[str, Any]) -> None:
        """Read some of the rows that a test has found wrong."""
        most = self._begin.sample_rows
        if not most or not fields.get("failures") or node.cancelled:
            return
        try:
            fields["sample"] = _compat_database.sample(
                self._build, node.node, str(fields["query"]), most
            )
        except Exception as error:  # noqa: BLE001 - the test has its result, whatever this raises
            self._say(Log("warn", f"{node.node}: its failing rows were not read: {error}"))

    def refuse(self, node: UniqueId, reason: str) -> None:
        """Answer a start that dbt can't do anything with."""
        self.finish(self.begin(node), {"status": "error", "message": reason})

    def _on_event(self, event: Any) -> None:
        failed = _compat_build.failed_batch(event)
        if failed is not None and (node := self._nodes.find(failed[0])) is not None:
            node.batch_error = node.batch_error or failed[1]
            node.connection_lost = node.connection_lost or is_connection_lost(failed[2])
        ended = _compat_build.ended_batch(event)
        if ended is not None and (node := self._nodes.find(ended[0])) is not None:
            self._say(BatchDone(node.token, next(node.batches), *ended[1:]))
        said = _compat_build.worth_reading(event)
        if said is not None:
            self._say(Log(*said))

    # -- the run's side -------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            for line in self._orders:
                self._obey(decode_order(line))
        except Exception as error:  # noqa: BLE001 - whoever does not listen can't be ended
            self._termination.begin(words_of(error))
        else:
            self._termination.begin("the process of the run has ended")

    def _obey(self, order: Any) -> None:
        match order:
            case Open():
                self._open = order
                self._may_go_on.set()
            case Start():
                self._start(order)
            case Cancel():
                self._cancel(order.token)
            case MayBuild():
                self._nodes.permissions.answer(order.number, allowed=order.allowed)
            case CloseFiles():
                self._close_files()
                self._say(FilesClosed())
            case End():
                self._ordered_to_end = True
                self._may_go_on.set()
                self._measurements.close()  # who still wanted to know would not have said so
                end_measurements(self._build, self._measurements, _MEASURING)
                if self._queue is not None:
                    self._queue.end()
            case Interrupt():
                self._ordered_to_end = True
                self._termination.begin("")
            case _:
                raise ProtocolError(f"{type(order).__name__} comes first, and once.")

    def _close_files(self) -> None:
        if self._build is None:
            return
        # A count opens the database, or finds it closed. It takes a file no time; if it does:
        if not self._measurements.drain(_MEASURING):
            end_measurements(self._build, self._measurements, _MEASURING)
        _compat_database.close_database(self._build)

    def _start(self, order: Start) -> None:
        node = self._nodes.add(order)
        try:
            begun = self._queue is not None and self._queue.put(order.node)
            reason = "dbt's invocation is over"
        except ValueError as error:
            begun, reason = False, str(error)
        if not begun:
            self.finish(node, {"status": "error", "message": reason})

    def _cancel(self, token: int) -> None:
        node = self._nodes.by_token(token)
        if node is None or node.cancelled:
            return  # it has ended, or is being cancelled
        node.cancelled = True
        if self._queue is not None and self._queue.take_back(node.node):
            self.finish(node, {"status": "error", "message": "cancelled"})
            return
        cancel_node(self._build, node, self._say)

    # -- what the termination asks for ----------------------------------------------------------

    def _abandon(self) -> None:
        self._measurements.close()
        for node in self._nodes.all():
            node.cancelled = True

    def _cancel_everything(self) -> bool:
        if self._build is None:
            return False
        cancel_everything(self._build, self._nodes, self._measurements)
        return True

    def _end_backends(self) -> None:
        end_backends_of_process(self._server)
