"""A way to a PostgreSQL server on which new connections can be held up: as on a slow network, a
process has asked for one, and the server knows nothing of it yet."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.postgres import PostgresDatabase


class HeldUpServer:
    """Passes on what comes and goes between clients and a server, over a unix socket.

    Args:
        folder: Of its own socket; its path must be short.
        server: The server.

    Attributes:
        host: What clients take as `host`; the port is the server's.
    """

    def __init__(self, folder: Path, server: PostgresDatabase) -> None:
        self.host = str(folder)
        self._server = f"{server.host}/.s.PGSQL.{server.port}"
        self._holds = False
        self._held: list[socket.socket] = []
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.{server.port}")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def held(self) -> int:
        """How many connections are held up."""
        return len(self._held)

    def hold(self) -> None:
        """Hold up the connections that come from now on."""
        with self._lock:
            self._holds = True

    def hold_no_more(self) -> None:
        """Let through those that come from now on; what is held up stays so."""
        with self._lock:
            self._holds = False

    def release(self) -> None:
        """Let through what was held up."""
        for client in self._held:
            self._connect(client)

    def close(self) -> None:
        """Cut everybody off."""
        self._listener.close()
        for one in self._sockets:
            with suppress(OSError):
                one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                with self._lock:
                    if self._holds:
                        self._held.append(client)
                        continue
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        self._sockets.append(server)
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def held_up_server(server: PostgresDatabase) -> Iterator[HeldUpServer]:
    """A way to a server, for the length of a test."""
    with TemporaryDirectory(prefix="pg") as folder:
        way = HeldUpServer(Path(folder), server)
        try:
            yield way
        finally:
            way.close()
