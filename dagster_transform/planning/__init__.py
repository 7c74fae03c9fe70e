"""Pure decisions: what a run will do, and why it leaves the rest out. No clock, no I/O."""

from __future__ import annotations

from dagster_transform.planning.run_plan import (
    LeftOut,
    Limits,
    Outcome,
    Readiness,
    RunPlan,
    Unit,
    UnitKind,
    plan_run,
)

__all__ = ["LeftOut", "Limits", "Outcome", "Readiness", "RunPlan", "Unit", "UnitKind", "plan_run"]
