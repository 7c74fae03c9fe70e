"""What runs claim, for a person: the resource key of what is called by a name, and the sessions on
database servers that a run has left."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone
from difflib import get_close_matches

from dagster_transform import dbt, sqlmesh
from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.errors import TransformError
from dagster_transform.graph import Node, read_graph_file
from dagster_transform.sqlmesh import SqlmeshSettings, project_shared_resources


class NotClaimableError(TransformError):
    """What was named is nothing that runs claim."""


def key_of_environment(config: TransformConfig, name: str) -> str:
    """The environment that runs of a SQLMesh project share.

    Raises:
        NotClaimableError: The project has no environment.
        SqlmeshError: Its configuration can't be used.
    """
    project = config.project(name)
    if not isinstance(project, SqlmeshProject):
        raise NotClaimableError(
            f"{name} is a dbt project: it has no environment.",
            remedy="Pause its nodes one by one, or a concurrency tag that they have.",
        )
    settings = SqlmeshSettings(
        environment=project.environment,
        paths=[str(path) for path in project.paths],
        now=datetime.now(timezone.utc),
    )
    needs = project_shared_resources(name, project, settings, alone=True)
    if needs.environment is None:
        raise NotClaimableError(f"{name} has no environment.")
    return needs.environment


def key_of_node(config: TransformConfig, called: str) -> str:
    """The table that building a node writes now; nodes are known from the graph files.

    Args:
        config: Where the projects are.
        called: `marts.delays`, or `<project>:marts.delays` where several projects have one.

    Raises:
        NotClaimableError: There is no such node, there are several, or its table is not known.
        GraphFileError: A graph file is missing: run `dagster-transform prepare`.
    """
    nodes: list[Node] = []
    for project in config.projects:
        nodes += read_graph_file(config.graph_path(project), project).graph.nodes.values()
    found = [n for n in nodes if called in (n.name, f"{n.project}:{n.name}", n.id)]
    if not found:
        close = get_close_matches(called, [n.name for n in nodes], n=3)
        raise NotClaimableError(
            f"There is no node or project {called!r}.",
            remedy=f"Did you mean {' or '.join(close)}?" if close else None,
        )
    if len(found) > 1:
        names = " or ".join(f"{n.project}:{n.name}" for n in found)
        raise NotClaimableError(f"Several projects have a {called}.", remedy=f"Say {names}.")
    (node,) = found
    table = node.physical if node.framework == "sqlmesh" else node.relation
    if table is None:
        raise NotClaimableError(
            f"The table of {called} is not known: its files differ from the environment.",
            remedy=f"Run `dagster-transform prepare`, or pause project {node.project} as a whole.",
        )
    return f"table:{table.connection}/{table}"


def end_backends(
    config: TransformConfig, sessions: Collection[str]
) -> tuple[frozenset[str], list[str]]:
    """End sessions on database servers, through whichever project reaches them.

    Args:
        config: Where the projects are. Those of SQLMesh are asked first: dbt takes seconds.
        sessions: As `backends.backend_id`.

    Returns:
        Those that are not there any more; and why projects could not be asked, or have failed.
    """
    gone: frozenset[str] = frozenset()
    problems: list[str] = []
    projects = config.projects.items()
    for name, project in sorted(projects, key=lambda p: not isinstance(p[1], SqlmeshProject)):
        left = set(sessions) - gone
        if not left:
            break
        try:
            if isinstance(project, SqlmeshProject):
                paths = [str(path) for path in project.paths]
                gone |= sqlmesh.end_backends(name, project, paths, left)
            else:
                graph = read_graph_file(config.graph_path(name), name).graph
                artifacts = config.artifacts_path(name)
                gone |= dbt.end_backends(name, project, graph, artifacts=artifacts, sessions=left)
        except TransformError as error:
            problems.append(str(error))
    return gone, problems
