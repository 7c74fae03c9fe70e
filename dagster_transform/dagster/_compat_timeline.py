"""Private parts of Dagster that a run's timeline touches; see `_compat`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent, EngineEventData


def log_engine_event(
    context: Any, message: str, metadata: Mapping[str, dg.MetadataValue[Any] | int | float]
) -> None:
    """Store an event about a whole step, now: it is about no asset and no output.

    Args:
        context: Dagster's context of an op.
        message: What people read first.
        metadata: What they can look at.
    """
    op_context = getattr(context, "op_execution_context", context)
    DagsterEvent.engine_event(
        op_context._step_execution_context, message, EngineEventData(metadata=metadata)
    )
