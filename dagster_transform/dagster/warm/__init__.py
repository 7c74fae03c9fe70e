"""Runs that begin with everything imported (`warm: true` in transform.yaml)."""

from __future__ import annotations

from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.dagster import _compat_warm
from dagster_transform.process.memory import HIGH, memory_in_use


def start_runs_warm(config: TransformConfig) -> bool:
    """Let the code server that loads definitions start its runs as forks of a process that has
    imported what they need.

    Args:
        config: Whose frameworks are imported.

    Returns:
        Whether it will; where it can't, runs begin as Dagster starts them.
    """
    if memory_in_use() > HIGH:
        return False
    modules = [f"{__name__}.of_runs"]
    if any(isinstance(project, SqlmeshProject) for project in config.projects.values()):
        modules.append(f"{__name__}.of_sqlmesh")
    return _compat_warm.start_runs_with_forkserver(modules)
