"""When a development environment expires: the janitor drops it then, unless a plan renews it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlmesh.utils.date import now, to_timestamp


def expired_at(record: Any) -> datetime | None:
    """When an environment has expired, UTC; None: it has not, or never does."""
    if record.expiration_ts is None or record.expiration_ts > to_timestamp(now()):
        return None
    return datetime.fromtimestamp(record.expiration_ts / 1000, tz=timezone.utc)


def is_to_renew(context: Any, record: Any) -> bool:
    """Whether less than half of an environment's time is left: a project that is planned again and
    again (`plan: auto`), and never changes, keeps its environment, and need not be planned each
    time for it.

    Args:
        context: A SQLMesh Context.
        record: The environment's record.
    """
    if record.expiration_ts is None:
        return False
    moment, ttl = now(), context.environment_ttl
    left = record.expiration_ts - to_timestamp(moment)
    whole = to_timestamp(ttl, relative_base=moment) - to_timestamp(moment) if ttl else 0
    return bool(left < whole / 2 or left <= 0)
