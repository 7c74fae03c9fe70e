"""Settings of a dbt project's run from words without groups, as tests write them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from dagster_transform.config import DbtProject
from dagster_transform.dbt.runs.settings import (
    BuildOptions,
    DbtSettings,
    Measures,
    ProcessLimits,
    RunFolder,
)

_OF_PROJECT = ("target", "profiles_dir")


def dbt_settings(project: DbtProject, runs: Path, run: str, **given: Any) -> DbtSettings:
    """The settings of a run.

    Args:
        project: The project's configuration.
        runs: The folder of the runs' folders.
        run: The run's name.
        given: Fields of `DbtSettings` and of its groups, `target` and `profiles_dir`.
    """

    def group(kind: type, **more: Any) -> Any:
        names = {field.name for field in fields(kind)}
        return kind(**more, **{name: given.pop(name) for name in names & given.keys()})

    changed = {name: given.pop(name) for name in _OF_PROJECT if name in given}
    return DbtSettings(
        project.model_copy(update=changed),
        group(RunFolder, runs=runs, run=run),
        options=group(BuildOptions),
        limits=group(ProcessLimits),
        measures=group(Measures),
        **given,
    )
