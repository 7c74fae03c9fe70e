"""What a tick and the transform's sensor know: read once, in a number of queries that does not
depend on how many nodes there are.

A tick has sixty seconds. Nothing here imports a framework.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import dagster as dg

from dagster_transform.claims import Holder, OwnerKind, Store
from dagster_transform.dagster._compat import last_materialized
from dagster_transform.dagster._compat_schedules import (
    Instigator,
    location_of,
    read_notes,
    run_key_of,
    runs_of_keys,
    runs_under_way,
)
from dagster_transform.dagster.execution.owed_rows import owed_of
from dagster_transform.dagster.schedules.launching import Launching, schedule_name
from dagster_transform.dagster.schedules.other_assets import OtherAssets
from dagster_transform.graph import NodeId
from dagster_transform.planning.follow_up import Owed, RunState
from dagster_transform.planning.job_groups.tick_window import TickMemory, chosen_of
from dagster_transform.planning.situation import Hold, Situation, UnderWay
from dagster_transform.runs.tags import FOLLOWED_UP, JOB_GROUP, TICK, TOLD

LOST_SINCE = timedelta(days=1)
"""Runs that were lost longer ago are not followed up."""
NO_OTHERS = OtherAssets()
_WILL_RETRY = "dagster/will_retry"


@dataclass(frozen=True, slots=True)
class Known:
    """What was read.

    Attributes:
        location: The code location.
        situation: What decisions are made from.
        owed: What is still owed a run, in this code location.
        runs: The runs that were asked for and have appeared, by key.
        holders: Who holds what.
        launched: Runs of ticks that are known, by job group and tick as their tags have them.
    """

    location: str
    situation: Situation
    owed: tuple[Owed, ...] = ()
    runs: Mapping[str, RunState] = field(default_factory=dict)
    holders: tuple[Holder, ...] = ()
    launched: Mapping[tuple[str, str], dg.RunRecord] = field(default_factory=dict)


def read_known(
    instance: dg.DagsterInstance,
    store: Store,
    launching: Launching,
    location: str,
    *,
    among: Iterable[Instigator],
    own: tuple[str, datetime] | None = None,
    others: OtherAssets = NO_OTHERS,
) -> Known:
    """Read what is known, in at most seven queries and one more for each 500 nodes that runs under
    way are to build, and for each 500 other assets that nodes read.

    Args:
        instance: Dagster's.
        store: The claims store.
        launching: What there is.
        location: The code location.
        among: All schedules and sensors, as `instigators` gives them.
        own: The job group and tick that is evaluated now; None: none is.
        others: Other assets that nodes read.

    Raises:
        ClaimsError: The claims store can't be used.
    """
    schedules = {each.name: each for each in among if each.location == location}
    of_group = {
        group.name: schedules[schedule_name(group.name)]
        for group in launching.plan.groups
        if schedule_name(group.name) in schedules
    }
    # In this order: whoever asks for a run writes what it postpones, then its note, and the run
    # comes after that. So what is not found under way was still pending when that was read.
    notes = read_notes(instance, list(of_group.values())) if of_group else {}
    memories: dict[str, TickMemory | None] = {
        name: TickMemory.from_text(notes.get(schedule)) for name, schedule in of_group.items()
    }
    owed = tuple(owed_of(store.remembered(), location))
    asked_keys = {each.launched for each in owed if each.launched is not None}
    asked_runs = runs_of_keys(instance, asked_keys)
    lost = {key for key, record in asked_runs.items() if is_lost(record, location)}
    runs = {
        key: RunState.ENDED
        if record.dagster_run.is_finished and key not in lost
        else RunState.UNDER_WAY
        for key, record in asked_runs.items()
    }
    launched = _launched(instance, location, memories, own)
    holders = tuple(store.holders())
    records = runs_under_way(instance)
    pending: dict[NodeId, list[datetime]] = {}
    asked: dict[NodeId, str] = {}
    for each in owed:
        # What awaits a recovery holds up no tick: that builds it, if it can, and answers for it.
        if not each.awaits and (each.launched not in runs or each.launched in lost):
            pending.setdefault(each.node, []).append(each.tick)
            if each.launched is not None and each.launched not in runs:
                asked[each.node] = f"which job group {each.job_group} has launched"
    until: dict[str, datetime] = {}
    for name, schedule in of_group.items():
        memory = memories[name]
        known = [schedule.started, memory.until if memory else None]
        if schedule.on and (own is None or name != own[0]) and any(known):
            until[name] = max(moment for moment in known if moment is not None)
        if memory is None or (own is not None and name == own[0]):
            continue
        record = launched.get((name, memory.until.isoformat()))
        if record is None or is_lost(record, location):
            # A run was asked for, and Dagster has not made it yet, or it has died and the sensor
            # has not seen it yet.
            for node in chosen_of(launching.groups[name].nodes, memory.launched) or ():
                pending.setdefault(node, []).append(memory.until)
                if record is None:
                    asked[node] = f"which job group {name} has launched"
    situation = Situation(
        holds=_holds(holders, launching),
        under_way=_under_way(instance, records, launching),
        pending={node: tuple(sorted(ticks)) for node, ticks in pending.items()},
        launched_until={launching.groups[name].name: at for name, at in until.items()},
        read_assets=others.read(instance, location=location, under_way=records, asked=asked),
    )
    return Known(location, situation, owed, runs, holders, launched)


def sensor_is_on(all_instigators: Iterable[Instigator], name: str, location: str) -> bool:
    """Whether the transform's sensor runs; it does from the start, before Dagster has stored it."""
    return all(
        each.on
        for each in all_instigators
        if each.is_sensor and each.name == name and each.location == location
    )


def is_lost(record: dg.RunRecord, location: str) -> bool:
    """Whether a run of a job group has failed without having said what it came to, and is not
    followed up yet: its process has died."""
    run, tags = record.dagster_run, record.dagster_run.tags
    changed = record.update_timestamp.replace(tzinfo=timezone.utc)
    return (
        run.status is dg.DagsterRunStatus.FAILURE
        and TICK in tags
        and not {TOLD, FOLLOWED_UP} & tags.keys()
        and tags.get(_WILL_RETRY) != "true"
        and datetime.now(timezone.utc) - changed < LOST_SINCE
        and location_of(run) in (None, location)
    )


def _launched(
    instance: dg.DagsterInstance,
    location: str,
    memories: Mapping[str, TickMemory | None],
    own: tuple[str, datetime] | None,
) -> dict[tuple[str, str], dg.RunRecord]:
    """The runs of the last tick of each group; one query."""
    wanted = {(name, memory.until) for name, memory in memories.items() if memory is not None}
    wanted |= {own} if own is not None else set()
    if not wanted:
        return {}
    tags = {
        JOB_GROUP: sorted({name for name, _ in wanted}),
        TICK: sorted({tick.isoformat() for _, tick in wanted}),
    }
    found: dict[tuple[str, str], dg.RunRecord] = {}
    for record in instance.get_run_records(dg.RunsFilter(tags=tags)):
        run = record.dagster_run
        # What the sensor launches has a key of its own, and is not what the tick has launched.
        if run_key_of(run) == run.tags[TICK] and location_of(run) in (None, location):
            found[run.tags[JOB_GROUP], run.tags[TICK]] = record
    return found


def _holds(holders: Iterable[Holder], launching: Launching) -> dict[NodeId, Hold]:
    found: dict[NodeId, Hold] = {}
    for holder in holders:
        node = launching.tables.get(holder.resource_key)
        if node is None:
            continue
        paused = holder.owner_kind is OwnerKind.PERSON
        if paused or node not in found:
            found[node] = Hold(holder.run_id, holder.since, holder.reason, paused)
    return found


def _under_way(
    instance: dg.DagsterInstance, records: Collection[dg.RunRecord], launching: Launching
) -> dict[NodeId, tuple[UnderWay, ...]]:
    selected = [(record, selected_nodes(record.dagster_run, launching)) for record in records]
    every = sorted({node for _, nodes in selected for node in nodes})
    built = last_built(instance, every, launching)
    found: dict[NodeId, tuple[UnderWay, ...]] = {}
    for record, nodes in sorted(selected, key=lambda each: each[0].create_timestamp):
        run = record.dagster_run
        since = record.create_timestamp.replace(tzinfo=timezone.utc)
        began = record.start_time
        tick = Owed.read_tick(run.tags[TICK]) if TICK in run.tags else None
        under_way = UnderWay(run.run_id, since, tick[0] if tick is not None else None)
        for node in nodes:
            if began is None or built.get(node, 0.0) < began:
                found[node] = (*found.get(node, ()), under_way)
    return found


def selected_nodes(run: dg.DagsterRun, launching: Launching) -> list[NodeId]:
    """The scheduled nodes that a run is to build."""
    nodes = launching.keys.nodes
    scheduled = launching.scheduled.groups
    if run.asset_selection is not None:
        mine = [nodes[key] for key in run.asset_selection if key in nodes]
    elif (group := launching.groups.get(run.job_name)) is not None:
        mine = list(group.nodes)
    elif run.job_name == launching.shared_job:
        mine = list(launching.scheduled.order)
    else:
        mine = []
    return [node for node in mine if node in scheduled]


def last_built(
    instance: dg.DagsterInstance, nodes: Collection[NodeId], launching: Launching
) -> dict[NodeId, float]:
    """When nodes were last materialised, in seconds since 1970; a query for 500."""
    keys = launching.keys.assets
    wanted = {keys[node]: node for node in nodes}
    return {wanted[key]: at for key, at in last_materialized(instance, list(wanted)).items()}
