"""Who holds what a run wants, in words for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dagster_transform.claims import Holder, OwnerKind
from dagster_transform.databases import backends
from dagster_transform.databases.backends import BackendId
from dagster_transform.planning import ResourceKey

Refusals = Mapping[ResourceKey, tuple[Holder, ...]]
"""Who has what, by resource key."""


def holders_in_words(refused: Refusals) -> str:
    """Who has it, since when, and why."""
    words = []
    for key, holders in sorted(refused.items()):
        who = "; ".join(_holder_in_words(holder) for holder in holders) or "another run"
        words.append(f"{key}, which {who}")
    return " and ".join(words)


def holder_of_it(key: ResourceKey, holders: Collection[Holder]) -> str:
    """Who has a node's own table, for whoever looks at the node: the key, which is long, last."""
    who = "; ".join(_holder_in_words(holder, " it") for holder in holders) or "another run has it"
    return f"{who}: {key}"


def backends_in_words(foreign: Mapping[ResourceKey, Collection[BackendId]]) -> str:
    """In which backends what this run has taken over is still built, by resource key."""
    words = []
    for key, found in sorted(foreign.items()):
        places = ", ".join(backends.in_words(backend) for backend in found)
        words.append(
            f"{key}, which a run that has lost its claim still builds, in a backend of the "
            f"database server that could not be ended ({places})"
        )
    return " and ".join(words)


def _holder_in_words(holder: Holder, what: str = "") -> str:
    since = f"since {holder.since:%Y-%m-%d %H:%M:%S} UTC"
    why = f" ({holder.reason})" if holder.reason else ""
    if holder.owner_kind is OwnerKind.PERSON:
        until = f", until {holder.expires_at:%Y-%m-%d %H:%M} UTC" if holder.expires_at else ""
        return f"{holder.run_id or 'somebody'} has paused{what} {since}{until}{why}"
    doing = "waits for" if holder.waiting else "has claimed"
    return f"run {holder.run_id} {doing}{what} {since}{why}"
