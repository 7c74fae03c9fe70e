"""A Python process that has imported what takes long, and forks into commands.

`python fork_server.py module...` imports the modules, and reads orders from stdin, a JSON object a
line. For each it answers with the process's id, and, once that has ended, with its exit code. It
imports nothing of the tests: the commands start as bare as `python -m` would have them.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import sys
import warnings
from typing import Any


def serve() -> dict[str, Any] | None:
    """Fork for each order, one after the other; returns an order in the process that is to do it,
    and None where no further one comes."""
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        with warnings.catch_warnings(action="ignore"):  # threads of OpenBLAS, which knows of forks
            pid = os.fork()
        if pid == 0:
            return order
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def carry_out(order: dict[str, Any]) -> None:
    """Become `python <arguments>`, as far as what is imported already lets."""
    for number, path in enumerate([os.devnull, order["stdout"], order["stderr"]]):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [os.getcwd(), *(path for path in added if path)]
    how, what, *arguments = order["arguments"]
    sys.argv = [what if how == "-m" else how, *arguments]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})


if __name__ == "__main__":
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.freeze()  # so that forks share the memory
    if (found := serve()) is not None:
        carry_out(found)
