"""`python -m dagster_transform.dbt.child`: the dbt process of a run, and how it is spoken with."""

from __future__ import annotations

import gc
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from dagster_transform.dbt.child import _compat_warm
from dagster_transform.dbt.child.build import Child
from dagster_transform.dbt.protocol import Begin, Ended, News, ProtocolError, decode_order, encode


def main(parsed: Path | None = None) -> None:
    """Carry out one invocation.

    Args:
        parsed: partial_parse.msgpack, where the process was started ahead of its first order.
    """
    orders = os.fdopen(os.dup(0), "rb")
    news = os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    lock = threading.Lock()

    def say(message: News) -> None:
        line = encode(message)
        with lock, suppress(BrokenPipeError):  # nobody listens: the reading side sees that too
            while line:
                line = line[os.write(news, line) :]

    gc.disable()
    if parsed is not None:
        with suppress(Exception):
            _compat_warm.read_ahead(parsed.read_bytes())
    try:
        line = orders.readline()
        if not line:
            return  # nobody needs it: the run has ended, or has no dbt in it
        begin = decode_order(line)
        if not isinstance(begin, Begin):
            raise ProtocolError(f"{type(begin).__name__} came before Begin.")
    except ProtocolError as error:
        say(Ended(False, str(error)))
        return
    # As people who use dbt do: the paths in a profile may be relative.
    os.chdir(begin.folder)
    Child(begin, orders, say).run()
    # Not through Python's own end: a thread that never returns would be waited for.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
