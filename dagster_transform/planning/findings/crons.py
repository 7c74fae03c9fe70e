"""Crons that fall into an hour in which a clock is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from dagster_transform.graph import Graph
from dagster_transform.planning.cron import Cron, CronError
from dagster_transform.planning.findings.values import Code, Finding, Severity

_AHEAD = timedelta(days=370)
_SHOWN = 5


def cron_findings(graph: Graph, groups: Mapping[str, Cron], now: datetime) -> list[Finding]:
    """A finding for each cron of nodes or job groups that, in the year to come, names a time which
    a clock leaves out or shows twice. Crons of every hour do not mind.

    Args:
        graph: The nodes.
        groups: Crons of job groups, by name.
        now: Aware.
    """
    users: dict[Cron, list[str]] = {}
    for node in graph.nodes.values():
        if node.cron and node.time_zone:
            try:
                cron = Cron.parse(node.cron, node.time_zone)
            except CronError:
                continue  # said where it is read
            users.setdefault(cron, []).append(node.name)
    for name, cron in groups.items():
        users.setdefault(cron, []).append(f"job group {name}")
    return [
        _finding(cron, names, changes)
        for cron, names in users.items()
        if (changes := list(cron.changed(now, now + _AHEAD)))
    ]


def _finding(cron: Cron, names: Iterable[str], changes: Iterable[tuple[datetime, bool]]) -> Finding:
    listing = sorted(names)
    shown = ", ".join(listing[:_SHOWN]) + (
        f" and {len(listing) - _SHOWN} more" if len(listing) > _SHOWN else ""
    )
    nights = "; ".join(
        f"{wall:%Y-%m-%d %H:%M} {'comes twice' if twice else 'does not exist'}"
        for wall, twice in changes
    )
    return Finding(
        Code.CLOCK_CHANGE,
        Severity.WARNING,
        what=f"The cron {cron} names a time at which the clock is changed: {nights}.",
        cause="Dagster ticks once in such a night. SQLMesh says that a node is due at both times "
        "where one comes twice, and at the end of the hour where one does not exist.",
        remedy="Choose a time that is never changed (before 01:00 or after 04:00 in most zones), "
        "or a cron in UTC.",
        where=shown,
    )
