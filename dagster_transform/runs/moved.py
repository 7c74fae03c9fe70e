"""What would read something else than this run builds, where relations are not where the graph has
them: pure.

A profile, a gateway or the folder of a file may depend on the environment, and that of a run need
not be that of `prepare`. The links between projects are those of the graph. Where they are not
those of the run, a reader would be built too early or over another table, its intervals would be
recorded, and no later run would build them again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dagster_transform.graph import Graph, InputId, Node, NodeId, Relation, Source
from dagster_transform.planning import Outcome, Readiness
from dagster_transform.walk import Elsewhere


def blocked_over_moved(
    graph: Graph, nodes: Collection[NodeId], elsewhere: Mapping[InputId, Elsewhere]
) -> dict[NodeId, Readiness]:
    """The nodes that read of another project what this run builds, and not where they read.

    Args:
        graph: The graph of all projects, as `prepare` found it.
        nodes: The selected nodes.
        elsewhere: What is elsewhere in this run than the graph has it.
    """
    if not elsewhere:
        return {}
    places = _Places(graph, elsewhere)
    built = {places.of(n): graph.nodes[n] for n in sorted(nodes)}
    found: dict[NodeId, Readiness] = {}
    for node_id in sorted(nodes):
        reader = graph.nodes[node_id]
        for above in graph.upstream(node_id):
            read = graph.node(above)
            if read is None:
                read = built.get(places.of(above))
                why = "" if read is None else places.not_linked(above, read)
            else:
                why = places.not_read(reader, read) if above in nodes else ""
            if why and read is not None and read.project != reader.project:
                found[node_id] = Readiness(Outcome.BLOCKED, why)
                break
    return found


class _Places:
    """Where this run has things."""

    def __init__(self, graph: Graph, elsewhere: Mapping[InputId, Elsewhere]) -> None:
        self._graph = graph
        self._elsewhere = elsewhere

    def of(self, id: InputId) -> Relation:
        """Where a node or source is."""
        if id in self._elsewhere:
            return self._elsewhere[id].relation
        found = self._graph.node(id) or self._graph.source(id)
        if found is None:
            raise KeyError(id)
        return found.relation

    def not_read(self, reader: Node, read: Node) -> str:
        """Why a node does not read what the graph says that it reads; "" if it does.

        Two that are in one database, and still are, find each other by the names that they had.
        """
        theirs, here, own = read.relation, self.of(read.id), self.of(reader.id)
        same_names = str(here) == str(theirs)
        together = reader.relation.connection == theirs.connection
        if together and same_names and own.connection == here.connection:
            return ""
        if read.id in self._elsewhere:
            words = self._elsewhere[read.id].words
            return f"it reads {theirs}, and this run builds {read.name} as {words}: {_remedy(read)}"
        if together and own.connection != here.connection:
            return (
                f"it reads {theirs} in {own.connection} in this run, and {read.name} is built in "
                f"{here.connection}: {_remedy(reader)}"
            )
        return ""

    def not_linked(self, source: InputId, built: Node) -> str:
        """Why nothing waits for what is built where a source is; "" if they were linked."""
        moved = [id for id in (built.id, source) if id in self._elsewhere]
        if not moved:
            return ""
        found = self._graph.source(moved[0]) or built
        words = self._elsewhere[moved[0]].words
        return (
            f"it reads {self.of(source)}, which this run builds ({built.name}), and the graph does "
            f"not know it: {found.name} is {words}: {_remedy(found)}"
        )


def _remedy(found: Node | Source) -> str:
    return (
        f"run `dagster-transform prepare --project {found.project}` with the environment of this "
        "run"
    )
