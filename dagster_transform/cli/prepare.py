"""From the files of a project to its graph file."""

from __future__ import annotations

from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.errors import TransformError
from dagster_transform.graph import GraphFile, fingerprint, write_graph_file
from dagster_transform.sqlmesh import read_project


class UnsupportedFrameworkError(TransformError):
    """This version can't read projects of that framework."""


def prepare_project(config: TransformConfig, name: str) -> GraphFile:
    """Read a project and write its graph file, whole or not at all.

    Args:
        config: The configuration.
        name: The project's name.

    Returns:
        What was written.

    Raises:
        UnknownProjectError: There is no such project.
        TransformError: It can't be read; the graph file is what it was.
    """
    project = config.project(name)
    if not isinstance(project, SqlmeshProject):
        raise UnsupportedFrameworkError(
            f"Project {name}: dbt projects can't be read by this version."
        )
    # Taken before reading: a file that changes in between makes the graph file stale, not wrong.
    sources = fingerprint(config.root, project.paths)
    found = read_project(
        name, project, [str(path) for path in project.paths], root=config.root, sources=sources
    )
    write_graph_file(config.graph_path(name), found)
    return found
