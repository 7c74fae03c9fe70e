"""Starting the dbt process of a run; also ahead, before anybody knows what it is to do.

Importing dbt takes a second, which Dagster's own loading and planning can take place in. A process
that was started ahead imports dbt, reads what `prepare` has parsed, and waits for its first order;
the first dbt project of the run takes it.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from dagster_transform.dbt.command_line import WARM_PROCESS, child_environment
from dagster_transform.process.memory import HIGH, memory_in_use

if TYPE_CHECKING:
    from dagster_transform.dbt.runs.warm import ForkedProcess

_MODULE = "dagster_transform.dbt.child"


@dataclass(frozen=True, slots=True)
class SpawnedProcess:
    """A process that waits for its first order.

    Attributes:
        process: It; its standard input and output are pipes.
        errors: What it prints on standard error.
        environment: Its environment.
    """

    process: subprocess.Popen[bytes] | ForkedProcess
    errors: IO[bytes]
    environment: Mapping[str, str]


class SpareProcess:
    """A process that was started before anybody knew what it is to do.

    Making one starts the process. It ends when it is dismissed, and with the process that started
    it.

    Args:
        parsed: partial_parse.msgpack of a project.

    Raises:
        OSError: It can't be started.
    """

    def __init__(self, parsed: Path) -> None:
        errors = TemporaryFile()  # noqa: SIM115 - it is open as long as the process is
        self._spawned: SpawnedProcess | None = _spawn(
            parsed.parent, errors, environment(), str(parsed)
        )
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Its process id; None: it was taken or dismissed."""
        return self._spawned.process.pid if self._spawned is not None else None

    def take(self, wanted: Mapping[str, str]) -> SpawnedProcess | None:
        """The process, for whoever asks first; it is ended where it can't be used.

        Args:
            wanted: The environment that it must have. What was set since it was started, a password
                say, it does not have.
        """
        spawned = self._pop()
        if spawned is None:
            return None
        if spawned.environment == wanted and spawned.process.poll() is None:
            return spawned
        _end(spawned)
        return None

    def dismiss(self) -> None:
        """End it, unless it was taken: the run needs no dbt."""
        if (spawned := self._pop()) is not None:
            _end(spawned)

    def _pop(self) -> SpawnedProcess | None:
        with self._lock:
            spawned, self._spawned = self._spawned, None
            return spawned


def spare_process(parsed: Path) -> SpareProcess | None:
    """A process for a run that is about to begin in this process.

    It is a guess that saves time: where there can't be one, nothing is said.

    Args:
        parsed: partial_parse.msgpack of a project; where it is missing, nothing is started.
    """
    with suppress(OSError):
        if os.access(parsed, os.R_OK) and memory_in_use() < HIGH:
            return SpareProcess(parsed)
    return None


def spawn(folder: Path, errors: Path, spare: SpareProcess | None = None) -> SpawnedProcess:
    """A process that waits for its first order: the spare one where it can be used, or a new one.

    Args:
        folder: Its working directory, if it is new. Python looks there for modules first; in a
            project's folder there may be a dbt.py.
        errors: The file for its standard error, if it is new.
        spare: A process that was started ahead.
    """
    wanted = environment()
    ahead = spare.take(wanted) if spare is not None else None
    return ahead or _spawn(folder, errors.open("w+b"), wanted)


def environment() -> dict[str, str]:
    """This process's environment, and where it has found this package.

    A code location's working directory is on its `sys.path`, but not on that of a new process.
    """
    root = str(Path(__file__).parents[3])
    found = child_environment()
    if root in (*site.getsitepackages(), site.getusersitepackages()):
        return found
    paths = [path for path in found.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**found, "PYTHONPATH": os.pathsep.join(dict.fromkeys([*paths, root]))}


def _spawn(
    folder: Path, errors: IO[bytes], environment: Mapping[str, str], parsed: str = ""
) -> SpawnedProcess:
    """A fork of the code server's warm process where there is one, or a process of its own."""
    if address := os.environ.get(WARM_PROCESS):
        from dagster_transform.dbt.runs.warm import fork_of_warm_process

        if fork := fork_of_warm_process(address, folder, errors, environment, parsed):
            return SpawnedProcess(fork, errors, environment)
    process = subprocess.Popen(
        [sys.executable, "-m", _MODULE, *([parsed] if parsed else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    return SpawnedProcess(process, errors, environment)


def _end(spawned: SpawnedProcess) -> None:
    """It has no database open and does nothing but import: nothing is lost."""
    spawned.process.kill()
    spawned.process.wait()
    for pipe in (spawned.process.stdin, spawned.process.stdout, spawned.errors):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
