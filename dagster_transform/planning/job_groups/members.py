"""Which nodes of a graph the entries of a job group file mean. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dagster_transform.config import ConfigProblem
from dagster_transform.config.job_group_file import JobGroupEntry, JobGroupFile
from dagster_transform.graph import Graph, NodeFinder, NodeId, SelectionError, select, terms_of
from dagster_transform.planning.job_groups.values import JobGroupName

_LOOKED_FOR = 5
"""Of how many unknown names it is looked which one may have been meant."""


Keys = tuple[str | int, ...]


@dataclass(slots=True)
class Members:
    """The nodes of each group of a file.

    Attributes:
        nodes: By group, in the order of the graph; each node is in one group only.
        errors: What is wrong, and can't be used as it is.
        drift: What the file names and the graph does not have, or no longer on a schedule.
        places: Of each node in a group the group and, in the file, what puts it there: keys below
            the group.
    """

    nodes: dict[JobGroupName, tuple[NodeId, ...]] = field(default_factory=dict)
    errors: list[ConfigProblem] = field(default_factory=list)
    drift: list[ConfigProblem] = field(default_factory=list)
    places: dict[NodeId, tuple[JobGroupName, Keys]] = field(default_factory=dict)


def members_of(file: JobGroupFile, graph: Graph, scheduled: Collection[NodeId]) -> Members:
    """The nodes that the groups of a file have.

    A node that is in two groups is an error; it is in the first one then.

    Args:
        file: The file.
        graph: The graph, its nodes named as people call them.
        scheduled: The nodes that have a cron.
    """
    return _Reading(file, graph, scheduled).members()


def scheduled_of(graph: Graph, selection: str, scheduled: Collection[NodeId]) -> frozenset[NodeId]:
    """The nodes with a cron that a selection selects; terms that select nothing don't count."""
    found: set[NodeId] = set()
    finder = NodeFinder(graph)
    for term in terms_of(selection):
        try:
            found |= finder.of_term(term)
        except SelectionError:
            continue
    return frozenset(id for id in found if id in scheduled)


class _Reading:
    """One look at a file."""

    def __init__(self, file: JobGroupFile, graph: Graph, scheduled: Collection[NodeId]) -> None:
        self._file = file
        self._graph = graph
        self._scheduled = scheduled
        self._finder = NodeFinder(graph)
        self._found = Members()
        self._looked_for = 0
        self._by_name: set[NodeId] = set()  # those that stand alone in a line

    def members(self) -> Members:
        place = {id: number for number, id in enumerate(self._graph.order)}
        for name, entry in self._file.entries.items():
            ids = dict.fromkeys((*self._of_nodes(name, entry), *self._of_selection(name, entry)))
            self._found.nodes[JobGroupName(name)] = tuple(sorted(ids, key=place.__getitem__))
        return self._found

    def _of_nodes(self, group: str, entry: JobGroupEntry) -> Iterator[NodeId]:
        for place, text in enumerate(entry.nodes):
            where = ("nodes", place)
            plain = self._finder.is_plain(text)
            ids = self._finder.of_name(text) or self._of_term(group, text, plain, where)
            yield from self._placed(group, ids, where, named=plain)

    def _of_selection(self, group: str, entry: JobGroupEntry) -> Iterator[NodeId]:
        if entry.select is None:
            return
        where = ("select",)
        try:
            terms = terms_of(entry.select)
        except SelectionError as error:
            self._error(group, error.cause, *where)
            return
        for term in terms:
            plain = self._finder.is_plain(term)
            ids = self._finder.of_name(term) or self._of_term(group, term, plain, where)
            yield from self._placed(group, ids, where, named=False)

    def _of_term(self, group: str, term: str, plain: bool, where: Keys) -> frozenset[NodeId]:
        if plain:
            self._unknown(group, f"there is no node {term!r}", term, where)
            return frozenset()
        try:
            return select(self._graph, term)
        except SelectionError as error:
            self._unknown(group, error.cause.removesuffix("."), None, where)
            return frozenset()

    def _unknown(self, group: str, what: str, name: str | None, where: Keys) -> None:
        close: list[str] = []  # of asset keys many are nearly equal: the first is enough
        if name is not None and self._looked_for < _LOOKED_FOR:
            self._looked_for += 1
            close = self._finder.close_to(name)[:1]
        hint = f"did you mean {close[0]!r}? " if close else ""
        message = f"{what}; {hint}take it out if it is no more"
        self._found.drift.append(self._file.problem(group, message, *where))

    def _placed(
        self,
        group: str,
        ids: Iterable[NodeId],
        where: Keys,
        *,
        named: bool,
    ) -> Iterator[NodeId]:
        """Those of `ids` that come to the group: once, and with a cron."""
        for id in sorted(ids):
            name = self._graph.nodes[id].name
            if id not in self._scheduled:
                if named:
                    self._found.drift.append(
                        self._file.problem(
                            group, f"{name} has no cron, so no schedule builds it", *where
                        )
                    )
                continue
            other, there = self._found.places.setdefault(id, (JobGroupName(group), where))
            again = (other, there) != (group, where)
            if again and (other != group or (named and id in self._by_name)):
                said = "listed twice" if other == group else f"in {other} already"
                line = self._file.line(other, *there)
                self._error(group, f"{name} is {said}, line {line}: a node has one group", *where)
                continue
            if named:
                self._by_name.add(id)
            yield id

    def _error(self, group: str, message: str, *where: str | int) -> None:
        self._found.errors.append(self._file.problem(group, message, *where))


def selections_of(file: JobGroupFile) -> Mapping[JobGroupName, str]:
    """What the groups of a file have as `select`."""
    return {
        JobGroupName(name): entry.select
        for name, entry in file.entries.items()
        if entry.select is not None
    }
