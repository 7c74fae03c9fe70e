"""What of the machine and of the process would hinder runs: folders, and Python's bytecode."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from dagster_transform.config import ARTIFACTS_VARIABLE, TransformConfig
from dagster_transform.planning.findings import Code, Finding, Severity

_BYTECODE = "PYTHONDONTWRITEBYTECODE"


def process_findings() -> list[Finding]:
    """What of this process's environment costs every process that a run starts."""
    if not sys.dont_write_bytecode:
        return []
    return [
        Finding(
            Code.BYTECODE_NOT_WRITTEN,
            Severity.WARNING,
            what=f"Python writes no bytecode here: {_BYTECODE} is set.",
            cause="Every process then compiles what it imports, each time: seconds for a run, and "
            "for a code server.",
            remedy=f"Unset {_BYTECODE}; in an image, compile once: `python -m compileall`, or "
            "UV_COMPILE_BYTECODE=1.",
        )
    ]


def artifacts_findings(config: TransformConfig) -> list[Finding]:
    """Whether what `prepare` and runs make can be written."""
    why = why_unwritable(config.artifacts_root)
    if why is None:
        return []
    return [
        Finding(
            Code.ARTIFACTS_UNWRITABLE,
            Severity.WARNING,
            what=f"Nothing can be written to {config.artifacts_root}.",
            cause=f"{why}. `prepare` can't write graph files there, and runs with dbt nodes fail: "
            "each keeps dbt's artifacts. In an image with graph files, runs of SQLMesh alone do.",
            remedy="Let the user that runs Dagster write there, or name another folder: "
            f"`artifacts` in transform.yaml, or the environment variable {ARTIFACTS_VARIABLE}.",
            where=str(config.artifacts_root),
        )
    ]


def why_unwritable(folder: Path) -> str | None:
    """Why nothing can be written to a folder, which need not exist; None: something can. It is
    tried, because permissions say nothing of file systems that are read-only or full."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent  # it is made when it is needed
    if not there.is_dir():
        return f"{there} is no folder"
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"\0")
            file.flush()
    except OSError as error:
        return f"{there}: {error.strerror or error}"
    return None
