"""Memory is that of a process and of all that it starts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.memory import Watched

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells it"
)
HALF = 60 << 20
# A parent and a child that have 60 MB each at the same time; the child ends first.
CHILD = f"kept = b'x' * {HALF}; import time; time.sleep(1.5)"
PARENT = (
    f"kept = b'x' * {HALF}; import subprocess, sys; "
    f"subprocess.run([sys.executable, '-c', {CHILD!r}])"
)
FORKED = (
    f"kept = b'x' * {HALF}; import os, time; pid = os.fork(); time.sleep(1.5); pid and os.wait()"
)


def peak_of(program: str) -> int:
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        watched = Watched(process.pid)
        process.wait()
        began = time.monotonic()
        found = watched.stop()
    assert time.monotonic() - began < 5
    return found


def test_what_a_child_has_counts_too() -> None:
    assert 120 <= peak_of(PARENT) < 200


def test_what_a_fork_shares_counts_once() -> None:
    assert 60 <= peak_of(FORKED) < 115


def test_a_process_that_is_not_there_any_more_has_none() -> None:
    assert peak_of("") < 60
