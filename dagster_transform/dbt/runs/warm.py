"""The warm dbt process of a code server, and the forks of it that are runs' dbt processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import wait as ready
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

from dagster_transform.dbt.command_line import WARM_PROCESS
from dagster_transform.dbt.fork_requests import NO_FORK, ForkRequest, receive_number

_MODULE = "dagster_transform.dbt.child.warm"
_PATIENCE = 2.0
"""Seconds in which a fork has to be there: a new process takes about as long."""
_POLL = 0.05
_LOOK = 1.0
"""Seconds between two looks whether a fork is there, of which the warm process says nothing."""

_kept: list[subprocess.Popen[bytes]] = []
"""It ends when what it has as standard input is closed: with this process."""


def start_warm_process(files: Sequence[Path], environment: Mapping[str, str]) -> bool:
    """Start the warm dbt process of this code server, which ends with it. The processes that this
    one starts from now on find it in their environment.

    Args:
        files: partial_parse.msgpack of each project.
        environment: Of dbt's processes (`spawn.environment`).

    Returns:
        Whether there will be one. It is not waited for.
    """
    if not hasattr(os, "fork") or not hasattr(socket, "send_fds") or _kept:
        return bool(_kept)
    try:
        # Not in the project's folder: a socket's path has hardly more than a hundred characters.
        folder = mkdtemp(prefix="dagster-transform-")
        address = os.path.join(folder, "dbt")
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, address, *map(str, files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    except OSError:
        return False
    _kept.append(process)
    os.environ[WARM_PROCESS] = address
    return True


class ForkedProcess:
    """A fork of the warm dbt process, with what is needed here of a `subprocess.Popen`.

    Args:
        connection: To the warm process, which says how it has ended.
        pid: Its process id, and that of its process group.
        stdin: What it reads.
        stdout: What it writes.
    """

    def __init__(
        self, connection: socket.socket, pid: int, stdin: IO[bytes], stdout: IO[bytes]
    ) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self._connection = connection
        self._lock = threading.Lock()
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, as Python has it; None: it has not ended."""
        return self._ended(wait=False)

    def wait(self) -> int | None:
        """Wait until it has ended; its exit status, or None: nobody knows it any more."""
        return self._ended(wait=True)

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)

    def _ended(self, *, wait: bool) -> int | None:
        with self._lock:
            if self._status is None and self._connection.fileno() >= 0:
                try:
                    while not (said := ready([self._connection], _LOOK if wait else 0)):
                        if not wait or not self._runs():
                            break  # or the warm process, which would say how, does nothing
                    if said:
                        self._status = receive_number(self._connection)
                except OSError:  # the warm process was killed: it is a child of another's now
                    while wait and self._runs():
                        time.sleep(_POLL)
                if wait:
                    self._connection.close()
            return self._status

    def _runs(self) -> bool:
        import psutil  # type: ignore[import-untyped]

        try:
            return bool(psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


def fork_of_warm_process(
    address: str, folder: Path, errors: IO[bytes], environment: Mapping[str, str], parsed: str = ""
) -> ForkedProcess | None:
    """A fork of the warm dbt process; None: there is none to be had.

    Args:
        address: The warm process's socket.
        folder: Its working directory.
        errors: For its standard error.
        environment: Its environment.
        parsed: partial_parse.msgpack of a project, to read before the first order; or "".
    """
    with ExitStack() as unless_it_is_there, ExitStack() as of_the_fork:
        try:
            if os.stat(address).st_uid != os.getuid():
                return None
            connection = unless_it_is_there.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(_PATIENCE)
            connection.connect(address)
            read, write = os.pipe()
            orders = of_the_fork.enter_context(os.fdopen(read, "rb"))
            stdin = unless_it_is_there.enter_context(os.fdopen(write, "wb"))
            read, write = os.pipe()
            news = of_the_fork.enter_context(os.fdopen(write, "wb"))
            stdout = unless_it_is_there.enter_context(os.fdopen(read, "rb"))
            ends = (orders.fileno(), news.fileno(), errors.fileno())
            ForkRequest(str(folder), dict(environment), parsed).send(connection, ends)
            pid = receive_number(connection)
        except (OSError, ValueError):
            return None
        if pid == NO_FORK:
            return None
        connection.settimeout(None)
        unless_it_is_there.pop_all()
        return ForkedProcess(connection, pid, stdin, stdout)
