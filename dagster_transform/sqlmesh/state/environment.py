"""What there is to do in an environment: read from the state, decided without building anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from sqlmesh.core.snapshot import DeployabilityIndex

from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.errors import EnvironmentNotPlannedError
from dagster_transform.sqlmesh.intervals import Interval, merged
from dagster_transform.sqlmesh.settings import PROD, Setting, SqlmeshSettings, Work
from dagster_transform.sqlmesh.state.auto_restate import mark_what_is_due
from dagster_transform.sqlmesh.state.guard import Allotment, allot


@dataclass(slots=True)
class Assessment:
    """What a session knows before its run is planned.

    Attributes:
        readiness: What to say of each node, by reference: of the selected ones, and of others that
            the run builds too (`upstreams: include`, a restatement's downstream).
        work: What to build, by reference; a superset of what the run plan will name.
        setting: What the nodes share.
        infos: The environment's own records, for the statements that surround a run.
        plan_id: The environment's plan, as it was read.
        lacks: Over which time standalone audits, and those of external models, have not run yet,
            by reference.
        audited: Of an external model, the audits that this run has run, and that let it go on.
    """

    readiness: dict[str, Readiness]
    work: dict[str, Work]
    setting: Setting
    infos: list[Any] = field(default_factory=list)
    plan_id: str = ""
    lacks: dict[str, list[Interval]] = field(default_factory=dict)
    audited: dict[str, set[str]] = field(default_factory=dict)

    def judged(self, reference: str) -> tuple[Any, list[Interval]]:
        """The snapshot that a check on `reference` judges, and over which time.

        Data that this run has built, including a batch whose blocking audit has just failed; for a
        node that it does not build, all that ever was.

        Raises:
            KeyError: The environment does not have the node.
        """
        work = self.work.get(reference)
        if work is not None and work.batches and self.readiness[reference].outcome is None:
            return work.snapshot, work.done or work.batches[:1]
        snapshot = self.setting.scheduler.snapshots_by_name[reference]
        return snapshot, merged(self.setting.intervals_of(snapshot))


def is_only_judged(snapshot: Any) -> bool:
    """Whether it has audits and nothing that is built: a standalone audit, an external model."""
    return bool(snapshot.is_audit or snapshot.is_external)


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


def read_snapshots(
    context: Any, record: Any, names: Iterable[str], settings: SqlmeshSettings
) -> Setting:
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
    state = context.state_sync
    snapshots = _compat.fetch_snapshots(state, [infos[n] for n in closure], queries_of=wanted)
    development = settings.environment != PROD
    read_intervals(state, snapshots.values(), development=development)
    return Setting(
        scheduler=context.create_scheduler(snapshots.values(), context.snapshot_evaluator),
        deployability=deployability_of(snapshots.values(), development=development),
        naming=record.naming_info,
        execution_time=settings.execution_time,
        plan={"selected_models": set()},
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


def _production_has(context: Any, snapshots: Iterable[Any]) -> frozenset[str]:
    """Names of the snapshots whose tables are production's too: their versions are equal."""
    production = context.state_sync.get_environment(PROD)
    versions = {i.name: i.version for i in production.snapshots} if production is not None else {}
    return frozenset(s.name for s in snapshots if versions.get(s.name) == s.version)


def assess_environment(
    name: str,
    context: Any,
    settings: SqlmeshSettings,
    selected: Collection[str],
    judged: Collection[str] = (),
) -> Assessment:
    """What there is to do for the selected nodes of an environment as it is.

    Auto-restatements that are due for them are marked in the state first.

    Args:
        name: The project's name, for messages.
        context: A SQLMesh Context.
        settings: What the run asks for.
        selected: Fully qualified names of the nodes to build.
        judged: Fully qualified names of the nodes and standalone audits with checks to run.

    Raises:
        EnvironmentNotPlannedError: There is no such environment.
    """
    record = read_environment(name, context, settings.environment)
    infos = {info.name: info for info in record.snapshots}
    setting = read_snapshots(context, record, [*selected, *judged], settings)
    mine = promoted(record, selected)
    if settings.environment == PROD:
        snapshots = [setting.scheduler.snapshots_by_name[n] for n in sorted(mine)]
        if mark_what_is_due(context, infos, snapshots, settings.execution_time):
            setting = read_snapshots(context, record, [*selected, *judged], settings)
    allotment, included = _allot(setting, mine, settings)
    assessment = Assessment(
        {}, {}, setting, infos=list(record.snapshots), plan_id=str(record.plan_id)
    )
    apart = {
        n for n in judged if n in infos and is_only_judged(setting.scheduler.snapshots_by_name[n])
    }
    if apart:
        lacks = missing(setting, apart, ignore_cron=settings.ignore_cron)
        assessment.lacks = {s.name: list(i) for s, i in lacks.items()}
    for reference in sorted({*selected, *included}):
        if reference in selected and reference not in mine:
            assessment.readiness[reference] = not_promoted(settings, reference in infos)
            continue
        work = Work(
            setting.scheduler.snapshots_by_name[reference], allotment.build.get(reference, [])
        )
        held = allotment.held.get(reference, "")
        readiness = _ready(work, held, settings, setting, context)
        assessment.readiness[reference] = readiness
        if readiness.outcome is None:
            assessment.work[reference] = work
    return assessment


def promoted(record: Any, names: Collection[str]) -> set[str]:
    """Those of the names that an environment shows to its readers.

    A development environment also knows what it does not change. It has no views of that, and
    building it would build production's own tables.
    """
    return {info.name for info in record.promoted_snapshots} & set(names)


def not_promoted(settings: SqlmeshSettings, known: bool = False) -> Readiness:
    """Of a node that only the files have, or (`known`) of which readers see production's."""
    reason = f"it is in the files, not in environment {settings.environment}: apply a plan"
    if known:
        reason = f"environment {settings.environment} reads production's, and has none of its own"
    return Readiness(Outcome.NOT_PROMOTED, reason)


def missing(setting: Setting, names: Collection[str], *, ignore_cron: bool) -> dict[Any, Any]:
    """Intervals that these nodes should have by now and have not, by snapshot."""
    found: dict[Any, Any] = setting.scheduler.merged_missing_intervals(
        end=setting.execution_time,
        execution_time=setting.execution_time,
        deployability_index=setting.deployability,
        ignore_cron=ignore_cron,
        selected_snapshots=set(names),
    )
    return found


def others_of(setting: Setting, names: Collection[str]) -> set[str]:
    """The models that were only read because others need them.

    Those that nobody builds owe nothing: an external model with audits has intervals too, which
    say until when it was audited.
    """
    built = {
        s.name for s in setting.scheduler.snapshots.values() if s.is_model and not s.is_symbolic
    }
    return built - set(names)


def _allot(
    setting: Setting, selected: set[str], settings: SqlmeshSettings
) -> tuple[Allotment, set[str]]:
    """What is built of the selected nodes; and the upstreams that are built too."""
    wanted = missing(setting, selected, ignore_cron=settings.ignore_cron)
    owed = missing(setting, others_of(setting, selected), ignore_cron=False)
    allotment = allot(setting, wanted, owed)
    if settings.upstreams == "hold" or not allotment.owing:
        return allotment, set()
    included = {s.name: (s, i) for s, i in owed.items() if s.name in allotment.owing}
    wanted |= dict(included.values())
    owed = {s: i for s, i in owed.items() if s.name not in included}
    return allot(setting, wanted, owed), set(included)


def _ready(
    work: Work, held: str, settings: SqlmeshSettings, setting: Setting, context: Any
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
                return Readiness(Outcome.UP_TO_DATE, reason, built_at=built_at(snapshot, setting))
            # SQLMesh writes a seed when it makes the table, which it does where it sees no data.
            work.snapshot = snapshot.copy(
                update={"node": seed, "intervals": [], "dev_intervals": []}
            )
        work.batches = [built[-1]]
        return Readiness()
    if held:
        return Readiness(Outcome.WAITING, held)
    reason = f"nothing is due by its cron '{snapshot.node.cron}'"
    if settings.ignore_cron:
        reason = "no interval is missing"
    return Readiness(Outcome.UP_TO_DATE, reason, built_at=built_at(snapshot, setting))


def built_at(snapshot: Any, setting: Setting) -> datetime | None:
    """When the state was last told that something was built, UTC; None: never, or it is not known
    (older versions of SQLMesh did not record it)."""
    representative = setting.deployability.is_representative(snapshot)
    stamp = snapshot.last_altered_ts if representative else snapshot.dev_last_altered_ts
    return datetime.fromtimestamp(stamp / 1000, tz=timezone.utc) if stamp else None


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
