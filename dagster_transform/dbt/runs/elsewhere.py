"""Where dbt has a project's nodes and sources, beside where the graph file has them: pure.

A profile, a schema or an alias may depend on the environment, and that of a run need not be that
of `prepare`. What dbt says counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.graph import Graph, InputId, Node, Relation, Source
from dagster_transform.walk import Elsewhere

_SHOWN = 3


class Places:
    """The relations of a project as dbt has them in this run.

    Args:
        graph: The graph, which has them as they were when `prepare` ran.
        project: The project's name in transform.yaml.
        said: What dbt says of where its nodes and sources are, by unique id.
        locate: The relation of what an entry of `said` says.

    Attributes:
        moved: Those that dbt has elsewhere than the graph, by id.
    """

    def __init__(
        self,
        graph: Graph,
        project: str,
        said: Mapping[str, Resource],
        locate: Callable[[Resource], Relation],
    ) -> None:
        self.moved: dict[InputId, Relation] = {}
        self._graph = graph
        self._project = project
        everything: tuple[Node | Source, ...] = (*graph.nodes.values(), *graph.sources.values())
        for found in everything:
            place = said.get(found.reference) if found.project == project else None
            if place is not None and (relation := locate(place)) != found.relation:
                self.moved[found.id] = relation

    def of(self, found: Node | Source) -> Relation:
        """Where dbt has a node or source of the project."""
        return self.moved.get(found.id, found.relation)

    def words(self, id: InputId) -> str:
        """Where one that has moved is, and where the graph file has it."""
        found = self._graph.node(id) or self._graph.source(id)
        if found is None:
            raise KeyError(id)
        here, there = self.moved[id], found.relation
        if str(here) == str(there):  # in another database
            return f"{here} in {here.connection} (the graph file says {there.connection})"
        return f"{here} (the graph file says {there})"

    def elsewhere(self) -> dict[InputId, Elsewhere]:
        """All that have moved."""
        return {id: Elsewhere(here, self.words(id)) for id, here in self.moved.items()}

    def warning(self) -> str:
        """What to say of all that have moved; "" if none has."""
        if not self.moved:
            return ""
        found = [self._graph.node(id) or self._graph.source(id) for id in sorted(self.moved)]
        some = [f"{each.name} is {self.words(each.id)}" for each in found[:_SHOWN] if each]
        more = f" and {len(found) - _SHOWN} more" * (len(found) > _SHOWN)
        return (
            f"Project {self._project}: dbt has {len(found)} relations elsewhere in this run than"
            f" the graph file: {'; '.join(some)}{more}. Environment variables, the target or vars"
            " differ from those of `prepare`. The run claims and builds what dbt says. Run"
            f" `dagster-transform prepare --project {self._project}` where they are as here, or"
            " give the run those of `prepare`."
        )
