"""When a dbt node is due: dbt itself knows no schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_transform.config.crons import A_CRON, A_TIME_ZONE, is_cron, is_time_zone
from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.dbt.files.meta import meta_error, meta_of

_KNOWN = frozenset({"cron", "tags", "time_zone"})
_TAGS = ("hourly", "daily", "weekly", "monthly")


def cron_of(
    resource: Resource, default: str | None, time_zone: str | None
) -> tuple[str | None, str | None]:
    """When a node is due.

    The first that applies: `meta.dagster_transform.cron`; a tag `hourly`, `daily`, `weekly` or
    `monthly` (the most frequent of them); `freshness.build_after`; the project's default.

    Args:
        resource: A node.
        default: The project's cron, or None.
        time_zone: The project's time zone; `meta.dagster_transform.time_zone` overrides it.

    Returns:
        The cron and its IANA time zone (None is UTC); both None where nothing applies.

    Raises:
        NodeConfigError: What `meta.dagster_transform` says can't be understood.
    """
    meta = meta_of(resource, "dagster_transform")
    for name in meta:
        if name not in _KNOWN:
            known = ", ".join(sorted(_KNOWN))
            raise meta_error(resource, f"dagster_transform.{name}", meta[name], f"one of {known}")
    cron = meta.get("cron")
    if cron is not None and not is_cron(cron):
        raise meta_error(resource, "dagster_transform.cron", cron, A_CRON)
    zone = meta.get("time_zone", time_zone)
    if zone is not None and not is_time_zone(zone):
        raise meta_error(resource, "dagster_transform.time_zone", zone, A_TIME_ZONE)
    if cron is None:
        tags = resource.get("tags") or ()
        cron = next((f"@{tag}" for tag in _TAGS if tag in tags), None)
    cron = cron or _cron_of_build_after(build_after(resource)) or default
    return (cron, zone) if cron else (None, None)


def build_after(resource: Resource) -> Mapping[str, Any] | None:
    """`freshness.build_after` of a model, where it says how often: `count` and `period`."""
    freshness = (resource.get("config") or {}).get("freshness") or {}
    found: Mapping[str, Any] = freshness.get("build_after") or {}
    return found if found.get("count") and found.get("period") else None


def _cron_of_build_after(found: Mapping[str, Any] | None) -> str | None:
    """The cron that is nearest to "every so often", and not more frequent within an hour or a day.

    Crons begin anew with each hour, day and month: 5 hours become 6, and every 2 days is a day less
    at the end of a month that has 31.
    """
    if found is None:
        return None
    count = int(found["count"])
    if found["period"] == "minute":
        for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30):
            if count <= minutes:
                return f"*/{minutes} * * * *"
        count = -(-count // 60)
    if found["period"] != "day":
        for hours in (1, 2, 3, 4, 6, 8, 12):
            if count <= hours:
                return "@hourly" if hours == 1 else f"0 */{hours} * * *"
        count = -(-count // 24)
    if count == 1:
        return "@daily"
    if count == 7:
        return "@weekly"
    return f"0 0 */{count} * *" if count <= 15 else "@monthly"
