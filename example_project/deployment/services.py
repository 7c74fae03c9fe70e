"""The processes of a deployment: started with a log each, looked after, ended with all that they
have started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from example_project.deployment.errors import DeploymentError

MOST_STARTS = 5
"""So often within a minute a service is started again."""


@dataclass
class Service:
    """A process that is to run all the time.

    Attributes:
        name: As its log is called.
        command: What to execute.
        folder: Its working directory.
        environment: All of its environment.
        log: Where its output goes; what is there is kept.
        process: The running one.
        sessions: The sessions of all of them that there were: what they have started is in there.
        starts: When it was started, on this process's monotonic clock.
    """

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    sessions: list[int] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C in a terminal reaches only its supervisor."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command),
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.sessions.append(self.process.pid)
        self.starts.append(time.monotonic())

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self.sessions[-1]

    def ended(self) -> int | None:
        """Its exit code, below zero: the signal that ended it; None while it runs."""
        return None if self.process is None else self.process.poll()

    def started_too_often(self) -> bool:
        """Whether starting it again makes no sense."""
        return sum(time.monotonic() - at < 60 for at in self.starts) > MOST_STARTS

    def descendants(self) -> list[psutil.Process]:
        """What it and those before it have started and what is left of that, themselves not."""
        return [each for each in of_sessions(self.sessions) if each.pid not in self.sessions]

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        with suppress(OSError):
            text = self.log.read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""


def of_sessions(sessions: Iterable[int]) -> list[psutil.Process]:
    """The processes of these sessions that are alive, oldest first."""
    wanted, found = set(sessions), []
    for process in psutil.process_iter(["create_time"]):
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) in wanted and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return sorted(found, key=lambda each: each.info["create_time"])


def began_at(pid: int) -> float | None:
    """When a process has begun, in seconds since 1970; None: there is none with this number."""
    with suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return None


def send(processes: Iterable[psutil.Process], what: signal.Signals) -> None:
    """A signal to each that is still there."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(what)


def end(services: Sequence[Service], grace: float) -> None:
    """End services and all that they have started, runs too.

    Args:
        services: In this order.
        grace: Seconds that a run has to be interrupted in, and then each service to end.
    """
    # Runs first, and while their code server is there: they store that they were interrupted.
    runs = [run for service in services for run in run_workers(service)]
    send(runs, signal.SIGINT)
    psutil.wait_procs(runs, timeout=grace)
    for service in services:
        if service.process is not None and service.ended() is None:
            service.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                service.process.wait(grace)
    left = of_sessions(session for service in services for session in service.sessions)
    send(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=grace)
    for service in services:
        if service.process is not None:
            service.process.wait()


def run_workers(service: Service) -> list[psutil.Process]:
    """The processes of runs among what a code server has started."""
    return [each for each in service.descendants() if _is_run_worker(each)]


def _is_run_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any("spawn_main" in part for part in process.cmdline())
    return False


def user_of(port: int) -> str | None:
    """Who listens at a port of this machine, in words; None: nobody."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return _listener(port)
    return None


def _listener(port: int) -> str:
    with suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            if each.laddr and each.laddr.port == port and each.status == psutil.CONN_LISTEN:
                if each.pid is None:
                    break
                command = " ".join(psutil.Process(each.pid).cmdline())
                return f"process {each.pid} ({command[:100]})"
    return "another process"


def need_port(port: int, what: str, option: str) -> None:
    """Raises DeploymentError: A port is taken."""
    if (user := user_of(port)) is not None:
        raise DeploymentError(
            f"Port {port}, which {what} is to listen at, is in use by {user}.",
            f"Stop that, or choose another one: {option}",
        )
