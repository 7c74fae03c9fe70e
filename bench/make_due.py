"""Child process: take the last day of models out of SQLMesh's state and out of their tables."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone


def main() -> None:
    """Arguments: the project's folder, the model or `*`, the day."""
    folder, name, day = sys.argv[1:]
    from sqlmesh import Context

    context = Context(paths=[folder])
    if name == "*":
        snapshots = list(context.snapshots.values())
    else:
        snapshots = [context.get_snapshot(name, raise_if_missing=True)]
    state = context.state_sync
    begin = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    interval = tuple(int(t.timestamp() * 1000) for t in (begin, begin + timedelta(days=1)))
    state.remove_intervals([(snapshot, interval) for snapshot in snapshots])
    state.compact_intervals()
    for snapshot in snapshots:
        if snapshot.model.kind.is_incremental_by_time_range:
            context.engine_adapter.execute(
                f"DELETE FROM {snapshot.table_name()} WHERE day = '{day}'"
            )
    context.engine_adapter.execute("CHECKPOINT")
    context.close()


main()
