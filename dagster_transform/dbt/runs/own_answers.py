"""What becomes of units that dbt itself does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.graph import CheckId, UnitId
from dagster_transform.planning import Outcome, Unit
from dagster_transform.walk import CheckResult, Report


def not_there(project: str, unit: UnitId, _node: UniqueId) -> Report:
    """The project's files do not have it any more."""
    reason = (
        "the project's files do not have it any more (or it is disabled):"
        f" run `dagster-transform prepare --project {project}`"
    )
    return Report(unit, Outcome.NOT_PROMOTED, reason)


def left_out(unit: UnitId, node: UniqueId) -> Report:
    """As in dbt, what depends on it goes on."""
    kind = node.partition(".")[0]
    reason = (
        f"dbt is told to leave out the resource type {kind}"
        " (DBT_EXCLUDE_RESOURCE_TYPES, DBT_RESOURCE_TYPES)"
    )
    return Report(unit, Outcome.UP_TO_DATE, reason)


def model_freshness(unit: Unit, entry: Mapping[str, Any] | None) -> Report:
    """Whether a model was built within the time that its `build_after` says.

    dbt keeps no record of when a model was built, and starting the model's id would build it: a run
    that builds it knows, any other does not.
    """
    if entry is None or entry["status"] != "success":
        reason = "dbt does not know when the model was last built; a run that builds it does"
        return Report(unit.id, Outcome.WAITING, reason)
    built = {"built": "in this run"}
    result = CheckResult(CheckId(unit.id), passed=True, blocking=False, details=built)
    return Report(unit.id, Outcome.CHECKED, checks=(result,))
