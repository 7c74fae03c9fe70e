"""When a development environment has expired: the janitor drops it, unless it is planned again."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any


def expired_at(record: Any) -> datetime | None:
    """When an environment has expired, UTC; None: it has not, or never does.

    SQLMesh's plan takes one that has for a new one.
    """
    if not record.expired:
        return None
    return datetime.fromtimestamp(record.expiration_ts / 1000, tz=timezone.utc)
