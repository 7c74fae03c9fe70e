"""Whether the machine has enough memory for another dbt process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from dagster_transform.dbt.errors import DbtError
from dagster_transform.process.memory import memory_in_use

_POLL = 0.5
_CGROUPS = Path("/sys/fs/cgroup")


class OutOfMemoryError(DbtError):
    """There is too little memory to start dbt."""


class MemoryKills:
    """Counts the processes that the system has killed because memory ran out, from now on.

    Args:
        places: Files that say how many, as `oom_kill <number>`: those of this process's own control
            group where there are such, else those of the machine.
    """

    def __init__(self, places: Sequence[Path] | None = None) -> None:
        self._places = _kill_counts() if places is None else places
        self._before = self._count()

    def have_come(self) -> bool:
        """Whether there are more by now. Where nobody counts them, there are none."""
        return self._count() > self._before

    def _count(self) -> int:
        for place in self._places:
            with suppress(OSError, ValueError):
                for line in place.read_text(encoding="ascii").splitlines():
                    key, _, number = line.partition(" ")
                    if key == "oom_kill":
                        return int(number)
        return 0


def _kill_counts() -> list[Path]:
    """Linux has them: of the control group, version 2 or 1, and of the whole machine."""
    places: list[Path] = []
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                places.append(_CGROUPS / group.strip("/") / "memory.events")
            elif "memory" in controllers.split(","):
                places.append(_CGROUPS / "memory" / group.strip("/") / "memory.oom_control")
    return [*places, Path("/proc/vmstat")]


def wait_for_memory(
    project: str,
    limit: float,
    patience: float,
    *,
    in_use: Callable[[], float] = memory_in_use,
    now: Callable[[], float] = monotonic,
    rest: Callable[[float], None] = sleep,
) -> None:
    """Wait until at most `limit` of the memory is in use.

    Args:
        project: The project's name, for the message.
        limit: A share, from 0 to 1; 1 and more: never wait.
        patience: Seconds.
        in_use: Says which share is in use.
        now: A clock that never goes back.
        rest: Waits.

    Raises:
        OutOfMemoryError: It took longer than `patience`.
    """
    end = now() + patience
    while limit < 1 and (used := in_use()) > limit:
        if now() >= end:
            raise OutOfMemoryError(
                f"Project {project}: {used:.0%} of the machine's memory was in use for"
                f" {patience:g} s, and dbt is started with at most {limit:.0%}.",
                remedy="Let fewer runs go at the same time, or raise the run option dbt.memory (or "
                "dbt.memory_wait, the seconds to wait) of the transform resource.",
            )
        rest(_POLL)
