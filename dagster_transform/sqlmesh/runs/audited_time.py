"""The time over which somebody wants audits to run, as SQLMesh's `audit` takes it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmesh.utils.date import is_date, to_datetime, to_timestamp

from dagster_transform.sqlmesh.errors import AuditedTimeError
from dagster_transform.sqlmesh.intervals import Interval


def audited_time(start: str, end: str, now: datetime) -> Interval:
    """From `start` to `end`, a date meaning the whole day, in UTC.

    Args:
        start: `2024-03-05`, `2024-03-05 06:00:00`, `3 days ago`.
        end: Likewise.
        now: What words are relative to.

    Raises:
        AuditedTimeError: One of them is no time, or the end does not come after the start.
    """
    try:
        first, last = (to_datetime(text, relative_base=now) for text in (start, end))
    except (ValueError, TypeError) as error:
        raise AuditedTimeError(
            f"checks.start '{start}' and checks.end '{end}' are no times: {error}",
            remedy="Write them like 2024-03-05, 2024-03-05 06:00:00, or 3 days ago.",
        ) from None
    if is_date(end):
        last += timedelta(days=1)
    if first >= last:
        raise AuditedTimeError(f"checks.end '{end}' does not come after checks.start '{start}'.")
    return to_timestamp(first), to_timestamp(last)
