"""The explanation of a plan that tests compare, show and change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from dagster_transform.sqlmesh.plans.explanation import (
    Backfill,
    Change,
    PlanExplanation,
    PlanRequest,
    Restated,
)

MOMENT = datetime(2024, 3, 5, 10, 30, tzinfo=timezone.utc)
DAY = 86_400_000
FIRST = int(datetime(2024, 3, 1, tzinfo=timezone.utc).timestamp() * 1000)


def change(name: str, how: str = "direct", category: str = "breaking", **more: Any) -> Change:
    given = {"kind": "FULL", "identifier": f"{name} 1", **more}
    return Change(f'"w"."mart"."{name}"', f"mart.{name}", how=how, category=category, **given)


def days(name: str, first: int, last: int, **more: Any) -> Backfill:
    """Days of March 2024."""
    interval = (FIRST + (first - 1) * DAY, FIRST + last * DAY)
    kind = "INCREMENTAL_BY_TIME_RANGE"
    return Backfill(f'"w"."mart"."{name}"', f"mart.{name}", kind, (interval,), **more)


SHOWN = PlanExplanation(
    project="p",
    environment="prod",
    execution_time=int(MOMENT.timestamp() * 1000),
    previous_plan="0123456789abcdef",
    target="target 1",
    changes=(
        change("added", "added"),
        change(
            "both", category="non-breaking", forward_only=True, diff="---\n+++\n@@ -1 +1 @@\n+x"
        ),
        change("reads", "indirect", "indirect breaking"),
        change("gone", "removed", ""),
    ),
    backfill=(
        days("added", 1, 4),
        days("base", 4, 4, due=True),
        Backfill('"w"."mart"."reads"', "mart.reads", "VIEW", ((FIRST, FIRST + 4 * DAY),)),
    ),
    restated=(Restated('"w"."mart"."both"', "mart.both", (FIRST + 3 * DAY, FIRST + 4 * DAY)),),
    others=("Python requirements",),
    request=PlanRequest(allow_destructive_models=("mart.both",)),
)


def with_change(number: int, **changed: Any) -> PlanExplanation:
    changes = list(SHOWN.changes)
    changes[number] = replace(changes[number], **changed)
    return replace(SHOWN, changes=tuple(changes), target="target 2")
