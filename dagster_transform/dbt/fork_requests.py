"""What a run asks of the warm dbt process, and is answered: a fork, by a local socket.

run  ->  ForkRequest as a line of JSON, with three file descriptors
run  <-  the fork's process id, a line; 0: it can't be had
run  <-  its exit status, a line, once it has ended; negative: the signal
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

NO_FORK = 0
"""Instead of a process id: a fork can't have the environment that it is to have."""

_AT_START = ("PYTHON", "LD_", "DYLD_", "LANG", "LC_", "MALLOC_")
_DESCRIPTORS = 3
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """A dbt process that is to be a fork. Sent with what its standard input, output and error are.

    Attributes:
        folder: Its working directory.
        environment: Its environment.
        parsed: partial_parse.msgpack of a project, to read before the first order; or "".
    """

    folder: str
    environment: Mapping[str, str] = field(repr=False)
    parsed: str = ""

    def send(self, connection: socket.socket, descriptors: Sequence[int]) -> None:
        """Send it. Raises OSError."""
        line = json.dumps(asdict(self)).encode("ascii") + b"\n"
        sent = socket.send_fds(connection, [line], descriptors)
        connection.sendall(line[sent:])

    @staticmethod
    def receive(connection: socket.socket) -> tuple[ForkRequest, list[int]]:
        """The request that is sent, and the file descriptors.

        Raises:
            OSError: It is not whole.
            ValueError: It is none.
        """
        line, descriptors, _, _ = socket.recv_fds(connection, _CHUNK, _DESCRIPTORS)
        while not line.endswith(b"\n"):
            if not (more := connection.recv(_CHUNK)):
                raise ConnectionError("It is not whole.")
            line += more
        if len(descriptors) != _DESCRIPTORS:
            raise ValueError(f"{len(descriptors)} file descriptors")
        return ForkRequest(**json.loads(line)), descriptors


def of_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables that a process reads once, when it starts: a fork has its parent's."""
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}


def send_number(connection: socket.socket, number: int) -> None:
    """Send a process id or an exit status. Raises OSError."""
    connection.sendall(b"%d\n" % number)


def receive_number(connection: socket.socket) -> int:
    """The process id or exit status that is sent; waits for it.

    Raises:
        OSError: The other side has ended.
    """
    line = b""
    while not line.endswith(b"\n"):
        if not (more := connection.recv(1)):
            raise ConnectionError("The other side has ended.")
        line += more
    return int(line)
