"""Ending the backends in which a run has built, through the projects of transform.yaml."""

from __future__ import annotations

from collections.abc import Collection

from dagster_transform import dbt, sqlmesh
from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.databases.backends import BackendId
from dagster_transform.errors import TransformError
from dagster_transform.graph import read_graph_file


def end_backends(
    config: TransformConfig, backends: Collection[BackendId]
) -> tuple[frozenset[BackendId], list[str]]:
    """End backends of database servers, through whichever project reaches them.

    Args:
        config: Where the projects are. Those of SQLMesh are asked first: dbt takes seconds.
        backends: Of any server.

    Returns:
        Those that are not there any more; and why projects could not be asked, or have failed.
    """
    ended: frozenset[BackendId] = frozenset()
    problems: list[str] = []
    projects = config.projects.items()
    for name, project in sorted(projects, key=lambda p: not isinstance(p[1], SqlmeshProject)):
        remaining = set(backends) - ended
        if not remaining:
            break
        try:
            if isinstance(project, SqlmeshProject):
                paths = [str(path) for path in project.paths]
                ended |= sqlmesh.end_backends(name, project, paths, remaining)
            else:
                graph = read_graph_file(config.graph_path(name), name).graph
                artifacts = config.artifacts_path(name)
                ended |= dbt.end_backends(
                    name, project, graph, artifacts=artifacts, backends=remaining
                )
        except TransformError as error:
            problems.append(str(error))
    return ended, problems
