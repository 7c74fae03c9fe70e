"""What a translator says of one node, source or check, and who is to blame where it is wrong."""

from __future__ import annotations

from typing import Any

from dagster_transform.dagster.definitions.errors import TranslationError
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Check, Location, Node, Source


def ask(
    translator: TransformTranslator,
    method: str,
    thing: Node | Source | Check,
    expected: type[Any] | tuple[type[Any], ...],
) -> Any:
    """What a method of the translator says of a thing.

    Args:
        translator: Perhaps somebody's own.
        method: The method's name; it takes the thing.
        thing: A node, source or check.
        expected: What the method has to return.

    Raises:
        TranslationError: The method raises, or returns something else.
    """
    try:
        found = getattr(translator, method)(thing)
    except Exception as error:  # whatever somebody's own code raises
        what = f"it raises {type(error).__name__}: {error}"
        raise refused(translator, thing, what, method) from error
    if not isinstance(found, expected):
        types = expected if isinstance(expected, tuple) else (expected,)
        words = " or ".join("None" if each is type(None) else each.__name__ for each in types)
        what = f"it returns {found!r}, which is no {words}"
        raise refused(translator, thing, what, method)
    return found


def refused(
    translator: TransformTranslator, thing: Node | Source | Check, what: str, method: str = ""
) -> TranslationError:
    """The error that Dagster can't show a thing."""
    kind = type(translator)
    asked = f"{kind.__name__}.{method}" if method else kind.__name__
    own = kind is not TransformTranslator
    if translator.said_by is not None:
        asked = translator.said_by
    remedy = f"Rename it, or override {method or 'the method'} of the translator for it."
    if own:
        remedy = f"Mend {asked}."
    if own and isinstance(thing, Source) and translator.said_by is None:
        remedy = (
            f"Mend {asked}: it is asked for sources too, which have fewer attributes than nodes; "
            "`isinstance(node, Source)`, of dagster_transform, tells them apart."
        )
    return TranslationError(
        f"{named(thing)} can't be shown in Dagster as {asked} says: {what}", remedy=remedy
    )


def named(thing: Node | Source | Check) -> str:
    """A thing with its project and its file."""
    place = location(thing)
    return f"{thing.project}:{thing.name}" + (f" ({place.path})" if place is not None else "")


def location(thing: Node | Source | Check) -> Location | None:
    """Where a thing is written, if that is known."""
    return None if isinstance(thing, Source) else thing.location
