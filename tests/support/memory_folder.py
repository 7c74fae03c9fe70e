"""Temporary files of tests in memory, where the machine has room for them.

SQLite, DuckDB and PostgreSQL wait for the disk at each commit, and tests make new databases all the
time: on a disk a test waits as long as it works. What a killed process leaves behind is the same in
memory; only a machine that loses its power would leave less, and no test does that.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
ROOM = 6 * 2**30
"""Bytes; more than all tests write, and a container's 64 MB are not it."""


def keep_temporary_files_in_memory(folder: Path = SHARED_MEMORY) -> bool:
    """Have this process, and those that it starts, make temporary files in memory.

    Where somebody has chosen (`TMPDIR`), that holds. Where there is no such folder (macOS), where
    nothing may be executed in it, or memory is short, they go to the disk.
    """
    if "TMPDIR" in os.environ or not os.access(folder, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(folder)
    if found.f_flag & os.ST_NOEXEC or min(found.f_bavail * found.f_frsize, _available()) < ROOM:
        return False
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return True


def _available() -> int:
    """Bytes of memory that can be had without swapping; 0 where that is not known."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    sizes = dict(line.split(":") for line in lines)
    return int(sizes.get("MemAvailable", "0 kB").split()[0]) * 1024
