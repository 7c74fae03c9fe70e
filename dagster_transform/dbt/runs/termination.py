"""Ending a dbt process at once: it is interrupted, and killed once its grace is over."""

from __future__ import annotations

from dagster_transform.dbt.protocol import Interrupt
from dagster_transform.dbt.runs.process import DbtProcess

_SOON = 2.0
"""Seconds that a process gets at least to end by itself, and after its own grace."""


def terminate(process: DbtProcess, grace: float, *, waited: float = 0.0) -> None:
    """Interrupt a process, and kill it if it does not end by itself; returns when it has ended.

    Args:
        process: The process.
        grace: Seconds that it has to end by itself.
        waited: Seconds of the grace that are over already: since a first node was cancelled.
    """
    if process.over:
        return
    process.send(Interrupt())
    if not process.wait(max(_SOON, grace - waited)):
        process.kill(f"it did not end within {max(_SOON, grace - waited):g} s of being interrupted")
        process.wait(grace + _SOON)
