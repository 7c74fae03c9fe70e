"""Cancelling what the database executes for a build: for one node, for what is measured, for all.

A statement may begin right after another one was cancelled. So each is done again until nothing
of it is there any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dagster_transform.dbt.child import _compat_database
from dagster_transform.dbt.child.nodes import NodeInProgress, NodesInProgress
from dagster_transform.dbt.child.row_counts_and_columns import Measurements
from dagster_transform.dbt.protocol import Log

POLL = 0.1
"""Seconds between two cancels of the same."""


def cancel_node(build: Any, node: NodeInProgress, say: Callable[[Log], None]) -> None:
    """Cancel a node, on a thread of its own, until it has ended.

    Args:
        build: dbt's build.
        node: The node.
        say: Called where it can't be cancelled, once for each reason.
    """
    threading.Thread(
        target=_cancel_until_ended,
        args=(build, node, say),
        name=f"cancel {node.node}",
        daemon=True,
    ).start()


def _cancel_until_ended(build: Any, node: NodeInProgress, say: Callable[[Log], None]) -> None:
    said = ""
    while not node.ended.is_set():
        with node.cancelling:
            if node.ended.is_set():
                break
            try:
                _compat_database.cancel_statements(build, node.node)
            except Exception as error:  # noqa: BLE001 - drivers raise what they like
                if str(error) != said:
                    said = str(error)
                    say(Log("warn", f"{node.node} can't be cancelled: {said}"))
        node.ended.wait(POLL)


def cancel_everything(build: Any, nodes: NodesInProgress, measurements: Measurements) -> None:
    """Cancel once all that the database executes: the nodes; where there is none, the hooks."""
    in_progress = nodes.all()
    with suppress(Exception):
        for node in in_progress:
            with node.cancelling:
                if not node.ended.is_set():
                    _compat_database.cancel_statements(build, node.node)
        if not in_progress:
            _compat_database.cancel_statements(build, None)
    cancel_measurements(build, measurements)


def cancel_measurements(build: Any, measurements: Measurements) -> None:
    """Cancel once what is counted and read."""
    for name in measurements.connections():
        with suppress(Exception):
            _compat_database.cancel_statements(build, name)


def end_measurements(build: Any, measurements: Measurements, patience: float) -> None:
    """Cancel what is counted and read, until it has ended, or for `patience` seconds."""
    for _ in range(int(patience / POLL)):
        if measurements.drain(0):
            return
        cancel_measurements(build, measurements)
        measurements.drain(POLL)
