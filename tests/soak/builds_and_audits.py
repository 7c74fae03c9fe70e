"""Builds and audits side by side on PostgreSQL, for as long as somebody wants: `make soak`.

One project is run again and again, an hour of simulated time later each time, through our project
run and our walk: at most five models are built at the same moment, and audits take the other three
of eight connections. There must be no error, no retry (a lost connection is one) and no failed
audit, and in the end every row of every table is there once.

Not a `test_` file: only `make soak` runs it.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from dagster_transform.planning import Limits, Outcome, UnitKind
from dagster_transform.walk import Event, Finished, Retrying, Started
from tests.support.sqlmesh_projects import Database, Project, utc

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
BUILDS = 5
AUDITS = 3
CONNECTIONS = BUILDS + AUDITS
GROUPS = 12
FIRST = utc("2024-03-02 00:05")
ROWS_AN_HOUR = 30

AUDITED = (
    "audits (not_null(columns := (id), blocking := false), {unique} number_of_rows(threshold := 1))"
)
UNIQUE = "unique_values(columns := (id), blocking := false),"
HOURLY = "SELECT id, moment FROM {parent} WHERE moment BETWEEN @start_ts AND @end_ts"
KINDS = {
    "hours": f"INCREMENTAL_BY_TIME_RANGE (time_column moment)\n---\n{HOURLY}",
    "batches": "INCREMENTAL_BY_TIME_RANGE (time_column moment, batch_size 1, lookback 2)\n---\n"
    f"{HOURLY}",
    "keys": f"INCREMENTAL_BY_UNIQUE_KEY (unique_key id)\n---\n{HOURLY}",
    "appended": f"INCREMENTAL_UNMANAGED\n---\n{HOURLY}",
    "versions": "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [moment])\n---\n"
    "SELECT id, moment FROM {parent}",
    "whole": "FULL\n---\nSELECT id, moment FROM {parent}",
    "seen": "VIEW\n---\nSELECT id, moment FROM {parent}",
}


def models() -> dict[str, str]:
    """Groups of models that do not depend on each other: a parent, and a child of each kind."""
    found = {}
    for group in range(GROUPS):
        parent = f"stage.g{group}"
        found[parent] = _model(KINDS["hours"], "src.events")
        for name, text in KINDS.items():
            found[f"mart.{name}_{group}"] = _model(text, parent)
    return found


def _model(text: str, parent: str) -> str:
    kind, query = text.format(parent=parent).split("\n---\n")
    return f"kind {kind},\n{AUDITED.format(unique=UNIQUE)}\n---\n{query}"


class Pressure:
    """How many units were in flight, by kind, over time."""

    def __init__(self) -> None:
        self._running: Counter[UnitKind] = Counter()
        self._since: float | None = None
        self._seconds: Counter[tuple[int, int]] = Counter()

    def begin(self) -> None:
        """A run begins; its time counts from its first event on."""
        self._running.clear()
        self._since = None

    def take(self, event: Event) -> None:
        now = monotonic()
        both = self._running[UnitKind.BUILD], self._running[UnitKind.CHECK]
        self._seconds[both] += now - (self._since or now)  # type: ignore[assignment]
        self._since = now
        if isinstance(event, Started):
            self._running[event.unit.kind] += 1
        elif isinstance(event, Retrying) or event.report is not None:
            self._running[event.unit.kind] -= 1

    @property
    def seconds(self) -> float:
        return sum(self._seconds.values())

    def mean(self, index: int) -> float:
        return sum(n[index] * s for n, s in self._seconds.items()) / self.seconds

    def share(self, builds: int, audits: int) -> float:
        """Share of the time in which exactly so many of both were in flight."""
        return self._seconds[builds, audits] / self.seconds

    @property
    def full(self) -> float:
        """Share of the time in which all connections were busy."""
        return sum(s for n, s in self._seconds.items() if sum(n) == CONNECTIONS) / self.seconds

    @property
    def most(self) -> tuple[int, int]:
        return max(n for n, _ in self._seconds), max(n for _, n in self._seconds)


@pytest.mark.postgres
@pytest.mark.timeout(SECONDS + 300)
def test_builds_and_audits_side_by_side(
    tmp_path: Path, postgres_database: PostgresDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Database.in_postgres(postgres_database, CONNECTIONS)
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.events AS SELECT i AS id, "
        f"TIMESTAMP '2024-03-01' + i * INTERVAL '1 hour' / {ROWS_AN_HOUR} AS moment "
        f"FROM generate_series(0, {60 * 24 * ROWS_AN_HOUR}) AS i",
    )
    project = Project(tmp_path / "p", database, models(), cron="@hourly")
    limits = Limits(max_concurrent_models=BUILDS, retry_delay=0.05)
    pressure, outcomes, audits = Pressure(), Counter[str](), Counter[bool]()
    wrong: list[str] = []
    project.plan_natively(FIRST)
    now, runs, until = FIRST, 0, monotonic() + SECONDS
    while monotonic() < until:
        runs, now = runs + 1, now + timedelta(hours=1)
        pressure.begin()
        result = project.run(now, limits=limits, told=pressure.take, ignore_cron=False)
        outcomes.update(end.outcome.value for end in result.finished.values())
        audits.update(check.passed for check in result.checks.values())
        wrong += [_in_words(event) for event in result.events if _is_wrong(event)]
    lost = _rows_that_are_wrong(database, now)

    built = outcomes[Outcome.BUILT.value]
    with capsys.disabled():
        print(
            f"\n{SECONDS:.0f} s, {runs} runs: {built} models built, {audits.total()} audits run, "
            f"{len(wrong)} errors and retries, {audits[False]} audits failed, "
            f"{len(lost)} tables with wrong rows\n"
            f"in flight while a run walked: {pressure.mean(0):.1f} builds and "
            f"{pressure.mean(1):.1f} audits on average, {pressure.most[0]} and "
            f"{pressure.most[1]} at most; {BUILDS} and {AUDITS} "
            f"{pressure.share(BUILDS, AUDITS):.0%} of the time, "
            f"all {CONNECTIONS} connections busy {pressure.full:.0%} of the time"
        )
    assert not wrong, "\n".join(wrong[:20])
    assert not audits[False]
    assert not lost, "\n".join(lost[:20])
    assert built > 100
    assert audits.total() > 100
    assert pressure.most[0] == BUILDS
    assert pressure.share(BUILDS, AUDITS) > 0.2
    assert pressure.full > 0.5


def _is_wrong(event: Event) -> bool:
    if isinstance(event, Retrying):
        return True
    # What a failure holds back is no error of its own.
    good = (Outcome.BUILT, Outcome.CHECKED, Outcome.BLOCKED)
    return isinstance(event, Finished) and event.outcome not in good


def _in_words(event: Event) -> str:
    reason = event.report.reason if isinstance(event, Retrying) else event.reason  # type: ignore[union-attr]
    return f"{type(event).__name__} {event.unit.id}: {reason[:300]}"


def _rows_that_are_wrong(database: Database, now: datetime) -> list[str]:
    """Tables that do not have every row of the source, until the last whole hour, exactly once."""
    until = now.replace(minute=0)
    wanted = database.rows(
        f"SELECT id, moment FROM src.events WHERE moment < '{until:%Y-%m-%d %H:%M}' ORDER BY 1, 2"
    )
    wrong = []
    for name in models():
        where = " WHERE valid_to IS NULL" if "versions" in name else ""
        found = database.rows(f"SELECT id, moment FROM {name}{where} ORDER BY 1, 2")
        if found != wanted:
            twice = len(found) - len(set(found))
            wrong.append(f"{name}: {len(found)} rows for {len(wanted)}, {twice} of them twice")
    return wrong
