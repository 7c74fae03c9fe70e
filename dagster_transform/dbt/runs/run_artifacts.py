"""The artifacts of runs and their folders: what dbt did, and the SQL that it did it with.

dbt's own run_results.json disagrees with what happened where nodes were cancelled, so it is
written here, from what the run knows.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from dagster_transform.process.private_files import make_private, write_private

_RESULTS = "run_results.json"
_SOURCES = "sources.json"
_COMPILED = "compiled"
_ABANDONED = 7 * 24 * 3600.0
"""Seconds after which a run that has not ended was killed with its process."""
_TARGET = "target"  # dbt's own name of the folder that it writes to


def write_artifacts(
    folder: Path,
    entries: Sequence[Mapping[str, Any]],
    dbt: Mapping[str, Any],
    invocation: str,
    *,
    began: datetime,
    ended: datetime,
) -> None:
    """Write run_results.json, and sources.json where a source's freshness was asked for.

    Args:
        folder: The run's folder.
        entries: What `Result.artifact` says of each node, as it has ended.
        dbt: What `Loaded.metadata` says.
        invocation: dbt's invocation id.
        began: When the invocation was begun, aware.
        ended: When it was over, aware.
    """
    elapsed = (ended - began).total_seconds()
    sources = [entry for entry in entries if entry["unique_id"].startswith("source.")]
    nodes = [entry for entry in entries if not entry["unique_id"].startswith("source.")]

    def metadata(schema: str) -> dict[str, Any]:
        return {
            "dbt_schema_version": dbt[schema],
            "dbt_version": dbt["dbt_version"],
            "generated_at": _utc(ended),
            "invocation_id": invocation,
            "invocation_started_at": _utc(began),
            "env": {},
        }

    _write(
        folder / _RESULTS,
        {
            "metadata": metadata("run_results"),
            "results": nodes,
            "elapsed_time": elapsed,
            "args": dbt["args"],
        },
    )
    if sources:
        _write(
            folder / _SOURCES,
            {"metadata": metadata("sources"), "results": sources, "elapsed_time": elapsed},
        )


def kept_path(folder: Path, text: str) -> str:
    """A text of dbt's that names a node's SQL, naming the file that is kept of it."""
    executed = folder / _TARGET / "run"
    return text.replace(f"{executed}{os.sep}", f"{folder / _COMPILED}{os.sep}")


def tidy(folder: Path) -> None:
    """Keep of a run that is over its artifacts and the compiled SQL."""
    target = folder / _TARGET
    with suppress(OSError):
        os.replace(target / _COMPILED, folder / _COMPILED)
    shutil.rmtree(target, ignore_errors=True)
    for entry in _entries(folder):
        if entry.name not in (_RESULTS, _SOURCES, _COMPILED):
            remove(entry)
    make_private(folder)


def prune(runs: Path, keep: int, now: datetime) -> None:
    """Remove all but the last runs that are over, and those of killed runs.

    Two processes may do so at once, while runs go on.

    Args:
        runs: The folder of the runs' folders.
        keep: How many of them stay.
        now: The moment, aware.
    """
    over: list[tuple[float, Path]] = []
    for folder in _entries(runs):
        with suppress(OSError):
            results = folder / _RESULTS
            if results.exists():
                over.append((results.stat().st_mtime, folder))
            elif now.timestamp() - folder.stat().st_mtime > _ABANDONED:
                remove(folder)
    for _, folder in sorted(over, reverse=True)[keep:]:
        remove(folder)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def remove(path: Path) -> None:
    """Remove a file or folder, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_private(path, json.dumps(content, default=str))


def _utc(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat() + "Z"
