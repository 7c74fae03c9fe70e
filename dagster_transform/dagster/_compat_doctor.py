"""Private parts of Dagster that the doctor looks at, each with a contract test."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.reconstruct import repository_def_from_target_def
from dagster._core.workspace.autodiscovery import (
    loadable_targets_from_python_file,
    loadable_targets_from_python_module,
)
from dagster.components.definitions import LazyDefinitions


def run_limits(instance: dg.DagsterInstance) -> tuple[int, Mapping[str, int]] | None:
    """How many runs the instance's queue starts at once, and how many with a tag, by its key (for
    one value of it: left out); None: it has no queue."""
    found = instance.get_concurrency_config().run_queue_config
    if found is None:
        return None
    tags = {
        str(limit["key"]): int(limit["limit"])
        for limit in found.tag_concurrency_limits or ()
        if limit.get("value") in (None, "true")
    }
    return found.max_concurrent_runs, tags


def monitors_runs(instance: dg.DagsterInstance) -> bool:
    """Whether the instance looks after runs whose processes have died."""
    return bool(instance.run_monitoring_enabled)


def silent_daemons(instance: dg.DagsterInstance) -> dict[str, tuple[datetime | None, str]]:
    """The daemons that the instance needs and that are not well, by name: when one was heard of
    last, aware (None: never), and the first line of what it has said to be wrong."""
    found: dict[str, tuple[datetime | None, str]] = {}
    for name, status in instance.get_daemon_statuses().items():
        if not status.required or status.healthy:
            continue
        beat = status.last_heartbeat
        errors = beat.errors if beat is not None else None
        lines = errors[0].message.strip().splitlines() if errors else []
        at = None if beat is None else datetime.fromtimestamp(beat.timestamp, timezone.utc)
        found[name] = (at, lines[0] if lines else "")
    return found


def definitions_in(target: str, folder: Path) -> list[dg.Definitions]:
    """The Definitions of a Python file or module, as `dagster dev` finds them and as a code
    location resolves them: every job, schedule and sensor of them is made. Of what else Dagster
    loads (a repository, a job), nothing is returned.

    Args:
        target: A file (`definitions.py`) or a module (`my.definitions`).
        folder: The working directory of the code location.

    Raises:
        Exception: Whatever the code raises, or Dagster.
    """
    if target.endswith(".py"):
        found = loadable_targets_from_python_file(str(folder / target), str(folder))
    else:
        found = loadable_targets_from_python_module(target, str(folder))
    definitions = []
    for each in found:
        defs = each.target_definition
        if isinstance(defs, LazyDefinitions):  # of `@dg.definitions`
            defs = defs()
        if isinstance(defs, dg.Definitions):
            definitions.append(defs)
        repository = repository_def_from_target_def(defs)
        if repository is not None:
            repository.load_all_definitions()
    return definitions


def goes_on_after_failures(executor: Any) -> bool:
    """Whether an executor runs all ops in one process, and an op whose own inputs are there also
    where an op before it has failed."""
    if not isinstance(executor, dg.ExecutorDefinition) or executor.name != "in_process":
        return False
    applied = executor.apply_config_mapping({"config": {}})
    if not applied.success or not isinstance(applied.value, dict):
        return False
    config = applied.value.get("config") or {}
    found = (config.get("step_dependency_config") or {}).get("require_upstream_step_success")
    return found is False
