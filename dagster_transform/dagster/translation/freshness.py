"""Freshness policies of assets, by the crons of their nodes."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg

from dagster_transform.config import TransformConfig
from dagster_transform.dagster._compat_freshness import (
    deadline,
    has_freshness_policies,
    time_window,
)
from dagster_transform.dagster.translation.specs import Translation
from dagster_transform.graph import Graph, Node

_log = logging.getLogger("dagster_transform")


def with_freshness(made: Translation, graph: Graph, config: TransformConfig) -> Translation:
    """A graph in Dagster's terms, with a freshness policy for each node that has a cron, where
    transform.yaml asks for that.

    Args:
        made: The graph in Dagster's terms.
        graph: The graph.
        config: What says how long after its tick a node may be built.
    """
    if config.freshness_grace is None:
        return made
    if not has_freshness_policies():
        _log.warning(
            "freshness_grace in %s: Dagster %s has no freshness policies, 1.12 has: left out.",
            config.file, dg.__version__,
        )  # fmt: skip
        return made
    grace = timedelta(seconds=config.freshness_grace)
    policies: dict[tuple[str, str | None], Any] = {}
    of_key: dict[dg.AssetKey, Any] = {}
    for node in graph.nodes.values():
        if node.cron is None or _is_never_due(node):
            continue
        cron = (node.cron, node.time_zone)
        if cron not in policies:  # Dagster looks at a thousand ticks for each
            policies[cron] = _policy(*cron, grace)
        if policies[cron] is not None:
            of_key[made.keys.assets[node.id]] = policies[cron]
    specs = {
        name: spec.replace_attributes(freshness_policy=of_key[spec.key])
        if spec.key in of_key
        else spec
        for name, spec in made.specs.items()
    }
    return replace(made, specs=specs)


def _is_never_due(node: Node) -> bool:
    """SQLMesh gives seeds a cron, and builds them with a plan only."""
    return node.framework == "sqlmesh" and node.kind == "SEED"


def _policy(text: str, time_zone: str | None, grace: timedelta) -> Any:
    """None for a cron that can't be read: who has job groups is told of it there."""
    # Here, because who does not ask for policies need not import what makes them.
    from dagster_transform.planning.cron import Cron, CronError
    from dagster_transform.planning.freshness import Within, freshness_of

    try:
        found = freshness_of(Cron.parse(text, time_zone), grace)
    except CronError:
        return None
    if isinstance(found, Within):
        return time_window(found.window)
    return deadline(found.cron.cron_schedule, found.grace, found.cron.time_zone)
