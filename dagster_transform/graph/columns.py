"""Which columns are computed from which, through all projects of a graph. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from dagster_transform.graph.errors import SelectionError, UnknownColumnError
from dagster_transform.graph.graph import Graph
from dagster_transform.graph.ids import InputId
from dagster_transform.graph.names import default_key, name_of_key
from dagster_transform.graph.nodes import Node, Source
from dagster_transform.graph.selection import NodeFinder, relation_names

Further = Mapping[InputId, Mapping[str, Iterable[tuple[InputId, str]]]]
"""By node and column: (id of a node or source, column there). What a run has found out."""


@dataclass(frozen=True, slots=True, order=True)
class ColumnOf:
    """A column of a node or source. Frameworks and databases write one name in several cases, so
    it is compared without them.

    Attributes:
        id: Of the node or source.
        column: Its name in lower case.
    """

    id: InputId
    column: str

    @classmethod
    def of(cls, id: InputId, name: str) -> ColumnOf:
        """The column of a name as it is written somewhere."""
        return cls(id, name.casefold())


@dataclass(frozen=True, slots=True)
class Step:
    """One column that is computed from another one.

    Attributes:
        read: What is read.
        computed: What is computed from it.
        distance: How many steps it is from the column that was asked for; the first have 1.
    """

    read: ColumnOf
    computed: ColumnOf
    distance: int


class ColumnLineage:
    """The lineage of all columns of a graph, as far as it is known.

    Args:
        graph: The graph.
        further: What the graph does not have, since only runs find it out; it counts for nodes of
            which the graph knows nothing.
        columns: Names of columns that tables had when they were built last.
    """

    def __init__(
        self,
        graph: Graph,
        further: Further | None = None,
        columns: Mapping[InputId, Iterable[str]] | None = None,
    ) -> None:
        self._graph = graph
        self._above: dict[ColumnOf, tuple[ColumnOf, ...]] = {}
        self._below: dict[ColumnOf, list[ColumnOf]] = {}
        self._names: dict[ColumnOf, str] = {}
        self._known: set[InputId] = set()
        self._columns: dict[InputId, dict[ColumnOf, None]] = {}
        things: list[Node | Source] = [*graph.sources.values(), *graph.nodes.values()]
        for thing in things:
            self._columns[thing.id] = {}
            for column in thing.columns:
                self._named(thing.id, column.name)
            for name in (columns or {}).get(thing.id, ()):
                self._named(thing.id, name)
        for node in graph.nodes.values():
            found: Mapping[str, Iterable[tuple[InputId, str]]] = node.column_lineage()
            self._learn(node.id, found or (further or {}).get(node.id, {}))

    def name(self, column: ColumnOf) -> str:
        """The column's name as its node writes it, else as what reads it does."""
        return self._names[column]

    def columns(self, id: InputId) -> tuple[ColumnOf, ...]:
        """The columns of a node or source, in its order; also those that only its readers name."""
        return tuple(self._columns[id])

    def is_known(self, id: InputId) -> bool:
        """Whether anything is known of what a node's columns are computed from; of a source there
        is nothing to know."""
        return id in self._known or self._graph.source(id) is not None

    def steps(self, columns: Iterable[ColumnOf], *, downstream: bool = False) -> list[Step]:
        """All steps up from columns to what has no further ones, or down; nearest first, each
        once."""
        found: dict[tuple[ColumnOf, ColumnOf], Step] = {}
        level, distance = list(dict.fromkeys(columns)), 0
        seen = set(level)
        while level:
            distance += 1
            beyond: dict[ColumnOf, None] = {}
            for column in level:
                others = self._below.get(column, ()) if downstream else self._above.get(column, ())
                for other in others:
                    read, computed = (column, other) if downstream else (other, column)
                    found.setdefault((read, computed), Step(read, computed, distance))
                    if other not in seen:
                        beyond[other] = None
            seen.update(beyond)
            level = list(beyond)
        return list(found.values())

    def find(self, text: str) -> tuple[InputId, tuple[ColumnOf, ...]]:
        """The node or source, and its columns, that `NODE` or `NODE.COLUMN` names.

        A text that names a node as a whole is one: `marts.delays` is the model, and no column of
        a model `marts`.

        Raises:
            SelectionError: There is no such node, or several.
            UnknownColumnError: It has no such column that is known.
        """
        if (id := self._input(text)) is not None:
            return id, self.columns(id)
        name, dot, column = text.rpartition(".")
        id = self._input(name) if dot else None
        if id is None:
            finder = NodeFinder(self._graph)
            close = finder.close_to(text) or finder.close_to(name)
            raise SelectionError(
                f"{text!r} is neither a node nor a column of one.", term=text, close_matches=close
            )
        wanted = ColumnOf.of(id, column.strip('"'))
        if wanted in self._columns[id]:
            return id, (wanted,)
        thing = self._graph.node(id) or self._graph.source(id)
        known = [self.name(each) for each in self.columns(id)]
        called = thing.name if thing is not None else id
        said = f"known are: {', '.join(known)}." if known else "none of its columns is known."
        raise UnknownColumnError(
            f"No column {column!r} of {called} is known; {said}",
            id=id,
            term=text,
            close_matches=get_close_matches(column, known, n=3),
        )

    def _input(self, name: str) -> InputId | None:
        """The node or source of a name. Raises SelectionError: There are several."""
        found: set[InputId] = {*NodeFinder(self._graph).of_name(name)}
        if not found:
            wanted = name.casefold()
            for source in self._graph.sources.values():
                names = (
                    source.name, source.id, source.reference, source.reference.replace('"', ""),
                    *relation_names(source), name_of_key(default_key(source)),
                )  # fmt: skip
                if wanted and wanted in (each.casefold() for each in names):
                    found.add(source.id)
        if len(found) > 1:
            called = sorted(found)
            raise SelectionError(
                f"{name!r} is the name of several nodes: {', '.join(called)}.",
                term=name,
                close_matches=called,
            )
        return next(iter(found), None)

    def _learn(self, id: InputId, lineage: Mapping[str, Iterable[tuple[InputId, str]]]) -> None:
        for name, sources in lineage.items():
            column = self._named(id, name)
            read = tuple(dict.fromkeys(self._named(*source) for source in sources))
            self._above[column] = read
            self._known.add(id)
            for each in read:
                self._below.setdefault(each, []).append(column)

    def _named(self, id: InputId, name: str) -> ColumnOf:
        column = ColumnOf.of(id, name)
        self._names.setdefault(column, name)
        self._columns[id].setdefault(column)
        return column
