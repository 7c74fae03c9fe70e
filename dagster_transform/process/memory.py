"""How much of the machine's memory is in use."""

from __future__ import annotations

HIGH = 0.8
"""The share from which on no process is started that may not be needed."""


def memory_in_use() -> float:
    """The share of the machine's memory that is not available, from 0 to 1."""
    import psutil  # type: ignore[import-untyped]

    return float(psutil.virtual_memory().percent) / 100
