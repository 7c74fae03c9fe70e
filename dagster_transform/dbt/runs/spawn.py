"""Starting the dbt process of a run; also ahead, before anybody knows what it is to do.

Importing dbt takes a second, which Dagster's own loading and planning can take place in. A process
that was started ahead imports dbt, reads what `prepare` has parsed, and waits for its first order;
the first session of the run takes it. One that nobody takes ends with the process that started it.
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
from typing import IO

from dagster_transform.dbt.files.parse import child_environment
from dagster_transform.dbt.runs.memory import memory_in_use

_MODULE = "dagster_transform.dbt.child"
_MEMORY = 0.8
"""Share of the machine's memory in use from which on nothing is started ahead."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A process that waits for its first order.

    Attributes:
        process: It; its standard input and output are pipes.
        errors: What it prints on standard error.
        environment: Its environment.
    """

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    environment: Mapping[str, str]


_ahead: list[Spawned] = []
"""At most one."""
_lock = threading.Lock()


def spawn_ahead(parsed: Path) -> None:
    """Start a process for a run that is about to begin in this process, unless there is one.

    It is a guess that saves time: where it can't be started, nothing is said.

    Args:
        parsed: partial_parse.msgpack of a project; where it is missing, nothing is started.
    """
    with _lock, suppress(OSError):
        if not _ahead and parsed.is_file() and memory_in_use() < _MEMORY:
            errors = TemporaryFile()  # noqa: SIM115 - it is open as long as the process is
            _ahead.append(_spawn(parsed.parent, errors, environment(), str(parsed)))


def dismiss() -> None:
    """End the process that was started ahead, if there is one: this run needs no dbt."""
    if (spawned := _take()) is not None:
        _end(spawned)


def spawned(folder: Path, errors: Path) -> Spawned:
    """The process that was started ahead, or a new one.

    Args:
        folder: Its working directory, if it is new. Python looks there for modules first; in a
            project's folder there may be a dbt.py.
        errors: The file for its standard error, if it is new.
    """
    wanted = environment()
    ahead = _take()
    if ahead is not None:
        # What was set since then, a password say, it does not have.
        if ahead.environment == wanted and ahead.process.poll() is None:
            return ahead
        _end(ahead)
    return _spawn(folder, errors.open("w+b"), wanted)


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


def _take() -> Spawned | None:
    with _lock:
        return _ahead.pop() if _ahead else None


def _spawn(
    folder: Path, errors: IO[bytes], environment: Mapping[str, str], *arguments: str
) -> Spawned:
    process = subprocess.Popen(
        [sys.executable, "-m", _MODULE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    return Spawned(process, errors, environment)


def _end(ahead: Spawned) -> None:
    """It has no database open and does nothing but import: nothing is lost."""
    ahead.process.kill()
    ahead.process.wait()
    for pipe in (ahead.process.stdin, ahead.process.stdout, ahead.errors):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
