"""What is wrong with a SQLMesh project: what its gateways and its state say, and its paths."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Sequence
from datetime import timezone
from pathlib import Path
from typing import Any

from dagster_transform.config import SqlmeshProject
from dagster_transform.databases.backends import BackendId
from dagster_transform.databases.relative_files import OtherFile, another_file
from dagster_transform.databases.transient import FILE_IS_LOCKED
from dagster_transform.errors import TransformError
from dagster_transform.planning.findings import Code, Finding, Severity, of_error
from dagster_transform.planning.findings.relative_files import other_file_finding
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.configs import relative_files, shell_command_of
from dagster_transform.sqlmesh.connections import missing_files
from dagster_transform.sqlmesh.first_plan import first_plan_of
from dagster_transform.sqlmesh.project import clear_errors, open_context, opened
from dagster_transform.sqlmesh.state.expiry import expired_at


def sqlglotc_findings() -> list[Finding]:
    """Whether sqlglotc is installed, beside which SQLMesh can't be imported; imports nothing."""
    found = next(iter(importlib.metadata.distributions(name="sqlglotc")), None)
    if found is None:
        return []
    return [
        Finding(
            Code.SQLGLOTC_INSTALLED,
            Severity.ERROR,
            what=f"sqlglotc {found.version} is installed: SQLMesh can't be imported beside it.",
            cause="Compiled classes of sqlglot can't be subclassed by SQLMesh's dialects. It "
            "comes with sqlglot[rs], which dagster-dbt requires.",
            remedy="pip uninstall sqlglotc; docs/compatibility.md says how to have dagster-dbt "
            "too.",
        )
    ]


def project_findings(
    name: str, project: SqlmeshProject, others: Sequence[Path] = ()
) -> list[Finding]:
    """What is wrong with a project. Its model files are not read, and nothing is written.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        others: Folders in which somebody may have typed `sqlmesh`, beside those of the project.

    Raises:
        SqlmeshError: Its configuration can't be used.
    """
    paths = [str(path) for path in project.paths]
    found = [other_file_finding(name, "sqlmesh", each) for each in other_files(project, others)]
    context = open_context(name, project, paths, load=False)
    try:
        unreachable = list(_gateways(name, context, paths))
        found += unreachable
        try:
            with clear_errors(name, paths, "its state can't be read"):
                found += _environment(name, project, context)
        except TransformError as error:
            if not unreachable:  # else it is the same again
                found.append(_refused(f"The state of project {name} can't be read.", error, name))
    finally:
        _compat.close_connections(context)
    return found


def other_files(project: SqlmeshProject, others: Sequence[Path]) -> list[OtherFile]:
    """The DuckDB files to which relative paths of a project lead from other folders.

    Args:
        project: Its configuration.
        others: Folders in which somebody may have typed `sqlmesh`, beside those of the project.

    Raises:
        ConfigError: SQLMesh's, where one of the project's is missing or wrong.
    """
    found = (
        another_file(path, folder, [*project.paths, *others])
        for folder, path in relative_files([str(path) for path in project.paths])
    )
    return [each for each in found if each is not None]


def backends_there(name: str, project: SqlmeshProject) -> frozenset[BackendId]:
    """The backends of runs that are on the PostgreSQL servers of a project now, whoever's they are.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.

    Raises:
        SqlmeshError: Its configuration or a server can't be used.
    """
    from dagster_transform.sqlmesh.runs.backends import backends_there

    with opened(name, project, [str(path) for path in project.paths]) as context:
        return backends_there(context)


def _gateways(name: str, context: Any, paths: list[str]) -> Iterator[Finding]:
    """Those that can't be connected to. A DuckDB file that is not there would be made: it is left
    alone."""
    # Here, because it imports sqlglot, which may be what is wrong.
    from dagster_transform.sqlmesh.gateways import Gateways

    for gateway, connection in Gateways(context).connections.items():
        if missing_files([connection]):
            continue
        try:
            with clear_errors(name, paths, "its database can't be reached"):
                context.engine_adapters[gateway].fetchone("SELECT 1")
        except TransformError as error:
            what = f"The database of gateway {gateway} of project {name} can't be used."
            yield _refused(what, error, name)


def _refused(what: str, error: TransformError, name: str) -> Finding:
    if FILE_IS_LOCKED not in str(error):
        return of_error(Code.DATABASE_UNREACHABLE, what, error, name)
    return Finding(
        Code.DATABASE_IN_USE,
        Severity.WARNING,
        what=what,
        cause=f"Another process has the DuckDB file open, and only one can: {error.cause}",
        remedy="Where it is a run, wait; else close what has it open (a notebook, a `duckdb` "
        "shell).",
        where=name,
    )


def _environment(name: str, project: SqlmeshProject, context: Any) -> list[Finding]:
    environment = project.environment
    state = _compat.existing_state(context)
    record = state.get_environment(environment) if state is not None else None
    plan = shell_command_of(context, f"plan {environment}")
    if record is None:
        if project.plan == "auto":
            return []  # the first run plans it
        return [
            Finding(
                Code.NEVER_PLANNED,
                Severity.ERROR,
                what=f"Environment {environment} of project {name} was never planned.",
                cause="A run builds what the environment has, and it has nothing.",
                remedy=first_plan_of(context, name, environment).remedy,
                where=name,
            )
        ]
    if not record.finalized_ts:
        return [
            Finding(
                Code.PLAN_UNFINISHED,
                Severity.WARNING,
                what=f"A plan of environment {environment} of project {name} has not come to its "
                "end.",
                cause="Runs of it fail until it has.",
                remedy=f"Wait until it has; if it failed, apply it again: `{plan}`.",
                where=name,
            )
        ]
    expired = expired_at(record)
    if expired is None:
        return []
    return [
        Finding(
            Code.ENVIRONMENT_EXPIRED,
            Severity.WARNING,
            what=f"Environment {environment} of project {name} expired at "
            f"{expired.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC.",
            cause="The janitor drops it, with its views, and runs then have nothing to build.",
            remedy=f"Plan it anew: `{plan}`, or let a run of the whole project renew it (`plan: "
            "auto`).",
            where=name,
        )
    ]
