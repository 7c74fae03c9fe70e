"""A plan's stages, sorted into what a run carries out before, between and after its builds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlmesh.core.plan import stages
from sqlmesh.core.snapshot import DeployabilityIndex

from dagster_transform.sqlmesh.state.environment import deployability_of

_CLAIMED = (
    stages.PhysicalLayerUpdateStage,
    stages.AuditOnlyRunStage,
    stages.MigrateSchemasStage,
)
"""Stages that make, judge or change physical tables."""


@dataclass(frozen=True)
class PlanStages:
    """A plan's stages, in the order in which a run carries them out.

    SQLMesh has up to two backfills: one before the environment's record, and one after it, for
    forward-only changes in production. It leaves out a backfill with nothing to do.

    What makes or judges tables outside of a backfill comes after the first one, with the changes of
    tables: when a run comes to that it has claimed them.

    Attributes:
        before: Stages before the first backfill.
        between: Stages between it and the second one; the last ones but `after` if there is none.
        after: The stages after the second one; empty if there is none.
        intervals: What all backfills build.
        second_backfill: Names of the models that the second backfill builds.
        snapshots: All snapshots of the plan, by name.
        deployability: SQLMesh's DeployabilityIndex.
    """

    before: list[Any]
    between: list[Any]
    after: list[Any]
    intervals: dict[Any, Any]
    second_backfill: frozenset[str]
    snapshots: dict[str, Any]
    deployability: DeployabilityIndex

    @classmethod
    def of(cls, plan_stages: list[Any], plan: Any, snapshots: Iterable[Any]) -> PlanStages:
        """Sort SQLMesh's stages of an evaluatable plan.

        Args:
            plan_stages: The stages, in SQLMesh's order.
            plan: The plan.
            snapshots: All its snapshots, for a plan whose stages have no backfill.
        """
        kinds = [type(stage) for stage in plan_stages]
        record = kinds.index(stages.EnvironmentRecordUpdateStage)
        backfills = [i for i, kind in enumerate(kinds) if kind is stages.BackfillStage]
        first = next((i for i in backfills if i < record), record)
        second = next((i for i in backfills if i > record), len(kinds))
        intervals: dict[Any, Any] = {}
        for i in backfills:
            intervals |= plan_stages[i].snapshot_to_intervals
        if backfills:  # two of them have the same snapshots and the same index
            stage = plan_stages[backfills[-1]]
            by_name, deployability = stage.all_snapshots, stage.deployability_index
        else:
            by_name = {s.name: s for s in snapshots}
            deployability = deployability_of(by_name.values(), development=plan.is_dev)
        in_second = plan_stages[second].selected_snapshot_ids if second < len(kinds) else ()
        early = plan_stages[:first]
        between = [s for s in plan_stages[first:second] if type(s) is not stages.BackfillStage]
        return cls(
            before=[s for s in early if not isinstance(s, _CLAIMED)],
            between=[s for s in early if isinstance(s, _CLAIMED)] + between,
            after=plan_stages[second + 1 :],
            intervals=intervals,
            second_backfill=frozenset(snapshot_id.name for snapshot_id in in_second),
            snapshots=by_name,
            deployability=deployability,
        )

    def made_apart(self) -> list[Any]:
        """The snapshots whose tables a stage of their own makes, as far as they are not there."""
        found = [s for s in self.between if isinstance(s, stages.PhysicalLayerUpdateStage)]
        return [snapshot for stage in found for snapshot in stage.snapshots]

    def touched(self) -> dict[str, bool]:
        """Models whose tables stages between the backfills judge (False) or may change (True)."""
        judged: dict[str, bool] = {}
        changed: dict[str, bool] = {}
        for stage in self.between:
            if isinstance(stage, stages.AuditOnlyRunStage):
                judged.update({s.name: False for s in stage.snapshots})
            elif isinstance(stage, stages.MigrateSchemasStage):
                changed.update({s.name: True for s in stage.snapshots})
        return judged | changed
