"""Waiting until something is true."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

SECONDS = 30.0
"""How long a test waits for what should be there at once, on a machine that is busy."""


def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Wait until a condition is true, and return what it returned."""
    end = monotonic() + seconds
    while not (found := condition()):
        assert monotonic() < end, f"waited {seconds} s in vain: {what}"
        sleep(0.01)
    return found
