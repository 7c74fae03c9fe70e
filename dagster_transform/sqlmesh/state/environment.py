"""Reading an environment, its snapshots and their intervals from SQLMesh's state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sqlmesh.core.snapshot import DeployabilityIndex

from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.configs import shell_command_of
from dagster_transform.sqlmesh.errors import EnvironmentNotPlannedError
from dagster_transform.sqlmesh.first_plan import first_plan_of
from dagster_transform.sqlmesh.settings import PROD, SqlmeshSettings
from dagster_transform.sqlmesh.state.evaluation import Evaluation


def read_environment(name: str, context: Any, environment: str) -> Any:
    """The environment's record.

    Args:
        name: The project's name, for messages.
        context: A SQLMesh Context.
        environment: The environment's name.

    Raises:
        EnvironmentNotPlannedError: It does not exist, or a plan is being applied to it.
    """
    record = _compat.open_state(context).get_environment(environment)
    if record is None:
        raise EnvironmentNotPlannedError(
            f"Project {name}: its environment {environment} was never planned.",
            remedy=first_plan_of(context, name, environment).remedy,
        )
    if not record.finalized_ts:
        plan = shell_command_of(context, f"plan {environment}")
        raise EnvironmentNotPlannedError(
            f"Project {name}: a plan of its environment {environment} has not come to its end.",
            remedy=f"Wait until it has; if it failed, apply it again: `{plan}`.",
        )
    return record


def read_snapshots(
    context: Any, record: Any, names: Iterable[str], settings: SqlmeshSettings
) -> Evaluation:
    """The snapshots of some nodes of an environment, and of all their ancestors.

    Without the ancestors, SQLMesh would not know where the intervals of a model without a start of
    its own begin.

    Args:
        context: A SQLMesh Context.
        record: The environment's record.
        names: Fully qualified names; those that the environment does not have are left out.
        settings: What the run asks for.
    """
    infos = {info.name: info for info in record.snapshots}
    wanted = set(names)
    closure = with_ancestors(wanted, infos)
    state, development = context.state_sync, settings.is_development
    snapshots = _compat.fetch_snapshots(state, [infos[n] for n in closure], queries_of=wanted)
    read_intervals(state, snapshots.values(), development=development)
    return Evaluation(
        scheduler=context.create_scheduler(snapshots.values(), context.snapshot_evaluator),
        deployability=deployability_of(snapshots.values(), development=development),
        naming=record.naming_info,
        execution_time=settings.execution_time,
        evaluate_kwargs={"selected_models": set()},
        shared=_production_has(context, snapshots.values()) if development else frozenset(),
    )


def read_intervals(state: Any, snapshots: Collection[Any], *, development: bool) -> None:
    """Give snapshots the intervals that the state has for them now.

    In production without those that an auto-restatement has marked: they are to be built again.
    """
    for snapshot in snapshots:  # from a cache they may have some that are built by now
        snapshot.pending_restatement_intervals = []
    state.refresh_snapshot_intervals(snapshots)
    if not development:
        for snapshot in snapshots:
            snapshot.apply_pending_restatement_intervals()


def deployability_of(snapshots: Collection[Any], *, development: bool) -> DeployabilityIndex:
    """SQLMesh's rule for which tables are production's own: all of them, outside development."""
    return (
        DeployabilityIndex.create(snapshots) if development else DeployabilityIndex.all_deployable()
    )


def promoted(record: Any, names: Collection[str]) -> set[str]:
    """Those of the names that an environment shows to its readers.

    A development environment also knows what it does not change. It has no views of that, and
    building it would build production's own tables.
    """
    return {info.name for info in record.promoted_snapshots} & set(names)


def not_promoted(
    name: str, context: Any, settings: SqlmeshSettings, *, known: bool = False
) -> Readiness:
    """Of a node that only the files have, or (`known`) of which readers see production's.

    Args:
        name: The project's name, which its plan job is called after.
        context: A SQLMesh Context.
        settings: What the run asks for.
        known: Whether the environment knows it.
    """
    environment = settings.environment
    if known:
        reason = f"environment {environment} reads production's, and has none of its own"
    else:
        plan = shell_command_of(context, f"plan {environment}")
        reason = (
            f"it is in the files, not in environment {environment}. Plan it: run the job "
            f"{name}_plan with apply: true, or `{plan}`"
        )
    return Readiness(Outcome.NOT_PROMOTED, reason)


def no_run_builds(
    name: str, context: Any, settings: SqlmeshSettings, may_build: Collection[str]
) -> Callable[[str], str]:
    """What says of a node why no selection makes a run build it: the environment has it, and the
    graph does not.

    Args:
        name: The project's name, which its plan job is called after.
        context: A SQLMesh Context.
        settings: What the run asks for.
        may_build: Fully qualified names of the nodes that runs may build.
    """
    environment = settings.environment
    plan, run = (shell_command_of(context, f"{what} {environment}") for what in ("plan", "run"))
    words = (
        f"environment {environment} has it, and no asset of project {name} is it, so no run here "
        f"builds it. If the files do not have it any more, plan: run the job {name}_plan with "
        f"apply: true, or `{plan}`. If transform.yaml leaves it out, take it in, or build it with "
        f"`{run}`"
    )
    return lambda reference: "" if reference in may_build else words


def is_only_judged(snapshot: Any) -> bool:
    """Whether it has audits and nothing that is built: a standalone audit, an external model."""
    return bool(snapshot.is_audit or snapshot.is_external)


def with_ancestors(names: Iterable[str], infos: Mapping[str, Any]) -> set[str]:
    """The names and those of everything upstream of them, as far as `infos` has it."""
    found: set[str] = set()
    stack = [n for n in names if n in infos]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(p.name for p in infos[name].parents if p.name in infos)
    return found


def _production_has(context: Any, snapshots: Iterable[Any]) -> frozenset[str]:
    """Names of the snapshots whose tables are production's too: their versions are equal."""
    production = context.state_sync.get_environment(PROD)
    versions = {i.name: i.version for i in production.snapshots} if production is not None else {}
    return frozenset(s.name for s in snapshots if versions.get(s.name) == s.version)
