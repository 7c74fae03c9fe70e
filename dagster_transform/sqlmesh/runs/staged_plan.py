"""A plan of SQLMesh, with its stages, as a run carries it out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlmesh.core.plan import stages

from dagster_transform.graph import PromotionId, promotion_id
from dagster_transform.sqlmesh.configs import shell_command_of
from dagster_transform.sqlmesh.errors import PlanRefusedError
from dagster_transform.sqlmesh.runs.marker import Marker
from dagster_transform.sqlmesh.runs.plan_stages import PlanStages
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.environment import read_intervals


@dataclass(frozen=True, slots=True)
class StagedPlan:
    """A plan before it is carried out.

    Attributes:
        plan: SQLMesh's EvaluatablePlan.
        stages: Its stages.
        recorded: Copies of its models' snapshots with what the state had recorded of them when the
            stages were made, by name.
        versions: What the environment had before: version by fully qualified name.
        promotion: The id of the unit that promotes it.
        step: The id of the unit between two backfills, if there are two: SQLMesh builds
            forward-only changes after the environment's record.
        marker: Remembers which files it was made from, once it has promoted.
    """

    plan: Any
    stages: PlanStages
    recorded: Mapping[str, Any]
    versions: Mapping[str, str]
    promotion: PromotionId
    step: PromotionId | None
    marker: Marker

    @property
    def plan_id(self) -> str:
        """What SQLMesh calls this plan."""
        return str(self.plan.plan_id)


def stage_plan(
    name: str,
    context: Any,
    plan: Any,
    settings: SqlmeshSettings,
    *,
    marker: Marker,
    record: Any | None,
) -> StagedPlan:
    """Ask SQLMesh for the stages of a plan.

    Args:
        name: The project's name in transform.yaml.
        context: Its Context, with the files loaded.
        plan: SQLMesh's plan.
        settings: What the run asks for.
        marker: Remembers which files it was made from.
        record: The environment's record; None: there is no such environment.

    Raises:
        PlanRefusedError: It has changes that somebody has to categorise.
    """
    environment = settings.environment
    if plan.uncategorized:
        raise PlanRefusedError(
            f"Project {name}: the plan has changes that SQLMesh can't categorise by itself: "
            + ", ".join(sorted(settings.called(s.name) for s in plan.uncategorized)),
            remedy=f"Decide once: {shell_command_of(context, f'plan {environment}')}",
        )
    evaluatable = plan.to_evaluatable()
    # Before the stages are made: they leave out what is recorded by then.
    recorded = read_recorded(context, plan.snapshots.values(), settings)
    found = stages.build_plan_stages(evaluatable, context.state_sync, context.default_catalog)
    plan_stages = PlanStages.of(found, evaluatable, plan.snapshots.values())
    return StagedPlan(
        plan=evaluatable,
        stages=plan_stages,
        recorded=recorded,
        versions={info.name: info.version for info in record.snapshots} if record else {},
        promotion=promotion_id(name, f"promotion of {environment}"),
        step=(
            promotion_id(name, f"record of {environment}") if plan_stages.second_backfill else None
        ),
        marker=marker,
    )


def read_recorded(
    context: Any, snapshots: Iterable[Any], settings: SqlmeshSettings
) -> dict[str, Any]:
    """Copies of the models' snapshots with what the state has recorded now, by name."""
    found = {s.name: s.copy() for s in snapshots if s.is_model and not s.is_symbolic}
    read_intervals(context.state_sync, found.values(), development=settings.is_development)
    return found


def refuse_what_is_not_selected(
    name: str,
    staged: StagedPlan,
    snapshots: Iterable[Any],
    selected: Collection[str],
    *,
    in_run: Collection[str],
    called: Callable[[str], str],
) -> None:
    """A run builds what was selected, and nothing else.

    SQLMesh would promote new versions of unselected models that read what has changed without
    building them: their views would lead to tables that are empty, or not there.

    Args:
        name: The project's name in transform.yaml.
        staged: The plan.
        snapshots: All snapshots of the plan.
        selected: Fully qualified names.
        in_run: Those that the run selects, here or later.
        called: What people call the node of a fully qualified name.

    Raises:
        PlanRefusedError: The plan also changes other models.
    """
    backfilled = {s.name for s in staged.stages.intervals}
    extra = {
        s.name: called(s.name)
        for s in snapshots
        if s.is_model
        and not s.is_symbolic
        and s.name not in selected
        and (s.name in backfilled or s.version != staged.versions.get(s.name, s.version))
    }
    if later := sorted(extra[n] for n in extra.keys() & set(in_run)):
        names = ", ".join(later)
        raise PlanRefusedError(
            f"Project {name}: what has changed can't be promoted without {names}, downstream of it "
            "and also of what another project, or a Python asset, makes of it once it is promoted.",
            remedy=f"Apply the plan by itself (job {name}_plan): it builds {names} from what is "
            "there now. Then materialize what is in between, and then these with `restate`, or "
            "without if they are of kind FULL or VIEW.",
        )
    if extra:
        raise PlanRefusedError(
            f"Project {name}: the plan of what is selected also rebuilds "
            f"{', '.join(sorted(extra.values()))}, downstream of it.",
            remedy="Select them too (everything downstream), so that the run may build them; what"
            f" select and exclude in transform.yaml leave out, the job {name}_plan builds.",
        )
