"""What there is to do in an environment: read from the state, decided without building anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster_transform.planning import Outcome, Readiness
from dagster_transform.sqlmesh.intervals import Interval, in_words, merged
from dagster_transform.sqlmesh.settings import PROD, SqlmeshSettings
from dagster_transform.sqlmesh.state.auto_restatement import mark_what_is_due
from dagster_transform.sqlmesh.state.built_at import built_at
from dagster_transform.sqlmesh.state.current_environment import (
    CurrentEnvironment,
    PlannedEnvironment,
)
from dagster_transform.sqlmesh.state.due_intervals import (
    due_intervals,
    interval_to_rebuild,
    names_of_others,
)
from dagster_transform.sqlmesh.state.environment import (
    is_only_judged,
    no_run_builds,
    not_promoted,
    promoted,
    read_environment,
    read_snapshots,
)
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.holes import BUILT_IN_PRODUCTION, Allotment, allot, why_empty
from dagster_transform.sqlmesh.state.work import Work


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of a project before its run is planned.

    Attributes:
        readiness: What to say of each node, by reference: of the selected ones, and of others that
            the run builds too (`upstreams: include`, a restatement's downstream).
        work: What to build, by reference; a superset of what the run plan will name.
        environment: The environment, for whoever builds or audits.
        lacks: Over which time standalone audits, and those of external models, have not run yet,
            by reference.
    """

    readiness: Mapping[str, Readiness]
    work: Mapping[str, Work]
    environment: CurrentEnvironment
    lacks: Mapping[str, Sequence[Interval]] = field(default_factory=dict)

    @property
    def is_due(self) -> bool:
        """Whether something is due of the nodes, also where signals hold all of it back."""
        outcomes = {ready.outcome for ready in self.readiness.values()}
        return not outcomes.isdisjoint({None, Outcome.WAITING})

    @property
    def evaluation(self) -> Evaluation:
        """What evaluating a node takes now."""
        return self.environment.value.evaluation

    def judged(self, reference: str, evaluation: Evaluation) -> tuple[Any, list[Interval]]:
        """The snapshot that a check on `reference` judges, and over which time.

        Data that this run has built, including a batch whose blocking audit has just failed; for a
        node that it does not build, all that ever was.

        Raises:
            KeyError: The environment does not have the node.
        """
        work = self.work.get(reference)
        if work is not None and work.batches and self.readiness[reference].outcome is None:
            return work.snapshot, work.done or work.batches[:1]
        snapshot = evaluation.by_name[reference]
        return snapshot, merged(evaluation.intervals_of(snapshot))


def assess_environment(
    name: str,
    context: Any,
    settings: SqlmeshSettings,
    selected: Collection[str],
    judged: Collection[str] = (),
    *,
    may_build: Collection[str],
) -> Assessment:
    """What there is to do for the selected nodes of an environment as it is.

    Auto-restatements that are due for them are marked in the state first.

    Args:
        name: The project's name, for messages.
        context: A SQLMesh Context.
        settings: What the run asks for.
        selected: Fully qualified names of the nodes to build.
        judged: Fully qualified names of the nodes and standalone audits with checks to run.
        may_build: Those of all nodes of the project, which a run may build too.

    Raises:
        EnvironmentNotPlannedError: There is no such environment.
    """
    record = read_environment(name, context, settings.environment)
    infos = {info.name: info for info in record.snapshots}
    evaluation = read_snapshots(context, record, [*selected, *judged], settings)
    mine = promoted(record, selected)
    if settings.environment == PROD:
        snapshots = [evaluation.by_name[n] for n in sorted(mine)]
        if mark_what_is_due(context, infos, snapshots, settings.execution_time):
            evaluation = read_snapshots(context, record, [*selected, *judged], settings)
    nobodys = no_run_builds(name, context, settings, may_build)
    allotment, included = _allot(evaluation, mine, settings, may_build, nobodys)
    readiness: dict[str, Readiness] = {}
    works: dict[str, Work] = {}
    lacks = _lacks(evaluation, [n for n in judged if n in infos], settings)
    for reference in sorted({*selected, *included}):
        if reference in selected and reference not in mine:
            readiness[reference] = not_promoted(name, context, settings, known=reference in infos)
            continue
        found = _work_or_why_not(reference, allotment, settings, evaluation, context)
        if isinstance(found, Work):
            works[reference] = found
            readiness[reference] = Readiness()
        else:
            readiness[reference] = found
    environment = CurrentEnvironment(PlannedEnvironment.of(record, evaluation))
    return Assessment(readiness, works, environment, lacks)


def _lacks(
    evaluation: Evaluation, names: Collection[str], settings: SqlmeshSettings
) -> dict[str, list[Interval]]:
    """Over which time audits of what nobody builds have not run yet, by name."""
    apart = {name for name in names if is_only_judged(evaluation.by_name[name])}
    if not apart:
        return {}
    due = due_intervals(evaluation, apart, ignore_cron=settings.ignore_cron)
    return {snapshot.name: list(intervals) for snapshot, intervals in due.items()}


def _allot(
    evaluation: Evaluation,
    selected: set[str],
    settings: SqlmeshSettings,
    may_build: Collection[str],
    nobodys: Callable[[str], str],
) -> tuple[Allotment, set[str]]:
    """What is built of the selected nodes; and the upstreams that are built too."""
    others = {n for n in selected if evaluation.is_productions(evaluation.by_name[n])}
    mine = selected - others
    wanted = due_intervals(evaluation, mine, ignore_cron=settings.ignore_cron)
    owed = due_intervals(evaluation, names_of_others(evaluation, mine), ignore_cron=False)
    lacking = {
        s.name: f"it lacks {in_words(intervals)}: {BUILT_IN_PRODUCTION}"
        for s, intervals in owed.items()
        if s.name in others
    }
    called = settings.called
    allotment, included = allot(evaluation, wanted, owed, called, no_run_builds=nobodys), {}
    if settings.upstreams == "include":
        owing = allotment.owing.intersection(may_build)
        included = {
            s: i for s, i in owed.items() if s.name in owing and not evaluation.is_productions(s)
        }
    if included:
        owed = {s: i for s, i in owed.items() if s not in included}
        allotment = allot(evaluation, wanted | included, owed, called, no_run_builds=nobodys)
    allotment.held |= lacking
    return allotment, {s.name for s in included}


def _work_or_why_not(
    reference: str,
    allotment: Allotment,
    settings: SqlmeshSettings,
    evaluation: Evaluation,
    context: Any,
) -> Work | Readiness:
    """What there is to build of a node; or why there is nothing."""
    snapshot = evaluation.by_name[reference]
    if error := allotment.errors.get(reference):
        return Work(snapshot, [], error=error)
    if batches := allotment.build.get(reference):
        return Work(snapshot, batches)
    others = evaluation.is_productions(snapshot)
    rebuilt = interval_to_rebuild(snapshot) if settings.ignore_cron and not others else None
    if rebuilt is not None and snapshot.is_seed:
        seed = _with_rows(snapshot.node, context)
        if seed is None:
            reason = "its rows are not in the state, and the files have another version of it"
            return Readiness(Outcome.UP_TO_DATE, reason, built_at=built_at(snapshot, evaluation))
        # SQLMesh writes a seed when it makes the table, which it does where it sees no data.
        snapshot = snapshot.copy(update={"node": seed, "intervals": [], "dev_intervals": []})
    if rebuilt is not None:
        return Work(snapshot, [rebuilt])
    stamp = built_at(snapshot, evaluation)
    if held := allotment.held.get(reference):
        return Readiness(Outcome.WAITING, held, built_at=stamp)
    if empty := why_empty(snapshot, evaluation):
        return Readiness(Outcome.WAITING, empty)
    reason = f"nothing is due by its cron '{snapshot.node.cron}'"
    if settings.ignore_cron:
        reason = "no interval is missing"
    if others:
        reason = f"{reason}: {BUILT_IN_PRODUCTION}"
    return Readiness(Outcome.UP_TO_DATE, reason, built_at=stamp)


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
