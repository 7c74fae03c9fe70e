"""Runs that begin with everything imported (`warm: true` in transform.yaml)."""

from __future__ import annotations

from dagster_transform import dbt
from dagster_transform.config import DbtProject, SqlmeshProject, TransformConfig
from dagster_transform.dagster import _compat_warm
from dagster_transform.process.memory import HIGH, memory_in_use


def start_runs_warm(config: TransformConfig) -> bool:
    """Let the code server that loads definitions start its runs as forks of a process that has
    imported what they need, and their dbt processes as forks of one that has imported dbt and read
    the projects.

    Args:
        config: Whose frameworks are imported.

    Returns:
        Whether it will; where it can't, runs begin as Dagster starts them.
    """
    if memory_in_use() > HIGH or not _compat_warm.is_code_server():
        return False
    projects = config.projects.items()
    of_dbt = [name for name, project in projects if isinstance(project, DbtProject)]
    if of_dbt:  # first: runs find it in the environment of the process that they are forks of
        dbt.start_warm_process([config.prepared_root(name) / name for name in of_dbt])
    modules = [f"{__name__}.of_runs"]
    if any(isinstance(project, SqlmeshProject) for _, project in projects):
        modules.append(f"{__name__}.of_sqlmesh")
    return _compat_warm.start_runs_with_forkserver(modules)
