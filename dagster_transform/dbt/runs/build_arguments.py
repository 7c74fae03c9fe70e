"""The command line of the `dbt build` that a run's nodes are handed to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from dagster_transform.dbt.command_line import global_arguments, project_arguments
from dagster_transform.dbt.runs.settings import BuildOptions, DbtSettings


def build_arguments(settings: DbtSettings) -> tuple[str, ...]:
    """The arguments of dbt.

    Nothing is selected here and nothing written: the run does both. dbt must not stop at the first
    failure, whatever the project says, because the run decides that.
    """
    folder = settings.folder.path
    return (
        "--no-fail-fast",
        "--cache-selected-only",
        "--no-write-json",
        "--log-level", "none",
        *global_arguments(folder, settings.parsed),
        "build",
        *project_arguments(settings.project, settings.options.vars),
        "--target-path", str(folder / "target"),
        *_options(settings.options),
    )  # fmt: skip


def _options(options: BuildOptions) -> Iterator[str]:
    """Each option that is set, by its own name."""
    for option in fields(options):
        if option.name == "vars":
            continue  # they are the project's too
        name, value = f"--{option.name.replace('_', '-')}", getattr(options, option.name)
        match value:
            case None | False:
                pass
            case True:
                yield name
            case _:
                yield from (name, str(value))
