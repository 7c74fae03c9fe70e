"""The command lines and the environment of dbt's processes, as far as they are all alike."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster_transform.config import DbtProject

WARM_PROCESS = "DAGSTER_TRANSFORM_WARM_DBT"
"""The variable that says where the socket of the warm dbt process is, for the runs of the code
server that has set it."""


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


def project_arguments(project: DbtProject, variables: Mapping[str, Any] | None = None) -> list[str]:
    """What comes after a dbt command, so that it is about a project as transform.yaml has it.

    The command's working directory is the project's folder, as that of people who use dbt: a
    profiles.yml there is found, and paths in it may be relative.

    Args:
        project: The project's configuration.
        variables: Of one run, over those that the configuration has.
    """
    found = ["--project-dir", str(project.path)]
    if project.profiles_dir is not None:
        found += ["--profiles-dir", str(project.profiles_dir)]
    if project.target is not None:
        found += ["--target", project.target]
    if given := {**project.vars, **(variables or {})}:
        found += ["--vars", json.dumps(given, default=str)]
    return found


def child_environment() -> dict[str, str]:
    """The environment of a dbt process: this one, but dbt reports nothing of its use unless the
    user has set that it may."""
    found = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", **os.environ}
    found.pop(WARM_PROCESS, None)
    return found
