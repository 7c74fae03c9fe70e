"""Child process: take a model's last day out of SQLMesh's state and out of its table."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone


def main() -> None:
    """Arguments: the project's folder, the model, the day."""
    folder, name, day = sys.argv[1:]
    from sqlmesh import Context

    context = Context(paths=[folder])
    snapshot = context.get_snapshot(name, raise_if_missing=True)
    state = context.state_sync
    begin = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    interval = tuple(int(t.timestamp() * 1000) for t in (begin, begin + timedelta(days=1)))
    state.remove_intervals([(snapshot, interval)])
    state.compact_intervals()
    table = snapshot.table_name()
    context.engine_adapter.execute(f"DELETE FROM {table} WHERE day = '{day}'")
    context.engine_adapter.execute("CHECKPOINT")
    context.close()


main()
