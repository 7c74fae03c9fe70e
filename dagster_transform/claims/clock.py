"""The clock that trust in a lease runs on."""

from __future__ import annotations

import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", None)


def elapsed() -> float:
    """Seconds since some moment, never set back or forward.

    Where the system has a clock that also counts the time asleep, it is that one: a laptop that
    wakes up must not trust a lease that ended while it slept.
    """
    return time.monotonic() if _BOOT_TIME is None else time.clock_gettime(_BOOT_TIME)


def boot_id() -> str | None:
    """Names the time since which `elapsed` has been counting, for all processes of this machine.

    None where the system has no such name, or its clock stops while it sleeps.
    """
    if _BOOT_TIME is None:
        return None
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip() or None
    except OSError:
        return None
