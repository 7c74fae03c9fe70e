"""Selecting nodes with an expression such as `+marts.delays tag:daily`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fnmatch import translate

from dagster_transform.graph.errors import SelectionError
from dagster_transform.graph.graph import Graph
from dagster_transform.graph.ids import NodeId
from dagster_transform.graph.names import default_key, name_of_key
from dagster_transform.graph.nodes import Node, Source

# A quoted part of a name may hold spaces and commas: "my catalog"."marts"."delays".
_TERM = re.compile(r'(?:"[^"]*"|[^\s,])+')
_NAME_PART = re.compile(r'"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^."]+)')
_CLOSE_MATCHES = 3
_LISTED = 12
"""How many values of a kind of selector are listed where one matches none."""

_ATTRIBUTES: dict[str, Callable[[Node], Iterable[str]]] = {
    "tag": lambda node: node.tags,
    "project": lambda node: (node.project,),
    "kind": lambda node: (node.kind,),
    "group": lambda node: () if node.group is None else (node.group,),
}


def select(graph: Graph, expression: str) -> frozenset[NodeId]:
    """Ids of the nodes (never sources) that an expression selects.

    An expression is one or more terms, separated by spaces or commas; it selects what any of them
    selects. A term is a name, `tag:x`, `project:x`, `kind:x` or `group:x`. A name matches a node's
    id, its reference (with or without its quotes, whole or its last parts), its name, the last
    dotted part of its name, its asset key or its relation (`catalog.schema.name`, `schema.name`),
    and selects every node that it matches. `*` stands for
    any text, in all of them, and alone for all nodes. `+` before a term adds all its ancestors, `+`
    after it all its descendants. Upper and lower case are equal.

    Raises:
        SelectionError: The expression has no term, or a term matches no node; with close matches.
    """
    selected: set[NodeId] = set()
    for term in terms_of(expression):
        selected |= _select_term(graph, term)
    return frozenset(selected)


def terms_of(expression: str) -> list[str]:
    """The terms of an expression. Raises SelectionError: It has none."""
    terms = _TERM.findall(expression)
    if not terms:
        raise SelectionError("The selection is empty; `*` selects everything.", term=expression)
    return terms


class NodeFinder:
    """Finds nodes of a graph by many terms: a plain name costs no look at every node."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._by_name: dict[str, NodeId] = {node.name: node.id for node in graph.nodes.values()}
        self._by_label: dict[str, set[NodeId]] | None = None
        # Of two nodes that have one name, neither is found by a look alone.
        if len(self._by_name) < len(graph.nodes):
            self._by_name.clear()

    def of_name(self, name: str) -> frozenset[NodeId]:
        """The nodes that a name matches, as in a selection; empty where there are none. `*` and
        the like are not special."""
        if (found := self._by_name.get(name)) is not None:
            return frozenset((found,))
        if self._by_label is None:
            self._by_label = {}
            for node in self._graph.nodes.values():
                for label in _names(node):
                    self._by_label.setdefault(label.casefold(), set()).add(node.id)
        return frozenset(self._by_label.get(name.casefold(), ()))

    def of_term(self, term: str) -> frozenset[NodeId]:
        """The nodes that one term of a selection selects. Raises SelectionError."""
        return self.of_name(term) or frozenset(_select_term(self._graph, term))

    def is_plain(self, term: str) -> bool:
        """Whether a term is a name and nothing else: no pattern, no attribute, no `+`."""
        attribute, colon, _ = term.partition(":")
        pattern = "*" in term or term.startswith("+") or term.endswith("+")
        return not pattern and not (colon and attribute.casefold() in _ATTRIBUTES)

    def close_to(self, name: str) -> list[str]:
        """Names of nodes that are nearly this one, best first."""
        # By its relation where the name has a schema: else `x` would be close to `schema.x`.
        names = (
            (n.name, _name_parts(n.name)[-1], *(relation_names(n) if "." in name else ()))
            for n in self._graph.nodes.values()
        )
        return _close(name, names)


def _select_term(graph: Graph, term: str) -> set[NodeId]:
    above, below = term.startswith("+"), term.endswith("+")
    core = term.removeprefix("+").removesuffix("+")
    if not core:
        raise SelectionError(f"{term!r} in the selection names no node.", term=term)
    matched = set(graph.nodes) if core == "*" else _match(graph, core, term)
    selected = set(matched)
    if above:
        selected |= graph.nodes.keys() & graph.ancestors(matched)
    if below:
        selected |= graph.descendants(matched)
    return selected


def _match(graph: Graph, core: str, term: str) -> set[NodeId]:
    attribute, colon, rest = core.partition(":")
    of_attribute = _ATTRIBUTES.get(attribute.casefold()) if colon else None
    if of_attribute is not None:
        what, wanted, labels_of = attribute.casefold(), rest, of_attribute
    else:
        what, wanted, labels_of = "name", core, _names
    labels = {id: tuple(labels_of(node)) for id, node in graph.nodes.items()}
    # casefold on both sides instead of a flag: it knows more than ASCII.
    matches = re.compile(_pattern(wanted.casefold())).match
    matched = {
        id for id, of_node in labels.items() if any(matches(label.casefold()) for label in of_node)
    }
    if not matched:
        there = "" if of_attribute is None else _there(what, labels.values())
        raise SelectionError(
            f"{term!r} in the selection matches no node: no node has the {what} {wanted!r}{there}.",
            term=term,
            close_matches=_close(wanted, labels.values()),
        )
    return matched


def relation_names(thing: Node | Source) -> tuple[str, ...]:
    """What its relation is called in SQL: `catalog.schema.name` and `schema.name`."""
    relation = thing.relation
    short = ".".join(part for part in (relation.schema, relation.name) if part)
    return tuple(dict.fromkeys((str(relation), short)))


def _there(what: str, labels: Iterable[tuple[str, ...]]) -> str:
    """The values that there are of what a selector may name: few, and not known by heart."""
    found = sorted({label for of_node in labels for label in of_node}, key=str.casefold)
    if not found:
        return f"; none has a {what}"
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"; there {'is' if len(found) == 1 else 'are'} {', '.join(found[:_LISTED])}{more}"


def _names(node: Node) -> tuple[str, ...]:
    parts = _name_parts(node.reference)
    bare = [".".join(parts[place:]) for place in range(len(parts))]
    key = name_of_key(default_key(node))
    last = _name_parts(node.name)[-1]
    labels = (node.name, last, node.reference, *bare, node.id, key, *relation_names(node))
    return (*dict.fromkeys(label for label in labels if label),)


def _name_parts(name: str) -> list[str]:
    """The parts of a dotted name, without quotes."""
    parts = [
        found["plain"] if found["quoted"] is None else found["quoted"].replace('""', '"')
        for found in _NAME_PART.finditer(name)
    ]
    return parts or [name]


def _pattern(wanted: str) -> str:
    """`wanted` as a regular expression in which only `*` is special."""
    return translate(re.sub(r"[\[?]", r"[\g<0>]", wanted))


def _close(wanted: str, labels: Iterable[tuple[str, ...]]) -> list[str]:
    known: dict[str, str] = {}
    for of_node in labels:
        for label in of_node:
            known.setdefault(label.casefold(), label)
    close = get_close_matches(wanted.casefold(), sorted(known), n=_CLOSE_MATCHES)
    return [known[label] for label in close]
