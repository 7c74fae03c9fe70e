"""Private parts of SQLMesh's state that this package touches, each with a contract test."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def intervals_of(state: Any, infos: Collection[Any]) -> list[Any]:
    """The intervals that a state has of versions of models, as SQLMesh's SnapshotIntervals: one for
    each snapshot that shares a version, and one for what was removed of it since.

    The state's public methods want whole snapshots, which take a hundred times as long to read.

    Args:
        state: The project's state.
        infos: Names and versions: an environment's records will do.
    """
    inner = getattr(state, "state_sync", state)
    return list(inner.interval_state.get_snapshot_intervals(infos))
