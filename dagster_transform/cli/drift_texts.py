"""The drift between a project's files and its environment, as text."""

from __future__ import annotations

from collections.abc import Iterator

from dagster_transform.graph import Drift, GraphFile

_OURS = "dagster-transform"
_KINDS = ("new", "changed", "affected", "removed")


def environment_in_words(found: GraphFile) -> str:
    """How a project's environment stands to its files, in a few words; of a project that has no
    environments, what its framework is."""
    if found.environment is None:
        return next((f"{n} {v}" for n, v in found.written_by.items() if n != _OURS), "")
    if found.plan_id is None:
        return f"{found.environment}: never planned"
    counts = [f"{len(names)} {kind}" for kind in _KINDS if (names := getattr(found.drift, kind))]
    counts += found.drift.other
    return f"{found.environment}: {', '.join(counts) or 'equal to the files'}"


def drift_lines(drift: Drift, at_most: int | None = None) -> Iterator[str]:
    """The drift, a line for each name: what it is, and the name.

    Args:
        drift: The drift.
        at_most: How many names of one sort are shown; None: all.
    """
    for kind in _KINDS:
        names = getattr(drift, kind)
        shown = names[:at_most]
        yield from (f"{kind:<8}  {name}" for name in shown)
        if len(shown) < len(names):
            yield f"{kind:<8}  ... and {len(names) - len(shown)} more"
    yield from drift.other
