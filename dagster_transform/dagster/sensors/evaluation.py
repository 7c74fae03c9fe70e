"""One evaluation of the transform's sensor: what is known is read, `reconcile`, `lost_work` and
`follow_up` decide, and it is carried out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import dagster as dg

from dagster_transform.claims import ClaimId, Holder, OwnerKind, RunId, Store
from dagster_transform.dagster._compat import tag_run
from dagster_transform.dagster._compat_schedules import (
    ONLY_LOOKED_AT,
    Instigator,
    evaluated_now,
    instigators,
    location_of_sensor,
)
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.owed_rows import as_row
from dagster_transform.dagster.schedules.launching import Launching, run_request
from dagster_transform.dagster.schedules.one_at_a_time import ALL, one_at_a_time
from dagster_transform.dagster.schedules.other_assets import OtherAssets
from dagster_transform.dagster.schedules.situation import (
    LOST_SINCE,
    NO_OTHERS,
    is_lost,
    last_built,
    read_known,
    selected_nodes,
)
from dagster_transform.dagster.sensors.dead_runs import fail_dead_runs
from dagster_transform.graph import NodeId
from dagster_transform.graph.counts import counted
from dagster_transform.planning.follow_up import (
    FollowUp,
    GroupLaunch,
    LaunchKey,
    Owed,
    follow_up,
    won_nodes,
)
from dagster_transform.planning.owed_by_runs import LostRun, lost_work
from dagster_transform.planning.reconcile import HeldLease, reconcile
from dagster_transform.planning.upstreams import along_with
from dagster_transform.runs.tags import ATTEMPT, FOLLOWED_UP, JOB_GROUP, TICK

_VERSION = 1
_FAILED_RUNS = 100
"""So many of the last failed runs are looked at."""
_SAID = 10
"""Reasons that one evaluation's log has."""


def evaluate(
    context: dg.SensorEvaluationContext, launching: Launching, jobs: Mapping[str, str]
) -> dg.SensorResult:
    """Release, follow up and launch.

    Args:
        context: Dagster's.
        launching: What there is.
        jobs: The name of the job that each job group is launched through.

    Raises:
        ClaimsError: The claims store can't be used.
    """
    instance = context.instance
    every = instigators(instance)
    location = location_of_sensor(context)
    now = datetime.now(timezone.utc)
    if location is None or not evaluated_now(instance, every, launching.sensor, location):
        # Somebody looks at what it would do: that changes nothing.
        return dg.SensorResult(skip_reason=ONLY_LOOKED_AT)
    store = open_claims(instance, launching.config)
    others = launching.others(context)
    with one_at_a_time(ALL) if launching.takes_along else nullcontext():
        looked = look(
            instance,
            store,
            launching,
            jobs,
            location=location,
            among=every,
            now=now,
            others=others,
        )
    cursor = _cursor(looked.decided)
    lines = _lines(looked.decided, launching, cursor != context.cursor)
    for line in (*looked.said, *lines):
        context.log.info(line)
    if launching.config.alerts.channels:
        # Here, because who has no channels need not import what sends messages.
        from dagster_transform.dagster.sensors.alerts import tell_of_waits

        tell_of_waits(looked.decided, store, launching, location, context.log)
    if looked.requests:
        return dg.SensorResult(run_requests=list(looked.requests), cursor=cursor)
    return dg.SensorResult(skip_reason=_why_nothing(looked.decided, launching), cursor=cursor)


@dataclass(frozen=True, slots=True)
class Looked:
    """What one evaluation comes to.

    Attributes:
        requests: Runs to launch.
        decided: What became of what was owed.
        said: Lines for the log.
    """

    requests: tuple[dg.RunRequest, ...]
    decided: FollowUp
    said: tuple[str, ...]


def look(
    instance: dg.DagsterInstance,
    store: Store,
    launching: Launching,
    jobs: Mapping[str, str],
    *,
    location: str,
    among: Iterable[Instigator],
    now: datetime,
    others: OtherAssets = NO_OTHERS,
) -> Looked:
    """Release, follow up and mark what is launched. The number of queries depends on how many runs
    are launched or were lost, and not on how many nodes or runs there are.

    Args:
        instance: Dagster's.
        store: The claims store.
        launching: What there is.
        jobs: The name of the job that each job group is launched through.
        location: The code location.
        among: All schedules and sensors.
        now: Aware.
        others: Other assets that nodes read.

    Raises:
        ClaimsError: The claims store can't be used.
    """
    lost = _owe_lost_work(instance, store, launching, location, now, others=others)
    known = read_known(instance, store, launching, location, among=among, others=others)
    released = _release(instance, store, known.holders, now)
    decided = follow_up(
        known.owed,
        known.runs,
        known.situation,
        launching.scheduled,
        now=now,
        max_wait=timedelta(seconds=launching.config.job_groups.max_wait),
        built=_built(instance, launching, known.owed),
        whole=launching.whole,
    )
    if forgotten := [*decided.done, *decided.given_up]:
        store.withdraw(as_row(each, location) for each in forgotten)
    requests = []
    for launch in decided.launches:
        key, nodes = _win(store, launch, location, now)
        if nodes:
            ticks = {node: launch.last_ticks[node] for node in nodes}
            along, checks = others.selected(along_with(ticks, known.situation.read_assets))
            requests.append(
                run_request(
                    launching,
                    launching.groups[launch.job_group],
                    nodes,
                    run_key=key,
                    tick=launch.tick,
                    attempt=launch.attempt,
                    job_name=jobs[launch.job_group],
                    always=along,
                    checks=checks,
                )
            )
    return Looked(tuple(requests), decided, (*released, *lost))


def _built(
    instance: dg.DagsterInstance, launching: Launching, owed: Iterable[Owed]
) -> dict[NodeId, datetime]:
    """When nodes were last built on which it depends whether runs' left-overs can go; a query for
    500, none where there is nothing of the kind."""
    left = [each for each in owed if each.began is not None]
    asked = {node for each in left for node in (each.node, *each.awaits)}
    known = sorted(node for node in asked if node in launching.keys.assets)
    found = last_built(instance, known, launching) if known else {}
    return {node: datetime.fromtimestamp(at, timezone.utc) for node, at in found.items()}


# -- claims ------------------------------------------------------------------------------------


def _release(
    instance: dg.DagsterInstance, store: Store, holders: Iterable[Holder], now: datetime
) -> list[str]:
    """Release what runs have left behind that have ended, and let those fail that are dead; what is
    to be said of it."""
    leases = [_lease(each, expired=False) for each in holders if _is_of_run(each)]
    leases += [_lease(each, expired=True) for each in store.expired() if _is_of_run(each)]
    runs = sorted({lease.run_id for lease in leases})
    if not runs:
        return []
    found = instance.get_runs(dg.RunsFilter(run_ids=runs))
    dead = fail_dead_runs(instance, leases, found, now)
    ended = {run.run_id for run in found if run.is_finished}
    released = reconcile(leases, ended).released
    keys_of: dict[str, list[HeldLease]] = {}
    for lease in released:
        keys_of.setdefault(lease.claim_id, []).append(lease)
    for claim_id, mine in keys_of.items():
        store.release(ClaimId(claim_id), [lease.resource_key for lease in mine])
    return dead + [
        f"Released {len(mine)} claims of run {mine[0].run_id}, which has ended without doing so."
        for mine in keys_of.values()
    ]


def _is_of_run(holder: Holder) -> bool:
    return holder.owner_kind is not OwnerKind.PERSON and not holder.waiting


def _lease(holder: Holder, *, expired: bool) -> HeldLease:
    return HeldLease(
        holder.claim_id,
        holder.resource_key,
        holder.run_id,
        expired,
        bool(holder.backends),
        holder.expires_at,
        holder.foreign,
    )


# -- lost runs ---------------------------------------------------------------------------------


def _owe_lost_work(
    instance: dg.DagsterInstance,
    store: Store,
    launching: Launching,
    location: str,
    now: datetime,
    *,
    others: OtherAssets,
) -> list[str]:
    """Remember what was lost with runs whose processes have died; what is to be said of it."""
    records = [
        record
        for record in instance.get_run_records(
            dg.RunsFilter(
                statuses=[dg.DagsterRunStatus.FAILURE],
                tags={JOB_GROUP: sorted(launching.groups)},
                updated_after=now - LOST_SINCE,
            ),
            limit=_FAILED_RUNS,
        )
        if is_lost(record, location)
    ]
    if not records:
        return []
    nodes_of = {r.dagster_run.run_id: selected_nodes(r.dagster_run, launching) for r in records}
    every = sorted({node for nodes in nodes_of.values() for node in nodes})
    built = last_built(instance, every, launching)
    said: list[str] = []
    for record in records:
        run, began = record.dagster_run, record.start_time
        tick = Owed.read_tick(run.tags[TICK])
        if tick is None:
            continue
        nodes = nodes_of[run.run_id]
        done = [n for n in nodes if began is not None and built.get(n, 0.0) >= began]
        attempt = int(run.tags.get(ATTEMPT, "0"))
        group = run.tags[JOB_GROUP]
        failed = others.failed_in(instance, run)
        names = [key.to_user_string() for key in failed]
        below = others.below(failed) if failed else ()
        lost = LostRun(run.run_id, group, tick[0], attempt, nodes, done, names, below)
        owed, refused = lost_work(lost, now)
        store.postpone(as_row(each, location) for each in owed)
        # Only now: what is not tagged is looked at again, and postponed once.
        tag_run(instance, run.run_id, {FOLLOWED_UP: now.isoformat()})
        said += [refused] if refused else []
        if owed:
            were = counted(len(owed), "node was", "nodes were")
            said.append(f"Of job group {group} {were} {owed[0].reason}.")
    return said


# -- launching ---------------------------------------------------------------------------------


def _win(
    store: Store, launch: GroupLaunch, location: str, now: datetime
) -> tuple[str, tuple[NodeId, ...]]:
    """Mark what a launch answers for as launched, once; its key, and what is this sensor's to
    launch."""
    before = [LaunchKey.parse(each.launched) for each in launch.owed if each.launched is not None]
    generation = 1 + max((key.generation for key in before if key is not None), default=0)
    rows = {(row.node, row.tick): each for each in launch.owed for row in [as_row(each, location)]}
    digest = hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()[:12]
    key = str(LaunchKey(f"{location}/{launch.job_group}/{digest}", generation, now))
    won: list[Owed] = []
    for old in dict.fromkeys(each.launched for each in launch.owed):
        mine = [as_row(each, location) for each in launch.owed if each.launched == old]
        marked = store.launch(mine, RunId(key), instead_of=None if old is None else RunId(old))
        won += [rows[row.node, row.tick] for row in marked]
    nodes = won_nodes(launch, won)
    # Who has won the oldest of a node launches it for all of them.
    if others := [as_row(each, location) for each in won if each.node not in nodes]:
        store.withdraw(others, run_id=RunId(key))
    return key, nodes


# -- what is said ------------------------------------------------------------------------------


def _cursor(decided: FollowUp) -> str:
    """A version and a hash of what waits, and why."""
    waiting = sorted((each.node, each.tick_text, why) for each, why in decided.waiting.items())
    return f"{_VERSION}:{hashlib.sha256(repr(waiting).encode()).hexdigest()[:16]}"


def _lines(decided: FollowUp, launching: Launching, changed: bool) -> list[str]:
    called = launching.scheduled.called
    lines = [
        f"Given up: {called(each.node)} of {each.tick:%Y-%m-%d %H:%M} UTC: {why}."
        for each, why in decided.given_up.items()
    ]
    if changed:
        lines += [
            f"{called(each.node)} of {each.tick:%Y-%m-%d %H:%M} UTC: {why}."
            for each, why in decided.waiting.items()
        ]
    more = len(lines) - _SAID
    return [*lines[:_SAID], f"... and {more} more."] if more > 0 else lines


def _why_nothing(decided: FollowUp, launching: Launching) -> str:
    if not decided.waiting:
        return "Nothing is pending."
    each, why = next(iter(decided.waiting.items()))
    more = len(decided.waiting) - 1
    said = f"{launching.scheduled.called(each.node)}: {why}"
    return said + (f"; and {more} more wait." if more else ".")
