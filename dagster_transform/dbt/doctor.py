"""What is wrong with a dbt project: its adapter, its profile, its connection, its paths."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dagster_transform.config import DbtProject
from dagster_transform.databases.identity import duckdb_file
from dagster_transform.databases.relative_files import another_file
from dagster_transform.databases.transient import FILE_IS_LOCKED
from dagster_transform.dbt.command_line import (
    child_environment,
    global_arguments,
    project_arguments,
)
from dagster_transform.dbt.errors import AdapterMissingError, DbtMissingError, ManifestError
from dagster_transform.dbt.files.artifacts import Artifacts
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph
from dagster_transform.planning.findings import Code, Finding, Severity
from dagster_transform.planning.findings.relative_files import other_file_finding

_PATIENCE = 90.0
"""Seconds that a database has to answer: some wake up first."""


def code_of_error(error: TransformError) -> Code:
    """What is wrong where a dbt project can't be read."""
    if isinstance(error, DbtMissingError):
        return Code.FRAMEWORK_MISSING
    return (
        Code.ADAPTER_MISSING
        if isinstance(error, AdapterMissingError)
        else (Code.PROJECT_UNREADABLE)
    )


def project_findings(
    name: str, project: DbtProject, graph: Graph, artifacts: Path, others: Sequence[Path] = ()
) -> list[Finding]:
    """What is wrong with a project that can be parsed. dbt is started, and nothing is written.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        graph: Its graph.
        artifacts: The folder where `prepare` keeps its artifacts.
        others: Folders in which somebody may have typed `dbt`, beside that of the project.
    """
    found = _relative(name, project, artifacts, others)
    files = {duckdb_file(node.relation.connection) for node in graph.nodes.values()} - {None}
    if any(not Path(str(file)).exists() for file in files):
        return found  # connecting would make it
    answer = _tried(project)
    if not answer["connected"]:
        found.append(_refused(name, project, str(answer["message"])))
    return found


def _relative(
    name: str, project: DbtProject, artifacts: Path, others: Sequence[Path]
) -> list[Finding]:
    try:
        connection = Artifacts(name, artifacts).read_record().connection
    except ManifestError:
        return []  # never prepared: said elsewhere
    path = connection.get("path")
    if connection["type"] != "duckdb" or not isinstance(path, str):
        return []
    if path.startswith((":memory:", "md:", "~/")) or "://" in path or Path(path).is_absolute():
        return []
    # dbt takes it from where it is called; people, perhaps from the folder of profiles.yml.
    profiles = [] if project.profiles_dir is None else [project.profiles_dir]
    other = another_file(path, project.path, [*profiles, *others])
    return [] if other is None else [other_file_finding(name, "dbt", other)]


def _tried(project: DbtProject) -> dict[str, Any]:
    """Whether the database answers, and what it says where it does not."""
    with TemporaryDirectory(prefix="dagster-transform-") as folder:
        arguments = [*global_arguments(Path(folder)), "debug", "--connection"]
        request = {
            "folder": str(project.path),
            "arguments": [*arguments, *project_arguments(project)],
        }
        try:
            done = subprocess.run(
                [sys.executable, "-m", "dagster_transform.dbt.child.connect"],
                input=json.dumps(request),
                capture_output=True,
                text=True,
                env=child_environment(),
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"connected": False, "message": f"No answer in {_PATIENCE:.0f} s."}
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"connected": False, "message": done.stderr.strip() or "dbt gave no answer."}
    return found


def _refused(name: str, project: DbtProject, message: str) -> Finding:
    if FILE_IS_LOCKED in message:
        return Finding(
            Code.DATABASE_IN_USE,
            Severity.WARNING,
            what=f"The database of project {name} can't be used.",
            cause=f"Another process has the DuckDB file open, and only one can: {message}",
            remedy="Where it is a run, wait; else close what has it open (a notebook, a `duckdb` "
            "shell).",
            where=name,
        )
    return Finding(
        Code.DATABASE_UNREACHABLE,
        Severity.ERROR,
        what=f"The database of project {name} can't be used.",
        cause=message,
        remedy=f"Mend the target in its profiles.yml, or the database; `dbt debug` tests it, in "
        f"{project.path}.",
        where=name,
    )
