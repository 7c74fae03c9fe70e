"""Pure decisions: what a run will do, and why it leaves the rest out. No clock, no I/O."""

from __future__ import annotations

from dagster_transform.planning.advice import finer_than_upstream, restatable
from dagster_transform.planning.check_times import (
    CheckTimes,
    in_one_pool,
    over,
    timed,
    times_of,
)
from dagster_transform.planning.concurrency_tags import CONCURRENCY, SlotError
from dagster_transform.planning.overdue import last_ticks, overdue
from dagster_transform.planning.resource_keys import (
    ResourceKey,
    ResourceKeyError,
    ResourceKind,
)
from dagster_transform.planning.rounds import divide_into_rounds
from dagster_transform.planning.run_plan import INCOMPLETE, RunPlanError, plan_run
from dagster_transform.planning.slots import connection_slot, slots_of
from dagster_transform.planning.source_keys import keyed_sources
from dagster_transform.planning.values import (
    DEFAULT_MODELS,
    GOOD_OUTCOMES,
    LeftOut,
    Limits,
    Outcome,
    Readiness,
    RunPlan,
    Slot,
    Unit,
    UnitKind,
)

__all__ = [
    "CONCURRENCY",
    "DEFAULT_MODELS",
    "GOOD_OUTCOMES",
    "INCOMPLETE",
    "CheckTimes",
    "LeftOut",
    "Limits",
    "Outcome",
    "Readiness",
    "ResourceKey",
    "ResourceKeyError",
    "ResourceKind",
    "RunPlan",
    "RunPlanError",
    "Slot",
    "SlotError",
    "Unit",
    "UnitKind",
    "connection_slot",
    "divide_into_rounds",
    "finer_than_upstream",
    "in_one_pool",
    "keyed_sources",
    "last_ticks",
    "over",
    "overdue",
    "plan_run",
    "restatable",
    "slots_of",
    "timed",
    "times_of",
]
