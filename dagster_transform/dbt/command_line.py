"""The command lines and the environment of dbt's processes, as far as they are all alike."""

from __future__ import annotations

import os
from pathlib import Path

from dagster_transform.config import DbtProject


def global_arguments(log_folder: Path, parsed: Path | None = None) -> list[str]:
    """What comes before every dbt command of ours: no colours, no log file of its own.

    Args:
        log_folder: An existing folder, for what dbt logs all the same.
        parsed: partial_parse.msgpack of an earlier parse, from which the project loads sooner.
    """
    found = ["--no-use-colors", "--log-level-file", "none", "--log-path", str(log_folder)]
    if parsed is not None:
        found += ["--partial-parse-file-path", str(parsed)]
    return found


def project_arguments(project: DbtProject) -> list[str]:
    """What comes after a dbt command, so that it is about a project as transform.yaml has it.

    The command's working directory is the project's folder, as that of people who use dbt: a
    profiles.yml there is found, and paths in it may be relative.
    """
    found = ["--project-dir", str(project.path)]
    if project.profiles_dir is not None:
        found += ["--profiles-dir", str(project.profiles_dir)]
    if project.target is not None:
        found += ["--target", project.target]
    return found


def child_environment() -> dict[str, str]:
    """The environment of a dbt process: this one, but dbt reports nothing of its use unless the
    user has set that it may."""
    return {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", **os.environ}
