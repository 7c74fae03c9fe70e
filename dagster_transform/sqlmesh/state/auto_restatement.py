"""Auto-restatement: models with `auto_restatement_cron` are due to be built anew for some time.

SQLMesh marks the time in the state as *pending*: it counts as not built until it has been built
anew, also if the run that marked it is killed. It does so for all models of an environment whenever
anything of it runs. Here it is done for the models that the run selects, so that what one run marks
is what it builds; their descendants are marked with them, as SQLMesh does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlmesh.core.snapshot import apply_auto_restatements


def mark_what_is_due(
    context: Any,
    infos: Mapping[str, Any],
    snapshots: Iterable[Any],
    execution_time: int,
) -> list[str]:
    """Mark what is due of some models, and everything downstream of it, in the state.

    Args:
        context: A SQLMesh Context.
        infos: The environment's records by fully qualified name.
        snapshots: The models, with their intervals.
        execution_time: Epoch milliseconds.

    Retimes:
        Fully qualified names of the models that have been marked, sorted.
    """
    state = context.state_sync
    mine = [s for s in snapshots if s.is_model and s.model.auto_restatement_cron]
    due = {s.name for s in mine if s.get_next_auto_restatement_interval(execution_time)}
    marked: list[Any] = []
    times = {s.name_version: s.next_auto_restatement_ts for s in mine}
    changed = mine
    if due:
        names = _with_descendants(due, infos)
        loaded = state.get_snapshots([infos[name] for name in names])
        state.refresh_snapshot_intervals(loaded.values())
        marked, _ = apply_auto_restatements(loaded, execution_time)
        state.add_snapshots_intervals(marked)
        changed = [*(s for s in mine if s.name not in names), *loaded.values()]
    # SQLMesh moves the next time on with every run, also the first one after the model was made.
    for snapshot in changed:
        if snapshot.name not in due:
            snapshot.update_next_auto_restatement_ts(execution_time)
    moved = {
        s.name_version: s.next_auto_restatement_ts
        for s in changed
        if s.next_auto_restatement_ts != times.get(s.name_version)
    }
    if moved:
        state.update_auto_restatements(moved)
    return sorted(interval.name for interval in marked)


def _with_descendants(names: set[str], infos: Mapping[str, Any]) -> set[str]:
    children: dict[str, list[str]] = {}
    for info in infos.values():
        for parent in info.parents:
            children.setdefault(parent.name, []).append(info.name)
    found: set[str] = set()
    stack = sorted(names)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(children.get(name, ()))
    return found
