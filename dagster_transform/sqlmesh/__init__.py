"""SQLMesh's side: the only place that imports sqlmesh.

Importing this package does not; the two functions below do, once they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_transform.sqlmesh._compat import import_sqlmesh
from dagster_transform.sqlmesh.settings import SqlmeshSettings

if TYPE_CHECKING:
    from dagster_transform.config import SqlmeshProject
    from dagster_transform.graph import Graph, GraphFile, SourceFile
    from dagster_transform.walk import Session

__all__ = ["SqlmeshSettings", "open_session", "read_project"]


def read_project(
    name: str,
    project: SqlmeshProject,
    paths: list[str],
    *,
    root: Path,
    sources: Mapping[str, SourceFile],
) -> GraphFile:
    """Read a project into a graph file's content; see `load.load_project`."""
    import_sqlmesh()
    from dagster_transform.sqlmesh.load import load_project

    return load_project(name, project, paths, root=root, sources=sources)


def open_session(
    name: str, project: SqlmeshProject, graph: Graph, settings: SqlmeshSettings
) -> Session:
    """A session for one run of one project; see `session.SqlmeshSession`."""
    import_sqlmesh()
    from dagster_transform.sqlmesh.session import SqlmeshSession

    return SqlmeshSession(name, project, graph, settings)
