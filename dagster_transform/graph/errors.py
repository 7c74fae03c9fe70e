"""What can be wrong with a graph, a selection of it, or the file that holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dagster_transform.errors import TransformError
from dagster_transform.graph.ids import InputId, NodeId, SourceId, UnitId
from dagster_transform.graph.nodes import Relation


class GraphError(TransformError):
    """The graph is not consistent."""


class DuplicateIdError(GraphError):
    """Two things in the graph have one id.

    Raised over nodes, sources and checks together: an id names one of them.
    """

    def __init__(self, id: UnitId | SourceId) -> None:
        self.id = id
        super().__init__(
            f"Two things in the graph have the id {id!r}.",
            remedy="Give every project its own name, and every node and check of it its own.",
        )


class DanglingDependencyError(GraphError):
    """Something in the graph depends on an id that is not in it.

    Attributes:
        id: The node or check that depends.
        dependency: The id that does not exist.
    """

    def __init__(self, id: UnitId, dependency: InputId) -> None:
        self.id = id
        self.dependency = dependency
        super().__init__(f"{id!r} depends on {dependency!r}, which is not in the graph.")


class DuplicateRelationError(GraphError):
    """Two nodes build one relation."""

    def __init__(self, relation: Relation, first: InputId, second: NodeId) -> None:
        self.relation = relation
        self.ids = (first, second)
        super().__init__(
            f"{' and '.join(map(repr, self.ids))} build one relation:"
            f" {relation} on {relation.connection}.",
            remedy="Let one of them build it, and let the other's project read it as a source.",
        )


class CycleError(GraphError):
    """Nodes depend on each other in a circle.

    Attributes:
        cycle: Ids in the direction in which data flows; the first one is also the last one.
    """

    def __init__(self, cycle: Sequence[NodeId], names: Sequence[str]) -> None:
        self.cycle = tuple(cycle)
        super().__init__(f"Nodes depend on each other in a circle: {' -> '.join(names)}")


class UnknownIdError(GraphError):
    """An id is neither a node nor a source of the graph."""

    def __init__(self, id: InputId) -> None:
        self.id = id
        super().__init__(f"{id!r} is neither a node nor a source of the graph.")


class SelectionError(TransformError):
    """A selection can't be understood, or one of its terms selects nothing.

    Attributes:
        term: The term at fault, as it was written.
        close_matches: What may have been meant, best first.
    """

    def __init__(self, cause: str, *, term: str, close_matches: Iterable[str] = ()) -> None:
        self.term = term
        self.close_matches = tuple(close_matches)
        remedy = None
        if self.close_matches:
            remedy = f"Did you mean {' or '.join(map(repr, self.close_matches))}?"
        super().__init__(cause, remedy=remedy)


class UnknownColumnError(SelectionError):
    """A node or source has no column of that name, as far as its columns are known.

    Attributes:
        id: The node or source.
    """

    def __init__(
        self, cause: str, *, id: InputId, term: str, close_matches: Iterable[str] = ()
    ) -> None:
        self.id = id
        super().__init__(cause, term=term, close_matches=close_matches)


class GraphFileError(TransformError):
    """The graph file can't be used.

    Attributes:
        path: The graph file.
        project: The project that it is read for, where the caller said so.
    """

    def __init__(
        self, cause: str, *, path: Path, project: str | None = None, remedy: str | None = None
    ) -> None:
        self.path = path
        self.project = project
        command = "dagster-transform prepare" + (f" --project {project}" if project else "")
        super().__init__(cause, remedy=remedy or self.remedy_of(command))

    @classmethod
    def remedy_of(cls, command: str) -> str:
        """What to do, with a command that prepares."""
        return f"Run `{command}` to write it anew."


class MissingGraphFileError(GraphFileError):
    """There is no graph file: the project was never prepared."""

    @classmethod
    def remedy_of(cls, command: str) -> str:
        """What to do, with a command that prepares."""
        return f"Run `{command}` to write it."


class SourceFileError(TransformError):
    """A file of a project can't be read.

    Attributes:
        path: The file or folder.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(
            f"{path} can't be read: {reason}",
            remedy="Make it readable for the user that runs Dagster, or remove it.",
        )
