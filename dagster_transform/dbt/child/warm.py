"""`python -m dagster_transform.dbt.child.warm SOCKET PARSED...`: the warm dbt process.

It has imported dbt and read the projects once; the dbt processes of runs are forks of it. It has
one thread and opens no database. It ends with the process that started it, whose end it hears on
standard input, and where memory becomes short; its forks go on, and it waits for them.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from dagster_transform.dbt.child import __main__ as child
from dagster_transform.dbt.child import _compat_warm
from dagster_transform.dbt.fork_requests import NO_FORK, ForkRequest, of_start, send_number
from dagster_transform.process.memory import HIGH, memory_in_use

_EVERY = 5.0
"""Seconds between two looks at the files and the memory."""
_CHUNK = 65536
_PATIENCE = 10.0
"""Seconds in which a request has to be whole."""


def main(address: str, files: Sequence[Path]) -> None:
    """Serve forks until there is no more need.

    Args:
        address: The socket, in a folder that only this user can open.
        files: partial_parse.msgpack of each project; they may be written anew at any time.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        # The socket is there once forks can be had: nobody waits for the import.
        projects = ParsedProjects(files)
        usual = os.umask(0o177)
        listener.bind(address)
        os.umask(usual)
        listener.listen(64)
        Forks(listener, projects).serve()


class ParsedProjects:
    """The projects as they were read, and whether the files are others by now."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._read: dict[Path, tuple[int, ...]] = {}
        self.read()

    def read(self) -> None:
        """Read them if one has changed; what can't be read is left to the run, which says why."""
        found = {file: _identity(file) for file in self._files}
        if found == self._read:
            return
        self._read = found
        gc.unfreeze()
        _compat_warm.forget()
        gc.collect()
        gc.disable()
        with suppress(Exception):
            _compat_warm.import_dbt()
            for file in self._files:
                with suppress(Exception):
                    _compat_warm.read_ahead(file.read_bytes())
            with suppress(Exception):
                _compat_warm.make_methods()
            _compat_warm.end_threads()
        # Forks share what is never looked at again.
        gc.freeze()
        gc.enable()


class Forks:
    """Forks itself for whoever asks, and tells how the forks have ended.

    Args:
        listener: The socket, which is closed when no more are to be had.
        projects: What the forks have read.
    """

    def __init__(self, listener: socket.socket, projects: ParsedProjects) -> None:
        self._listener = listener
        self._projects = projects
        self._connections: dict[int, socket.socket] = {}  # of each fork, to whoever asked for it
        self._ended, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until standard input ends or forks can't be had, and then until they have ended."""
        with selectors.DefaultSelector() as selector:
            for each in (self._listener, self._ended, 0):
                selector.register(each, selectors.EVENT_READ)
            serving = True
            while serving or self._connections:
                ready = {key.fd for key, _ in selector.select(_EVERY)}
                if self._ended in ready:
                    os.read(self._ended, _CHUNK)
                self._tell_ended()
                if not serving:
                    continue
                serving = 0 not in ready and _may_fork()
                if not serving:
                    selector.unregister(0)
                    selector.unregister(self._listener)
                    self._remove_socket()
                elif self._listener.fileno() in ready:
                    self._fork(selector)
                elif not ready:
                    self._projects.read()

    def _fork(self, selector: selectors.BaseSelector) -> None:
        connection, _ = self._listener.accept()
        pid = os.fork()
        if pid:
            self._connections[pid] = connection
            return
        # Who waits for the end of another fork would wait for this one's too.
        selector.close()
        for each in (self._listener, *self._connections.values()):
            each.close()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._ended)
        os.close(self._wake)
        _become_child(connection)

    def _tell_ended(self) -> None:
        while self._connections:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._connections.pop(pid) as connection, suppress(OSError):
                send_number(connection, os.waitstatus_to_exitcode(status))

    def _remove_socket(self) -> None:
        address = Path(self._listener.getsockname())
        self._listener.close()
        with suppress(OSError):
            address.unlink()
            address.parent.rmdir()


def _become_child(connection: socket.socket) -> NoReturn:
    """Be the dbt process that is asked for; never returns."""
    status = 1
    try:
        os.setsid()
        with connection:
            connection.settimeout(_PATIENCE)
            request, descriptors = ForkRequest.receive(connection)
            fits = of_start(request.environment) == of_start(os.environ)
            send_number(connection, os.getpid() if fits else NO_FORK)
        if fits:
            for standard, descriptor in enumerate(descriptors):
                os.dup2(descriptor, standard)
                os.close(descriptor)
            os.environ.clear()
            os.environ.update(request.environment)
            time.tzset()
            os.chdir(request.folder)
            child.main(Path(request.parsed) if request.parsed else None)
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, this is not the warm process any more
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def _identity(file: Path) -> tuple[int, ...]:
    """Changes whenever a file is written anew."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _may_fork() -> bool:
    """Whether there is memory, and nothing that was imported has begun threads: a fork would lack
    them."""
    return not _compat_warm.has_threads() and memory_in_use() < HIGH


if __name__ == "__main__":
    main(sys.argv[1], [Path(name) for name in sys.argv[2:]])
