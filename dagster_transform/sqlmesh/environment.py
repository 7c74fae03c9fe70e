"""What there is to do in an environment: read from the state, decided without building anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmesh.core.scheduler import _expand_range_as_interval
from sqlmesh.core.snapshot import DeployabilityIndex, snapshots_to_dag

from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh.errors import EnvironmentNotPlannedError
from dagster_transform.sqlmesh.intervals import Interval, merged, without
from dagster_transform.sqlmesh.settings import Setting, SqlmeshSettings, Work

_PROD = "prod"


@dataclass(slots=True)
class Assessment:
    """What a session knows before its run is planned.

    Attributes:
        readiness: What to say of each selected node, by reference.
        work: What to build, by reference; a superset of what the run plan will name.
        setting: What the nodes share.
        infos: The environment's own records, for the statements that surround a run.
    """

    readiness: dict[str, Readiness]
    work: dict[str, Work]
    setting: Setting
    infos: list[Any] = field(default_factory=list)

    def judged(self, reference: str) -> tuple[Any, list[Interval]]:
        """The snapshot that a check on `reference` judges, and over which time.

        Data that this run has built, including a batch whose blocking audit has just failed; for a
        node that it does not build, all that ever was.

        Raises:
            KeyError: The environment does not have the node.
        """
        work = self.work.get(reference)
        if work is not None and work.batches and self.readiness[reference].outcome is None:
            return work.snapshot, work.batches[: work.recorded + 1]
        snapshot = self.setting.scheduler.snapshots_by_name[reference]
        representative = self.setting.deployability.is_representative(snapshot)
        return snapshot, merged(snapshot.intervals if representative else snapshot.dev_intervals)


def read_environment(name: str, context: Any, environment: str) -> Any:
    """The environment's record.

    Raises:
        EnvironmentNotPlannedError: It does not exist, or a plan is being applied to it.
    """
    record = context.state_sync.get_environment(environment)
    path = context.path
    plan = f"sqlmesh -p {path} plan {environment}"
    if record is None:
        raise EnvironmentNotPlannedError(
            f"Project {name}: its environment {environment} was never planned.",
            remedy=f"Run `{plan}`, or set `plan: auto` for the project in transform.yaml.",
        )
    if not record.finalized_ts:
        raise EnvironmentNotPlannedError(
            f"Project {name}: a plan of its environment {environment} has not come to its end.",
            remedy=f"Wait until it has; if it failed, apply it again: `{plan}`.",
        )
    return record


def deployability_of(snapshots: Collection[Any], *, development: bool) -> DeployabilityIndex:
    """SQLMesh's rule for which tables are production's own: all of them, outside development."""
    return (
        DeployabilityIndex.create(snapshots) if development else DeployabilityIndex.all_deployable()
    )


def assess_environment(
    name: str,
    context: Any,
    settings: SqlmeshSettings,
    selected: set[str],
    judged: Collection[str] = (),
) -> Assessment:
    """What there is to do for the selected nodes of an environment as it is.

    Only the snapshots of these nodes and of their ancestors are read: without the ancestors,
    SQLMesh would not know where the intervals of a model without a start of its own begin.

    Args:
        name: The project's name, for messages.
        context: A SQLMesh Context.
        settings: What the run asks for.
        selected: Fully qualified names of the nodes to build.
        judged: Fully qualified names of the nodes with checks to run.

    Raises:
        EnvironmentNotPlannedError: There is no such environment.
    """
    record = read_environment(name, context, settings.environment)
    infos = {info.name: info for info in record.snapshots}
    present = (selected | set(judged)) & infos.keys()
    closure = _with_ancestors(present, infos)
    state = context.state_sync
    snapshots = state.get_snapshots([infos[n] for n in closure]) if closure else {}
    scheduler = context.create_scheduler(snapshots.values(), context.snapshot_evaluator)
    deployability = deployability_of(snapshots.values(), development=settings.environment != _PROD)
    state.refresh_snapshot_intervals(snapshots.values())
    setting = Setting(
        scheduler=scheduler,
        deployability=deployability,
        naming=record.naming_info,
        execution_time=settings.execution_time,
        plan={"selected_models": set()},
    )
    build, owed = _intervals(setting, selected & infos.keys(), ignore_cron=settings.ignore_cron)
    assessment = Assessment({}, {}, setting, infos=list(record.snapshots))
    for reference in sorted(selected):
        if reference not in infos:
            assessment.readiness[reference] = Readiness(
                Outcome.NOT_PROMOTED,
                f"it is in the files, not in environment {settings.environment}: apply a plan",
            )
            continue
        snapshot = scheduler.snapshots_by_name[reference]
        work = Work(snapshot, build.get(reference, []))
        readiness = _ready(work, owed.get(reference, []), settings, scheduler, context)
        assessment.readiness[reference] = readiness
        if readiness.outcome is None:
            assessment.work[reference] = work
    return assessment


def _ready(
    work: Work, owed: list[Interval], settings: SqlmeshSettings, scheduler: Any, context: Any
) -> Readiness:
    """Whether there is something to build; gives a rebuild its batches."""
    if work.batches:
        return Readiness()
    snapshot = work.snapshot
    built = merged(snapshot.intervals) or merged(snapshot.dev_intervals)
    rebuilt = snapshot.is_full or snapshot.is_view or snapshot.is_seed
    if settings.ignore_cron and rebuilt and built:
        if snapshot.is_seed:
            seed = _with_rows(snapshot.node, context)
            if seed is None:
                reason = "its rows are not in the state, and the files have another version of it"
                return Readiness(Outcome.UP_TO_DATE, reason)
            # SQLMesh writes a seed when it makes the table, which it does where it sees no data.
            work.snapshot = snapshot.copy(
                update={"node": seed, "intervals": [], "dev_intervals": []}
            )
        work.batches = [built[-1]]
        return Readiness()
    if owed:
        parents = ", ".join(
            scheduler.snapshots_by_name[p.name].model.name
            for p in snapshot.parents
            if p.name in scheduler.snapshots_by_name
        )
        return Readiness(
            Outcome.WAITING,
            f"an upstream that is not selected has not built the data yet ({parents}): "
            f"select +{snapshot.model.name}",
        )
    if settings.ignore_cron:
        return Readiness(Outcome.UP_TO_DATE, "no interval is missing")
    return Readiness(Outcome.UP_TO_DATE, f"nothing is due by its cron '{snapshot.node.cron}'")


def _with_rows(seed: Any, context: Any) -> Any | None:
    """A seed model with its rows. The state does not have them, only the cache of the machine that
    made the plan; so the files may have to be loaded. None if they have other rows."""
    if seed.is_hydrated:
        return seed
    if not context.models:
        context.load()
    local = context.models.get(seed.fqn)
    if local is None or not local.kind.is_seed or local.data_hash != seed.data_hash:
        return None
    return seed.to_hydrated(local.seed.content)


def _intervals(
    setting: Setting, selected: set[str], *, ignore_cron: bool
) -> tuple[dict[str, list[Interval]], dict[str, list[Interval]]]:
    """What to build for each selected node, and what its ancestors still owe it.

    An ancestor owes what it should have by its cron and does not have, or what a signal holds
    back. Built over that, a node would be recorded as complete over data that is not there, and no
    later run would repair it.
    """
    scheduler = setting.scheduler
    common = {
        "end": setting.execution_time,
        "execution_time": setting.execution_time,
        "deployability_index": setting.deployability,
    }
    mine = scheduler.merged_missing_intervals(
        ignore_cron=ignore_cron, selected_snapshots=selected, **common
    )
    others = {s.name for s in scheduler.snapshots.values()} - selected
    theirs = scheduler.merged_missing_intervals(
        ignore_cron=False, selected_snapshots=others, **common
    )
    dag = snapshots_to_dag(scheduler.snapshots.values())
    full = scheduler.batch_intervals(
        {**theirs, **mine}, setting.deployability, setting.naming, dag=dag
    )
    missing = {s.name: list(i) for s, i in theirs.items()}
    wanted = {s.name: list(i) for s, i in mine.items()}
    batches = {s.name: list(i) for s, i in full.items()}
    build: dict[str, list[Interval]] = {}
    owed: dict[str, list[Interval]] = {}
    held: dict[str, list[Interval]] = {}
    for snapshot_id in dag:
        snapshot = scheduler.snapshots.get(snapshot_id)
        if snapshot is None:
            continue
        name = snapshot.name
        debts = merged(i for parent in snapshot.parents for i in owed.get(parent.name, ()))
        owed[name] = merged([*debts, *missing.get(name, ())])
        if name in selected and name in batches:
            cells = [_cells(snapshot, i) for i in batches[name]]
            build[name] = without(
                batches[name], debts, cells, uninterrupted=bool(snapshot.depends_on_past)
            )
        if wanted.get(name) and not build.get(name):
            held[name] = debts or wanted[name]
    return build, held


def _cells(snapshot: Any, interval: Interval) -> list[Interval]:
    return [(s, e) for s, e in _expand_range_as_interval(*interval, snapshot.node.interval_unit)]


def _with_ancestors(names: Iterable[str], infos: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    stack = [n for n in names if n in infos]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(p.name for p in infos[name].parents if p.name in infos)
    return found
