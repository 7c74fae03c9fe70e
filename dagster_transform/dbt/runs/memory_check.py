"""Whether the machine has enough memory for another dbt process."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

from dagster_transform.dbt.errors import DbtError

_POLL = 0.5


class OutOfMemoryError(DbtError):
    """There is too little memory to start dbt."""


def memory_in_use() -> float:
    """The share of the machine's memory that is not available, from 0 to 1."""
    import psutil  # type: ignore[import-untyped]

    return float(psutil.virtual_memory().percent) / 100


def wait_for_memory(
    project: str,
    limit: float,
    patience: float,
    *,
    in_use: Callable[[], float] = memory_in_use,
    now: Callable[[], float] = monotonic,
    rest: Callable[[float], None] = sleep,
) -> None:
    """Wait until at most `limit` of the memory is in use.

    Args:
        project: The project's name, for the message.
        limit: A share, from 0 to 1; 1 and more: never wait.
        patience: Seconds.
        in_use: Says which share is in use.
        now: A clock that never goes back.
        rest: Waits.

    Raises:
        OutOfMemoryError: It took longer than `patience`.
    """
    end = now() + patience
    while limit < 1 and (used := in_use()) > limit:
        if now() >= end:
            raise OutOfMemoryError(
                f"Project {project}: {used:.0%} of the machine's memory was in use for"
                f" {patience:g} s, and dbt is started with at most {limit:.0%}.",
                remedy="Let fewer runs go at the same time, or raise the limit in transform.yaml.",
            )
        rest(_POLL)
