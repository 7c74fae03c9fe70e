"""Checks that run apart from builds and have missed a tick of their cron: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from dagster_transform.config import TransformConfig
from dagster_transform.graph import CheckId, Graph, NodeId, When

_GRACE = timedelta(hours=1)
"""So long a run of checks may take; where ticks are close, a quarter of the time between two."""


def last_tick(cron: str, time_zone: str | None, now: datetime) -> datetime:
    """The last tick of a cron from which on a check must have a result by now, aware.

    Args:
        cron: Five fields, or an alias such as `@daily`.
        time_zone: IANA name of the zone in which it is meant; None is UTC.
        now: Aware.
    """
    from croniter import croniter  # only those pay for it who use it

    zone = ZoneInfo(time_zone) if time_zone else timezone.utc
    ticks = croniter(cron, now.astimezone(zone), ret_type=datetime)
    tick: datetime = ticks.get_prev()
    before: datetime = ticks.get_prev()
    grace = min(_GRACE, (tick - before) / 4)
    return before if now - tick < grace else tick


def last_ticks(config: TransformConfig, now: datetime) -> dict[str, datetime]:
    """The last tick from which on the checks of a project must have results, aware, by project;
    without those whose checks have no cron.

    Args:
        config: What transform.yaml says.
        now: Aware.
    """
    return {
        name: last_tick(project.checks.cron, project.checks.time_zone, now)
        for name, project in config.projects.items()
        if project.checks.cron is not None
    }


def overdue(
    graph: Graph,
    nodes: Collection[NodeId],
    ticks: Mapping[str, datetime],
    last_results: Mapping[CheckId, datetime],
) -> list[CheckId]:
    """The checks of nodes that have no result since their cron's last tick.

    Args:
        graph: The graph, checks at their times.
        nodes: The nodes whose checks are looked at.
        ticks: As of `last_ticks`.
        last_results: When checks were last carried out, aware; those that never were are not in it.
    """
    return [
        check.id
        for node_id in sorted(nodes)
        for check in graph.checks_of(node_id)
        if check.when is When.APART
        and check.project in ticks
        and (check.id not in last_results or last_results[check.id] < ticks[check.project])
    ]
