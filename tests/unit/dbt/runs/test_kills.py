"""Who has killed a dbt process is known: this run, the system because memory ran out, or somebody
else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from dagster_transform.dbt.protocol import Begin
from dagster_transform.dbt.runs import memory_check
from dagster_transform.dbt.runs.memory_check import MemoryKills
from dagster_transform.dbt.runs.process import DbtProcess
from dagster_transform.dbt.runs.termination import terminate


class Killed:
    """A dbt process, and why it is said to have ended."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        begin = Begin(("--version",), str(folder), "name", 0.0, ())
        self.process = DbtProcess(begin, folder, lambda _: None, self.said.append)

    def why(self) -> str:
        assert self.process.wait(30)
        return self.said[0]


def counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the place of the system's, which counts no kills yet."""
    place = folder / "memory.events"
    place.write_text("low 0\noom 7\noom_kill 2\n")
    monkeypatch.setattr(memory_check, "_kill_counts", lambda: [place])
    return place


def test_this_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = counted(tmp_path, monkeypatch)
    found = Killed(tmp_path)
    os.kill(found.process.pid, signal.SIGSTOP)  # it hears no interrupt
    place.write_text("oom_kill 3\n")  # of somebody else's
    terminate(found.process, 0.0)
    assert found.why() == (
        "this run has killed dbt's process: it did not end within 2 s of being interrupted"
    )


def test_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted(tmp_path, monkeypatch)
    found = Killed(tmp_path)
    os.kill(found.process.pid, signal.SIGKILL)
    assert found.why() == "dbt's process was killed by SIGKILL, not by this run"


def test_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = counted(tmp_path, monkeypatch)
    found = Killed(tmp_path)
    place.write_text("low 0\noom 9\noom_kill 3\n")
    os.kill(found.process.pid, signal.SIGKILL)
    assert found.why() == "the system killed dbt's process, because memory ran out"


def test_a_real_kill_of_the_systems_is_counted(tmp_path: Path) -> None:
    """In a control group of its own, where that may be made."""
    group = Path(f"/sys/fs/cgroup/memory/dagster-transform-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("30000000")
    except OSError:
        pytest.skip("control groups can't be made here")
    code = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')\nx = bytearray(2 * 10**8)"
    kills, of_machine = MemoryKills([group / "memory.oom_control"]), MemoryKills()
    try:
        assert not kills.have_come()
        done = subprocess.run([sys.executable, "-c", code], check=False)
        assert done.returncode == -signal.SIGKILL
        assert kills.have_come()
    finally:
        with suppress(OSError):
            group.rmdir()
    assert not MemoryKills([tmp_path / "nowhere"]).have_come()
    assert isinstance(of_machine.have_come(), bool)
