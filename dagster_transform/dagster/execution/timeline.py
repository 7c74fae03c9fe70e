"""The timeline of a run, as Dagster shows it: an event at the end of our op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg

from dagster_transform.dagster._compat_timeline import log_engine_event
from dagster_transform.graph import UnitId
from dagster_transform.runs.timeline_text import as_markdown, heading
from dagster_transform.runs.times import RunTimes

_LEAST = 2
"""Of a run that has begun fewer units, the log says it all."""


def tell_timeline(context: Any, times: RunTimes, called: Callable[[UnitId], str]) -> None:
    """Store what the time of an op went into.

    Args:
        context: Dagster's context of the op.
        times: What its walks noted.
        called: What people call a unit.
    """
    timeline = times.timeline()
    if sum(bool(spell.attempts or spell.waited) for spell in timeline.spells) < _LEAST:
        return
    log_engine_event(
        context,
        f"Timeline: {heading(timeline)}.",
        {
            "dagster_transform/timeline": dg.MetadataValue.md(as_markdown(timeline, called)),
            "dagster_transform/longest_chain_seconds": round(timeline.critical_seconds, 3),
            "dagster_transform/peak_concurrency": timeline.peak,
            "dagster_transform/waited_seconds": round(sum(w.seconds for w in timeline.waits), 3),
        },
    )
