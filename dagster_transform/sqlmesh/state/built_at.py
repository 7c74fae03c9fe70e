"""When a node was last built, in Dagster or outside of it: what a synced materialisation shows."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from dagster_transform.sqlmesh.state.evaluation import Evaluation


def built_at(snapshot: Any, evaluation: Evaluation) -> datetime | None:
    """When the state last recorded that something of a node was built, UTC; None: never, or it is
    not known (older versions of SQLMesh did not record it)."""
    representative = evaluation.deployability.is_representative(snapshot)
    stamp = snapshot.last_altered_ts if representative else snapshot.dev_last_altered_ts
    return datetime.fromtimestamp(stamp / 1000, tz=timezone.utc) if stamp else None
