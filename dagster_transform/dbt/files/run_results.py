"""What an invocation of dbt outside of Dagster has done, from its artifacts: pure but for reading.

Only what it says for sure is taken: statuses of commands that build or test, of relations that are
those of the graph.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dagster_transform.errors import redact

RUN_RESULTS, MANIFEST = "run_results.json", "manifest.json"
_COMMANDS = ("build", "run", "seed", "snapshot", "test", "retry")
"""Others (`compile`, `docs generate`, `clone`) call `success` what has built nothing."""
_NOT_MADE = re.compile(r"(?:\x1b\[[0-9;]*m)*(?:NO-OP|CLONE)\b|skip ")
_BUILT, _JUDGED = ("success",), ("pass", "warn", "fail")
_QUOTES = re.compile(r"[\"`\[\]]")
_NEWEST = 20
"""Folders of artifacts that one look reads."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A result of a data test or a unit test.

    Attributes:
        at: When, in seconds since 1970.
        passed: Whether it passed.
        error: Whether a failure is one, and no warning.
        failed_rows: How many rows were not as they are to be, where dbt says it.
    """

    at: float
    passed: bool
    error: bool
    failed_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Invocation:
    """What an invocation has done.

    Attributes:
        id: dbt's invocation id.
        command: What was called (`build`).
        target: The target, where one was given on the command line.
        built_at: When nodes were built, in seconds since 1970, by unique id.
        judged: Results of tests, by unique id.
        relations: What is known of where nodes and sources are, by unique id.
    """

    id: str
    command: str
    target: str | None = None
    built_at: Mapping[str, float] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)
    relations: Mapping[str, str] = field(default_factory=dict)


def newest_run_results(folder: Path) -> list[Path]:
    """The files of results in a folder and in the folders in it, the last written ones; the newest
    first. Raises OSError: it can't be read, and is there."""
    if not folder.is_dir():
        return []
    found: list[tuple[int, Path]] = []
    for path in (folder / RUN_RESULTS, *folder.glob(f"*/{RUN_RESULTS}")):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found, reverse=True)[:_NEWEST]]


def read_invocation(path: Path) -> Invocation | None:
    """What a file of results says, with the manifest beside it where that is of the same
    invocation; None: of a command that neither builds nor tests, or that made empty relations.

    Raises:
        OSError: It can't be read.
        ValueError: It is no such file, or only a part of one.
    """
    raw = _object(path)
    try:
        id = str(raw["metadata"]["invocation_id"])
        arguments = raw.get("args") or {}
        command = str(arguments.get("which", ""))
        if command not in _COMMANDS or arguments.get("empty"):
            return None
        results = raw["results"]
        relations = {
            each["unique_id"]: each["relation_name"]
            for each in results
            if each.get("relation_name")
        }
        manifest = _manifest(path.with_name(MANIFEST), id)
        return Invocation(
            id,
            command,
            arguments.get("target"),
            {each["unique_id"]: _ended(each, raw) for each in results if _is_built(each)},
            {each["unique_id"]: _judged(each, raw) for each in results if _is_judged(each)},
            {**relations, **manifest},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no run_results.json of dbt: {redact(repr(error))}") from None


def same_relation(name: str, other: str) -> bool:
    """Whether a relation as dbt writes it (`"db"."main"."orders"`) is one of a graph."""
    return _QUOTES.sub("", name).casefold() == other.casefold()


def _object(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no object")
    return found


def _manifest(path: Path, invocation: str) -> dict[str, str]:
    """Where everything is, as the manifest of this invocation has it."""
    try:
        raw = _object(path)
    except (OSError, ValueError):
        return {}
    if raw.get("metadata", {}).get("invocation_id") != invocation:
        return {}
    every: Iterable[tuple[str, Any]] = (*raw["nodes"].items(), *raw["sources"].items())
    return {id: each["relation_name"] for id, each in every if each.get("relation_name")}


def _is_built(result: Mapping[str, Any]) -> bool:
    kind = result["unique_id"].split(".")[0]
    made = result["status"] in _BUILT and not _NOT_MADE.match(str(result.get("message") or ""))
    return kind in {"model", "seed", "snapshot"} and made


def _is_judged(result: Mapping[str, Any]) -> bool:
    kind = result["unique_id"].split(".")[0]
    return kind in {"test", "unit_test"} and result["status"] in _JUDGED


def _judged(result: Mapping[str, Any], raw: Mapping[str, Any]) -> Judged:
    status, rows = result["status"], result.get("failures")
    return Judged(
        _ended(result, raw),
        status == "pass",
        status == "fail",
        rows if isinstance(rows, int) else None,
    )


def _ended(result: Mapping[str, Any], raw: Mapping[str, Any]) -> float:
    """When a result was there; where dbt has not timed it, when the file was written."""
    ends = [each["completed_at"] for each in result.get("timing") or () if each.get("completed_at")]
    text = max(ends, default=raw["metadata"]["generated_at"])
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:  # older versions of dbt leave it out, and mean UTC
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()
