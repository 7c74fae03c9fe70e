"""Job groups and their differences as JSON, for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dagster_transform.graph import Graph
from dagster_transform.planning.job_groups.differences import Difference
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupPlan


def plan_as_json(plan: JobGroupPlan, graph: Graph) -> dict[str, Any]:
    """All of a plan: its groups in order, what is in none, and its warnings."""
    return {
        "job_groups": [_group(group, graph) for group in plan.groups],
        "unscheduled": {graph.nodes[id].name: why for id, why in plan.unscheduled.items()},
        "warnings": list(plan.warnings),
    }


def differences_as_json(found: Iterable[Difference]) -> list[dict[str, str]]:
    """A mapping for each difference."""
    return [
        {"what": each.what.value, "name": each.name, "before": each.before, "after": each.after}
        for each in found
    ]


def _group(group: JobGroup, graph: Graph) -> dict[str, Any]:
    return {
        "name": group.name,
        "cron": group.cron.text,
        "time_zone": group.cron.time_zone,
        "cadence": group.cron.describe(),
        "nodes": [graph.nodes[id].name for id in group.nodes],
        "depends_on": list(group.depends_on),
        "expected_seconds": round(group.seconds, 3),
        "reason": group.reason,
        "description": group.description,
        "tags": dict(group.tags),
        "owners": list(group.owners),
        "max_concurrent_models": group.max_concurrent_models,
        "checks": group.checks,
    }
