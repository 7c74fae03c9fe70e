"""Python's collector of cyclic garbage, kept away from what is no garbage.

While modules are imported and definitions are made, hundreds of thousands of objects appear and
stay. The collector would look at all of them again and again: a tenth of the time that a run of one
model of a thousand takes.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_kept: set[str] = set()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Make hundreds of thousands of objects, none of them garbage, without looking at them again
    and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def kept(what: str) -> Iterator[None]:
    """Make something that lives as long as the process.

    The collector rests meanwhile, and what exists then is out of its sight until the process ends.
    Where the collector is off, nothing is done.

    Done once for each `what`: where definitions are loaded again and again (tests, notebooks), the
    earlier ones are garbage, and have to be collected.

    Args:
        what: A name for it.
    """
    if what in _kept or not gc.isenabled():
        yield
        return
    with collector_paused():
        yield
        if not _kept:
            # Left out of sight at the end too, files that were left open would lose what their
            # buffers hold; so would they with the collector off.
            atexit.register(gc.unfreeze)
        _kept.add(what)
        gc.freeze()
