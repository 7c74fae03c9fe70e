"""Private parts of Dagster's code server: how it starts the processes of runs. With a contract
test.

It starts each with Python's start method `spawn`: an interpreter that imports Dagster, the user's
definitions and the frameworks anew. With `forkserver`, a method of Python's own too, one process
has imported the packages once, and runs are forks of it. That process is a child of the code
server's and ends with it; it has one thread, and knows nothing of the user's files, which each run
reads as before. Its socket is in a folder of its own that only this user can open.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from types import FrameType
from typing import Any

BEGINS_RUNS = "dagster._grpc.impl"
"""The module with whose function the process of a run begins."""


def start_runs_with_forkserver(preload: Sequence[str]) -> bool:
    """Let the code server in which definitions are loading start runs as forks of a process that
    has imported packages; it is started at once.

    Args:
        preload: Modules to import there. One that can't be imported is left out.

    Returns:
        Whether this is a code server, and the start method is to be had.
    """
    server = _code_server()
    if server is None or "forkserver" not in multiprocessing.get_all_start_methods():
        return False
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    forkserver.ensure_running()
    server._mp_ctx = context
    return True


def is_code_server() -> bool:
    """Whether definitions are loading in a code server."""
    return _code_server() is not None


def _code_server() -> Any:
    """The code server whose loading of definitions has led here; None: there is none."""
    module = sys.modules.get("dagster._grpc.server")
    if module is None:
        return None
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("self")
        if isinstance(found, module.DagsterApiServer):
            return found
        frame = frame.f_back
    return None
