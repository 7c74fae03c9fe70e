"""Python's collector of cyclic garbage, kept away from what is no garbage.

While modules are imported and definitions are made, hundreds of thousands of objects appear and
stay. The collector looks at all of them again and again, and once more when the process ends: a
third of the time of a run of one model of a thousand.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_kept: set[str] = set()


@contextmanager
def kept(what: str) -> Iterator[None]:
    """Make something that lives as long as the process.

    The collector rests meanwhile, and what exists at the end is out of its sight until the process
    ends. Where the collector is off, nothing is done.

    Done once for each `what`: where definitions are loaded again and again (tests, notebooks), the
    earlier ones are garbage, and have to be collected.

    Args:
        what: A name for it.
    """
    if what in _kept or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        if not _kept:
            atexit.register(_end)
        _kept.add(what)
        gc.freeze()
    finally:
        gc.enable()


def _end() -> None:
    """Let the process end as it always does: all that is open is closed.

    The interpreter would look for garbage in everything, and then, when the modules are gone, take
    everything apart, which closes files that were left open. Of the two only the first is spared:
    what has become garbage is collected here, without looking at what was kept.
    """
    if gc.isenabled():
        gc.collect()
        gc.disable()
    gc.unfreeze()
