"""Python commands in processes of their own that begin where the imports are done.

`dbt`, `sqlmesh` and `dagster` import for one to three seconds, and tests that are not about the
start of a process call them hundreds of times. A process forked from one that has imported them has
all else that a process has: arguments, folder, environment, output, exit code, a pid to kill.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Event, Lock, Timer

from tests.support import fork_server

DAGSTER = ("dagster._cli", "dagster_transform.dagster", "dagster_transform.cli", "sqlmesh")
"""What `dagster`, `dagster-transform` and `sqlmesh` import, without sqlmesh.cli: that takes the
folder it is imported in for the project's."""
DBT = ("dbt.cli.main", "dbt.adapters.duckdb", "dbt.adapters.postgres")
"""What `dbt` imports; a process of Dagster's never does."""


class ForkServer:
    """Forks into commands, one after the other.

    Args:
        modules: What is imported before.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._one_at_a_time = Lock()
        self._process = subprocess.Popen(
            [sys.executable, fork_server.__file__, *modules],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        atexit.register(self._process.communicate)  # closes its stdin, and waits for its end

    def run(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """What `python <arguments>` has come to; the arguments begin with `-m` or `-c`.

        Raises:
            TimeoutExpired: It took longer, in seconds, and was killed.
        """
        with self._one_at_a_time, tempfile.TemporaryDirectory(prefix="forked-") as folder:
            files = {name: Path(folder, name) for name in ("stdout", "stderr")}
            order = {
                "arguments": list(arguments),
                "cwd": str(cwd),
                "environment": dict(environment),
                **{name: str(path) for name, path in files.items()},
            }
            pid = self._ask(json.dumps(order))
            took_longer = Event()

            def kill() -> None:
                took_longer.set()
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

            timer = Timer(timeout, kill)
            timer.start()
            try:
                code = self._ask()
            finally:
                timer.cancel()
            said = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
        if took_longer.is_set():
            raise subprocess.TimeoutExpired(
                list(arguments), timeout, said["stdout"], said["stderr"]
            )
        return subprocess.CompletedProcess(list(arguments), code, said["stdout"], said["stderr"])

    def _ask(self, order: str = "") -> int:
        """The next number that the server says, after an order if there is one."""
        assert self._process.stdin
        assert self._process.stdout
        if order:
            print(order, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "the fork server has ended; stderr says why"
        return int(line)


@cache
def forks_of(*modules: str) -> ForkServer:
    """The server of this process that has these modules imported; it is started once."""
    return ForkServer(modules)
