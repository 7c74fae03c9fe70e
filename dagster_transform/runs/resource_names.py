"""The resource key of what a person names: a node, a project, or a key of `claims list`."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timezone
from difflib import get_close_matches

from dagster_transform.claims import WHOLE
from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.errors import TransformError
from dagster_transform.graph import (
    GraphFileError,
    Node,
    default_key,
    name_of_key,
    read_graph_file,
)
from dagster_transform.planning import ResourceKey, ResourceKeyError, ResourceKind
from dagster_transform.planning.resource_keys import table_of
from dagster_transform.sqlmesh import SqlmeshSettings, project_shared_resources


class NotClaimableError(TransformError):
    """What was named is nothing that runs claim."""


def resource_of_key(config: TransformConfig, what: str) -> tuple[ResourceKey, int] | None:
    """The resource key that a text is, and its capacity; None: it is none, for a node's name may
    have a colon in it.

    Raises:
        NotClaimableError: It is a concurrency tag that there is not.
    """
    try:
        key = ResourceKey.parse(what)
    except ResourceKeyError:
        return None
    if key.kind is ResourceKind.TAG:
        if key.name not in config.tags:
            known = ", ".join(sorted(config.tags)) or "none"
            raise NotClaimableError(
                f"{key.name!r} is no concurrency tag of transform.yaml: {known}."
            )
        return key, config.tags[key.name]
    if key.kind is ResourceKind.CONNECTIONS:
        return (key, config.connections[key.name]) if key.name in config.connections else None
    return key, 1 if key.kind is ResourceKind.FILE else WHOLE


def key_of_environment(config: TransformConfig, name: str) -> ResourceKey:
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
    shared = project_shared_resources(name, project, settings, alone=True)
    if shared.environment is None:
        raise NotClaimableError(f"{name} has no environment.")
    return shared.environment


def key_of_node(
    config: TransformConfig, called: str, as_shown: Collection[Node] = ()
) -> ResourceKey:
    """The table that building a node writes now; nodes are known from the graph files.

    Args:
        config: Where the projects are.
        called: Its asset key (`warehouse/marts/delays`) or its name (`marts.delays`); where several
            projects have one, `<project>:` before it.
        as_shown: The nodes, called as in Dagster, where that is not as by default.

    Raises:
        NotClaimableError: There is no such node, there are several, or its table is not known.
        GraphFileError: A graph file is missing: run `dagster-transform prepare`.
    """
    nodes: list[Node] = [*as_shown]
    for project in config.projects:
        nodes += read_graph_file(config.graph_path(project), project).graph.nodes.values()
    return table_to_claim(node_called(nodes, called), called)


def node_called(nodes: Collection[Node], called: str) -> Node:
    """The node of this name.

    Args:
        nodes: All nodes; twice, where people call one in two ways.
        called: As of `key_of_node`.

    Raises:
        NotClaimableError: There is no such node, or there are several.
    """
    found = {n.id: n for n in nodes if called in _names(n)}
    if not found:
        close = get_close_matches(called, [name for n in nodes for name in _names(n)[:2]], n=3)
        raise NotClaimableError(
            f"There is no node or project {called!r}.",
            remedy=f"Did you mean {' or '.join(close)}?" if close else None,
        )
    if len(found) > 1:
        names = " or ".join(f"{n.project}:{n.name}" for n in found.values())
        raise NotClaimableError(f"Several projects have a {called}.", remedy=f"Say {names}.")
    (node,) = found.values()
    return node


def table_to_claim(node: Node, called: str) -> ResourceKey:
    """The table that building a node writes now; `called` is what a person calls it.

    Raises:
        NotClaimableError: It is not known.
    """
    if (key := table_of(node)) is None:
        raise NotClaimableError(
            f"The table of {called} is not known: its files differ from the environment.",
            remedy=f"Run `dagster-transform prepare`, or pause project {node.project} as a whole.",
        )
    return key


def names_of_tables(
    config: TransformConfig, as_shown: Collection[Node] = ()
) -> dict[ResourceKey, str]:
    """What people call the nodes, by the tables that building them writes now; without those whose
    table is not known, and without projects whose graph files can't be read.

    Args:
        config: Where the graph files are.
        as_shown: The nodes, called as in Dagster, where that is not as by default.
    """
    found: dict[ResourceKey, str] = {}
    shown = {node.id: node.name for node in as_shown}
    for project in config.projects:
        with suppress(GraphFileError):
            graph = read_graph_file(config.graph_path(project), project).graph
            tables = ((table_of(node), node) for node in graph.nodes.values())
            found |= {
                key: shown.get(node.id) or _names(node)[0]
                for key, node in tables
                if key is not None
            }
    return found


def _names(node: Node) -> tuple[str, ...]:
    """All that a person may call a node, the asset key first."""
    key = name_of_key(default_key(node))
    return key, node.name, f"{node.project}:{key}", f"{node.project}:{node.name}", node.id
