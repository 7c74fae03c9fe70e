"""A project that can't be read: nothing of it is built, and nothing over it.

What it builds may be missing or old. A node above it would be built over that, its intervals would
be recorded, and no later run would build them again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from dagster_transform.databases.backends import BackendId
from dagster_transform.errors import TransformError
from dagster_transform.graph import CheckId, Graph, Node, NodeId, Relation, Source, UnitId
from dagster_transform.planning import Outcome, Readiness, ResourceKey, Unit
from dagster_transform.walk import Message, Moved, SharedResources


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a project can't be read, or shown.

    Attributes:
        error: What is wrong, and what to do.
        builds: What it builds, where that is known although it is not in the graph.
    """

    error: TransformError
    builds: Collection[Relation] | None = None


class UnreadableProject:
    """The project run of a project that can't be read; see `walk.ProjectRun` for the contract.

    Args:
        error: Why it can't be.
    """

    capacity = 1
    exclusive: frozenset[ResourceKey] = frozenset()

    def __init__(self, error: TransformError) -> None:
        self._error = error

    def shared_resources(self) -> SharedResources:
        """It opens nothing."""
        return SharedResources()

    def claim_key(self, _: Unit) -> ResourceKey | None:
        """It writes nothing."""
        return None

    def promotion_keys(self, _: Unit) -> Mapping[ResourceKey, bool]:
        """It promotes nothing."""
        return {}

    def end_backends(self, _: Collection[BackendId]) -> Collection[BackendId]:
        """It reaches no server."""
        return ()

    def assess(self, _: Collection[NodeId], __: Collection[CheckId]) -> Mapping[NodeId, Readiness]:
        """Nothing of it can be done.

        Raises:
            TransformError: Why.
        """
        raise self._error

    def elsewhere(self) -> Moved:
        """Nobody knows."""
        return {}

    def open(self, units: Sequence[Unit]) -> None:
        """There is nothing to open: no unit of it is in a plan."""

    def refresh(self, units: Sequence[Unit]) -> None:
        """There is nothing to look at."""

    def start(self, _: Unit, __: Callable[[Message], None]) -> None:
        """Never called: no unit of it is in a plan.

        Raises:
            TransformError: Why the project can't be read.
        """
        raise self._error

    def cancel(self, unit: UnitId) -> None:
        """Nothing runs."""

    def close_files(self) -> None:
        """None is open."""

    def close(self, *, completed: bool) -> None:
        """There is nothing to end."""


def blocked_over(
    graph: Graph, nodes: Collection[NodeId], unreadable: Mapping[str, Unreadable]
) -> dict[NodeId, Readiness]:
    """The nodes of other projects that read what an unreadable project builds, or may build.

    A graph file that is stale still says what its project builds; so does one of a project that
    can't be shown. Where there is none that can be read, it may be any relation that no known node
    builds.

    Args:
        graph: The combined graph, with what is known of unreadable projects.
        nodes: The selected nodes.
        unreadable: What can't be read, by project.
    """
    if not unreadable:
        return {}
    shown = {node.project for node in graph.nodes.values()}
    builders = {
        relation: project for project, each in unreadable.items() for relation in each.builds or ()
    }
    # Of these the run says the error itself: their nodes have failed of it.
    told = {graph.nodes[n].project for n in nodes} & unreadable.keys()
    unknown = sorted(p for p, each in unreadable.items() if p not in shown and each.builds is None)

    def reason(above: Node | Source | None) -> str:
        if isinstance(above, Node) and above.project in unreadable:
            error = None if above.project in told else unreadable[above.project].error
            return _words(above.name, f"project {above.project} builds", error)
        if isinstance(above, Source) and above.relation in builders:
            project = builders[above.relation]
            return _words(above.name, f"project {project} builds", unreadable[project].error)
        if isinstance(above, Source) and unknown:
            return _words(
                above.name, f"project {unknown[0]} may build", unreadable[unknown[0]].error
            )
        return ""

    found: dict[NodeId, Readiness] = {}
    for node_id in sorted(nodes):
        if graph.nodes[node_id].project in unreadable:
            continue
        for above in sorted(graph.ancestors([node_id])):
            if why := reason(graph.node(above) or graph.source(above)):
                found[node_id] = Readiness(Outcome.BLOCKED, why)
                break
    return found


def _words(name: str, what: str, error: TransformError | None) -> str:
    why = "" if error is None else f": {error}"
    return f"it reads {name}, which {what}, and that project can't be loaded{why}"
