"""Python's collector of cyclic garbage, kept away from what is no garbage.

While modules are imported and definitions are made, hundreds of thousands of objects appear and
stay. The collector would look at all of them again and again: a tenth of the time that a run of one
model of a thousand takes.
"""

from __future__ import annotations

import atexit
import gc
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, compress, repeat
from weakref import WeakSet

_FILE: type = io.FileIO.__mro__[-2]
"""What all of Python's files are; `io.IOBase` is beside it."""
_kept: set[str] = set()
_files: WeakSet[io.IOBase] = WeakSet()
"""Files that were open when something was kept: in a cycle, nobody would close them at the end."""


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

    The collector rests meanwhile, and what exists then stays out of its sight, also when the
    process ends: taking all of it apart would take half a second. Files among it are written out.
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
            atexit.register(_write_out)
        _files.update(_open_files())
        _kept.add(what)
        gc.freeze()


def _open_files() -> list[io.IOBase]:
    """The files that the collector sees. By their types: asking an object itself may run code."""
    kinds = {_FILE}
    found = [_FILE]
    while found:
        below = found.pop().__subclasses__()
        found += [kind for kind in below if kind not in kinds]
        kinds.update(below)
    # One call, without a line of Python in it. Between lines another thread may go on, and what it
    # lets go of has to end at once: in a list of all objects it would live on. A statement of
    # SQLite's, say, and its transaction can't be committed then. So no name holds the list, and
    # each object comes twice in a row: once to be given, once to be judged.
    everything = chain.from_iterable(map(gc.get_objects, (None,)))
    twice = chain.from_iterable(map(repeat, everything, repeat(2)))
    return list(compress(twice, map(set(map(id, kinds)).__contains__, map(id, map(type, twice)))))


def _write_out() -> None:
    """Write what files that nobody closes still have in their buffers."""
    for file in [*_files, *_open_files()]:
        with suppress(Exception):  # it is closed, or was never one to write to
            file.flush()
