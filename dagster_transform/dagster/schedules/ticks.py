"""One tick of a job group: what is known is read, `plan_tick` decides, and what has to wait is
remembered before a run is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import dagster as dg

from dagster_transform.dagster._compat_schedules import (
    Instigator,
    instigators,
    read_notes,
    ticking,
    write_note,
)
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.owed_rows import as_row
from dagster_transform.dagster.schedules.launching import Launching, schedule_name
from dagster_transform.dagster.schedules.one_at_a_time import note_decided, wait_for_run
from dagster_transform.dagster.schedules.other_assets import OtherAssets
from dagster_transform.dagster.schedules.situation import NO_OTHERS, read_known, sensor_is_on
from dagster_transform.graph import NodeId
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.follow_up import Owed
from dagster_transform.planning.job_groups.due import due_at
from dagster_transform.planning.job_groups.tick_window import (
    TickMemory,
    chosen_of,
    marked,
    tick_window,
)
from dagster_transform.planning.job_groups.values import JobGroup
from dagster_transform.planning.situation import AssetPath
from dagster_transform.planning.tick_plan import plan_tick
from dagster_transform.planning.upstreams import along_with
from dagster_transform.runs.ports import RunLog


@dataclass(frozen=True, slots=True)
class Decided:
    """What a tick launches.

    Attributes:
        launched: Nodes of the group.
        said: Why there are none, in words.
        over: Whether the tick is none.
        along: Other assets that its run materialises before them, by their keys' parts.
    """

    launched: tuple[NodeId, ...]
    said: str = ""
    over: bool = False
    along: tuple[AssetPath, ...] = ()


def decide(
    instance: dg.DagsterInstance,
    group: JobGroup,
    launching: Launching,
    tick: datetime,
    *,
    loaded: datetime,
    log: RunLog,
    others: OtherAssets = NO_OTHERS,
) -> Decided:
    """What a tick launches; the rest of what is due is remembered as pending.

    Nothing is written where somebody only looks at what the tick would do.

    Args:
        instance: Dagster's.
        group: The group.
        launching: What there is.
        tick: In UTC.
        loaded: When this process has read the job group file, aware.
        log: The tick's.
        others: Other assets that nodes read.

    Raises:
        ClaimsError: The claims store can't be used. The next tick launches what was due, then.
    """
    every = instigators(instance)
    name = schedule_name(group.name)
    evaluated = ticking(instance, every, name, tick)
    # Of two code locations that have the schedule and tick now, it is not known which one this is.
    mine = evaluated[0] if len(evaluated) == 1 else None
    noted = read_notes(instance, [mine]).get(mine) if mine is not None else None
    memory = TickMemory.from_text(noted)
    make_up = launching.config.job_groups.missed_ticks == "launch"
    window = tick_window(group.cron, tick, memory, loaded, make_up=make_up)
    if window.over is not None:
        _note(instance, mine, window.memory)
        return Decided((), window.over, over=True)
    crons = launching.plan.crons
    due = due_at(group, crons, window.since, tick)
    is_newest = window.memory.until == tick
    if is_newest and (again := chosen_of(group.nodes, window.memory.launched)) is not None:
        if mine is not None and again:
            wait_for_run(instance, group.name, tick)
        along = along_with(dict.fromkeys(again, tick), others.read(instance))
        return Decided(again, "What is due of this tick waits for something.", along=along)
    if len(evaluated) > 1 or not due:
        _note(instance, mine, _remember(window.memory, group, due if is_newest else None))
        return Decided(due, _nothing_due(group, crons, tick))
    location = mine.location if mine is not None else _only_location(every, name)
    followed_up = sensor_is_on(every, launching.sensor, location)
    store = open_claims(instance, launching.config)
    scheduled = launching.scheduled
    known = read_known(
        instance,
        store,
        launching,
        location,
        among=every,
        own=(group.name, tick),
        others=others,
    )
    if (group.name, tick.isoformat()) in known.launched:
        # Dagster finds that run by its key and launches no other one.
        return Decided(due)
    plan = plan_tick(group.name, due, tick, known.situation, scheduled, followed_up=followed_up)
    if mine is not None:
        if plan.postponed and followed_up:
            # Here, because few ticks postpone anything: it imports what sends messages.
            from dagster_transform.dagster.sensors.alerts import tell_if_stuck

            tell_if_stuck(
                instance, store, launching, location=location, every=every, tick=tick, log=log
            )
        store.postpone(
            as_row(Owed(group.name, node, tick, 0, tick, reason), location)
            for node, reason in plan.postponed.items()
        )
        _note(instance, mine, _remember(window.memory, group, plan.launched if is_newest else None))
        note_decided(group.name, tick)
        if not followed_up:
            # What is launched now is what earlier ticks owe, too.
            gone_on = set(plan.launched)
            store.withdraw(
                as_row(each, location)
                for each in known.owed
                if each.node in gone_on and each.launched is None and each.tick < tick
            )
    said = plan.skipped(scheduled)
    if not followed_up:
        said += f" The next tick tries again, for sensor {launching.sensor} is switched off."
    along = along_with(dict.fromkeys(plan.launched, tick), known.situation.read_assets)
    return Decided(plan.launched, said, along=along)


def _remember(
    memory: TickMemory, group: JobGroup, launched: tuple[NodeId, ...] | None
) -> TickMemory:
    if launched is None:
        return memory
    return replace(memory, launched=marked(group.nodes, launched))


def _note(instance: dg.DagsterInstance, schedule: Instigator | None, memory: TickMemory) -> None:
    if schedule is not None:
        write_note(instance, schedule, memory.to_text())


def _only_location(every: list[Instigator], name: str) -> str:
    """The code location of a schedule for whoever only looks; "" where that is not known."""
    found = {each.location for each in every if each.name == name and not each.is_sensor}
    return found.pop() if len(found) == 1 else ""


def _nothing_due(group: JobGroup, crons: Mapping[NodeId, Cron], tick: datetime) -> str:
    coming = {crons[node_id] for node_id in group.nodes}
    following = min((cron.next(tick) for cron in coming), default=None)
    said = "" if following is None else f"; the next are at {following:%Y-%m-%d %H:%M} UTC"
    return f"No node of job group {group.name} is due{said}."
