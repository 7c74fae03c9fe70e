"""Asset keys that people give to sources in transform.yaml, and keys that two things have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

from dagster_transform.graph.errors import GraphError
from dagster_transform.graph.nodes import Node, Source

_CLOSE_MATCHES = 3
_SHOWN = 10


class SourceNameError(GraphError):
    """A source was named that there is not, or that may be several.

    Attributes:
        name: As it was written.
    """

    def __init__(self, name: str, cause: str, remedy: str | None = None) -> None:
        self.name = name
        super().__init__(cause, remedy=remedy)


def with_keys(sources: Iterable[Source], keys: Mapping[str, tuple[str, ...]]) -> tuple[Source, ...]:
    """The sources of a project, with the asset keys that people have given them.

    Args:
        sources: The sources.
        keys: Asset key by what people call a source: its name (dbt's `shop.orders`), its reference,
            or its relation, with or without the catalog. Upper and lower case are equal.

    Raises:
        SourceNameError: There is no such source, or several; or one has two names with two keys.
    """
    found = {source.id: source for source in sources}
    given: dict[str, str] = {}
    for name, key in keys.items():
        source = _named(name, found.values())
        if (other := given.get(source.id)) is not None and keys[other] != key:
            raise SourceNameError(name, f"{other!r} is the same source, and has another key")
        given[source.id] = name
        found[source.id] = replace(source, key=key, key_is_default=False)
    return tuple(found.values())


def same_key(
    things: Iterable[Node | Source],
) -> tuple[Node | Source, Node | Source] | None:
    """Two things of one project that have one asset key and are not one relation; None: there are
    none. Things without a key of their own don't count."""
    first: dict[tuple[str, ...], Node | Source] = {}
    for thing in things:
        other = first.setdefault(thing.key, thing)
        if thing.key and other.relation != thing.relation:
            return other, thing
    return None


_CALLED: tuple[Callable[[Source], str], ...] = (
    lambda source: source.name,
    lambda source: source.reference,
    lambda source: str(source.relation),
    lambda source: ".".join(p for p in (source.relation.schema, source.relation.name) if p),
)
"""What people call a source; what comes first counts."""


def _named(name: str, sources: Collection[Source]) -> Source:
    wanted = name.replace('"', "").casefold()
    for called in _CALLED:
        found = [s for s in sources if called(s).replace('"', "").casefold() == wanted]
        if len(found) > 1:
            names = sorted({str(s.relation) for s in found})
            raise SourceNameError(name, "it may be several sources", f"Say {' or '.join(names)}.")
        if found:
            return found[0]
    known = sorted({called(source) for source in sources for called in _CALLED})
    if close := get_close_matches(name, known, n=_CLOSE_MATCHES):
        raise SourceNameError(
            name, "no source has this name", f"Did you mean {' or '.join(map(repr, close))}?"
        )
    names = sorted(source.name for source in sources)
    listing = ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN) or "none"
    raise SourceNameError(name, "no source has this name", f"The project's sources: {listing}.")
