"""The doctor looks for seconds: what at, it says where somebody watches."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform


def examined(folder: Path) -> tuple[str, str]:
    """What is said on standard output, and on a terminal that has standard error."""
    ours, theirs = pty.openpty()
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("DAGSTER", "NO_COLOR"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster_transform.cli", "doctor", "--json", "-c", str(folder)],
        stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL, text=True,
        env={**keep, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    return out, said.decode(errors="replace")


def test_a_terminal_is_told_what_is_looked_at(tmp_path: Path) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    project = Project(tmp_path / "p", database, {"m.a": "kind FULL\n---\nSELECT 1 AS n"})
    transform = Transform(tmp_path, [project])
    try:
        out, said = examined(tmp_path)
        for words in ("project p", "the graph"):
            assert f"Examining {words}" in said, said
        assert json.loads(out)
    finally:
        transform.close()
