"""Private parts of Dagster that schedules and sensors touch, each with a contract test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import (
    InstigatorState,
    ScheduleInstigatorData,
    TickStatus,
)
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import RUN_KEY_TAG

_AT_ONCE = 5
"""Ticks that may be stored of one moment: Dagster stores one for each attempt."""


@dataclass(frozen=True, slots=True)
class Instigator:
    """A schedule or sensor as Dagster's storage has it.

    Attributes:
        name: Its name.
        location: The code location that it is in.
        is_sensor: Whether it is a sensor.
        on: Whether it is switched on.
        started: Since when Dagster looks at its ticks, aware; None: not known, or a sensor.
        note_key: Where its note is.
        origin_id: Dagster's id of it.
        selector_id: Another one.
    """

    name: str
    location: str
    is_sensor: bool
    on: bool
    started: datetime | None
    note_key: str
    origin_id: str
    selector_id: str


def instigators(instance: dg.DagsterInstance) -> list[Instigator]:
    """The schedules and sensors of all code locations that were ever on; one query."""
    return [_instigator(state) for state in instance.all_instigator_state()]


def ticking(
    instance: dg.DagsterInstance, known: Iterable[Instigator], name: str, tick: datetime
) -> list[Instigator]:
    """The schedules of a name that Dagster's scheduler evaluates now for a tick; a query for each
    code location that has one. The scheduler stores that a tick has begun before it asks; so none
    is found by whoever only looks at what a schedule would do."""
    moment = tick.timestamp()
    found = []
    for each in known:
        if each.name != name or each.is_sensor:
            continue
        ticks = instance.get_ticks(
            each.origin_id,
            each.selector_id,
            after=moment - 1,
            before=moment + 1,
            limit=_AT_ONCE,
            statuses=[TickStatus.STARTED],
        )
        if any(stored.timestamp == moment for stored in ticks):
            found.append(each)
    return found


ONLY_LOOKED_AT = (
    "This is a preview, which does nothing and writes nothing. The sensor's own evaluations do, "
    "while it is switched on: their skip reasons say what waits."
)
"""Why a sensor does nothing where `evaluated_now` says that nobody evaluates it."""


def evaluated_now(
    instance: dg.DagsterInstance, known: Iterable[Instigator], name: str, location: str
) -> bool:
    """Whether Dagster's daemon evaluates a sensor now, and not somebody who only looks at what it
    would do; one query."""
    for each in known:
        if each.is_sensor and each.name == name and each.location == location:
            (last,) = instance.get_ticks(each.origin_id, each.selector_id, limit=1) or (None,)
            return last is not None and last.status is TickStatus.STARTED
    return False


@dataclass(frozen=True, slots=True)
class LastLooks:
    """The last evaluations of a sensor.

    Attributes:
        went_well: When the last one began that did not fail, aware; None: none did.
        error: The first line of why the last one failed; "": it did not.
    """

    went_well: datetime | None
    error: str


def last_looks(
    instance: dg.DagsterInstance, known: Iterable[Instigator], name: str, location: str
) -> LastLooks | None:
    """The last evaluations of a sensor; None: there was none yet, or nobody knows. Two queries."""
    for each in known:
        if not (each.is_sensor and each.name == name and each.location == location):
            continue
        of = each.origin_id, each.selector_id
        last = next(iter(instance.get_ticks(*of, limit=1)), None)
        if last is None:
            return None
        good = [TickStatus.SUCCESS, TickStatus.SKIPPED]
        well = next(iter(instance.get_ticks(*of, limit=1, statuses=good)), None)
        lines = last.error.message.strip().splitlines() if last.error is not None else []
        at = None if well is None else datetime.fromtimestamp(well.timestamp, timezone.utc)
        return LastLooks(at, lines[0] if lines else "")
    return None


def read_notes(
    instance: dg.DagsterInstance, known: Collection[Instigator]
) -> dict[Instigator, str]:
    """The notes of schedules, of those that have one; one query."""
    found = instance.daemon_cursor_storage.get_cursor_values({each.note_key for each in known})
    return {each: found[each.note_key] for each in known if each.note_key in found}


def write_note(instance: dg.DagsterInstance, schedule: Instigator, text: str) -> None:
    """Keep a short text with a schedule, in the place of the one before."""
    instance.daemon_cursor_storage.set_cursor_values({schedule.note_key: text})


def runs_under_way(instance: dg.DagsterInstance) -> Sequence[dg.RunRecord]:
    """The runs that have not ended, queued ones included; one query."""
    return instance.get_run_records(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))


def runs_of_keys(instance: dg.DagsterInstance, keys: Collection[str]) -> dict[str, dg.RunRecord]:
    """The runs that were launched under keys, by key; one query, none where there are no keys."""
    if not keys:
        return {}
    found = instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: sorted(keys)}))
    return {record.dagster_run.tags[RUN_KEY_TAG]: record for record in found}


def run_key_of(run: dg.DagsterRun) -> str | None:
    """The key under which a run was launched."""
    return run.tags.get(RUN_KEY_TAG)


def location_of(run: dg.DagsterRun) -> str | None:
    """The code location of a run's job; None: not known."""
    origin = run.remote_job_origin
    return origin.repository_origin.code_location_origin.location_name if origin else None


def location_of_sensor(context: dg.SensorEvaluationContext) -> str | None:
    """The code location of the sensor that is evaluated; None: somebody only looks at what it would
    do, without one."""
    origin: Any = context.code_location_origin
    return str(origin.location_name) if origin is not None else None


def fail_run(instance: dg.DagsterInstance, run_id: str, why: str) -> bool:
    """Let a run be failed whose process can't say so itself, as Dagster's run monitoring does;
    False: it has ended meanwhile."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    instance.report_run_failed(run, why)
    return True


def _instigator(state: InstigatorState) -> Instigator:
    data = state.instigator_data
    started = data.start_timestamp if isinstance(data, ScheduleInstigatorData) else None
    return Instigator(
        name=state.instigator_name,
        location=state.origin.location_name,
        is_sensor=state.instigator_type is InstigatorType.SENSOR,
        on=state.is_running,
        started=None if started is None else datetime.fromtimestamp(started, timezone.utc),
        note_key=f"dagster_transform/schedule/{state.selector_id}",
        origin_id=state.instigator_origin_id,
        selector_id=state.selector_id,
    )
