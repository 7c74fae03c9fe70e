"""A simulated week of one project, built natively and through our walk: the same tables and state.

Both sides use the same database name, one after the other, because names are part of SQLMesh's
fingerprints; so even versions must be equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagster_transform.planning import Limits, Outcome
from dagster_transform.sqlmesh._compat import import_sqlmesh
from tests.integration.sqlmesh_projects import Database, Project, RunResult, utc

if TYPE_CHECKING:
    from tests.conftest import PostgresDatabase

FIRST = utc("2024-03-05 10:30")
LATER = [
    utc("2024-03-05 11:30"),
    utc("2024-03-06 10:30"),
    utc("2024-03-06 13:30"),
    utc("2024-03-13 00:30"),
]

SEED = "code,name\nDE,Germany\nNO,Norway\nPE,Peru\n"

AUDITS = """
AUDIT (name at_most, blocking false);
SELECT * FROM @this_model WHERE @column > @value;

AUDIT (name code_is_known, blocking true);
SELECT * FROM @this_model WHERE NOT @code IN (SELECT code FROM ref.countries);
"""

MODELS = {
    "ref.countries": """
        kind SEED (path '../seeds/countries.csv'),
        columns (code TEXT, name TEXT),
        audits (unique_values(columns := (code)), number_of_rows(threshold := 2, blocking := false))
    """,
    "stage.by_day": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, lookback 2, batch_size 2),
        depends_on (ref.countries),
        audits (
          not_null(columns := (id)),
          not_null(columns := (code), blocking := false),
          code_is_known(code := code)
        )
        ---
        SELECT id, code, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "stage.by_hour": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column moment),
        cron '@hourly',
        audits (at_most(column := amount, value := 40))
        ---
        SELECT id, amount, moment, code FROM src.events WHERE moment BETWEEN @start_ts AND @end_ts
    """,
    "stage.named": """
        kind VIEW,
        audits (not_null(columns := (name)), at_most(column := id, value := 1000))
        ---
        SELECT d.id, d.ds, c.name FROM stage.by_day AS d JOIN ref.countries AS c ON d.code = c.code
    """,
    "mart.left": """
        kind FULL
        ---
        SELECT name, COUNT(*) AS n FROM stage.named GROUP BY name
    """,
    "mart.right": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1),
        audits (at_most(column := total, value := 60))
        ---
        SELECT moment::DATE AS ds, code, SUM(amount) AS total FROM stage.by_hour
        WHERE moment BETWEEN @start_ts AND @end_ts GROUP BY moment::DATE, code
    """,
    "mart.both": """
        kind FULL,
        audits (number_of_rows(threshold := 1))
        ---
        SELECT l.name, l.n, r.ds, r.total FROM mart.left AS l
        JOIN ref.countries AS c ON c.name = l.name JOIN mart.right AS r ON r.code = c.code
    """,
    "mart.weekly": """
        kind FULL,
        cron '@weekly'
        ---
        SELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.by_day
    """,
    "mart.stamp": """
        kind FULL,
        cron '@hourly'
        ---
        SELECT MAX(moment) AS last_moment, COUNT(*) AS n, @execution_ts AS built_at
        FROM stage.by_hour
    """,
    "mart.latest": """
        kind INCREMENTAL_BY_UNIQUE_KEY (unique_key code)
        ---
        SELECT code, MAX(moment) AS moment FROM stage.by_hour
        WHERE moment BETWEEN @start_ts AND @end_ts GROUP BY code
    """,
    "mart.running": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1),
        columns (ds DATE, total BIGINT)
        ---
        SELECT @end_ds::DATE AS ds, (
          COALESCE((SELECT MAX(total) FROM mart.running WHERE ds < @start_ds::DATE), 0)
          + (SELECT COUNT(*) FROM stage.by_day WHERE ds BETWEEN @start_ds AND @end_ds)
        )::BIGINT AS total
    """,
    "mart.history": """
        kind SCD_TYPE_2_BY_TIME (unique_key code, updated_at_name moment)
        ---
        SELECT code, MAX(amount) AS amount, MAX(moment) AS moment FROM stage.by_hour GROUP BY code
    """,
    "mart.changes": """
        kind SCD_TYPE_2_BY_COLUMN (unique_key code, columns [n])
        ---
        SELECT code, COUNT(*) AS n FROM stage.by_hour GROUP BY code
    """,
    "mart.parts": """
        kind INCREMENTAL_BY_PARTITION,
        partitioned_by (code)
        ---
        SELECT code, moment::DATE AS ds, SUM(amount) AS total FROM stage.by_hour
        WHERE code IN (SELECT code FROM stage.by_hour WHERE moment >= @start_ts)
        GROUP BY code, moment::DATE
    """,
    "mart.log": """
        kind INCREMENTAL_UNMANAGED
        ---
        SELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.by_day
    """,
    "stage.filtered": """
        kind EMBEDDED
        ---
        SELECT id, code FROM stage.by_day WHERE id > 3
    """,
    "mart.filtered": """
        kind VIEW
        ---
        SELECT code, COUNT(*) AS n FROM stage.filtered GROUP BY code
    """,
}
BUILT = [name for name in MODELS if name != "stage.filtered"]


def prepare(database: Database) -> None:
    """Raw events of two weeks: every three hours one; and what arrives late comes later."""
    rows = [
        f"({i}, TIMESTAMP '2024-03-01 00:10:00' + INTERVAL '{3 * i} hours', "
        f"'{('DE', 'NO', 'PE')[i % 3]}', {i * 7 % 50})"
        for i in range(110)
    ]
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.events (id INT, moment TIMESTAMP, code TEXT, amount INT)",
        f"INSERT INTO src.events VALUES {', '.join(rows)}",
    )


def something_arrives_late(database: Database, instant: int) -> None:
    """Rows for days and hours that are built already: within the lookback, and before it."""
    database.execute(
        "INSERT INTO src.events VALUES "
        f"({1000 + instant}, TIMESTAMP '2024-03-04 05:00:00', 'DE', 9), "
        f"({2000 + instant}, TIMESTAMP '2024-03-01 05:00:00', 'NO', 3)"
    )


@dataclass
class Side:
    """What one side has after one instant."""

    tables: Mapping[str, list[tuple[Any, ...]]]
    intervals: Mapping[Any, Any]
    audits: Mapping[tuple[str, str], int]


def simulate(
    project: Project,
    step: Callable[[int, Any], None],
    audits: Counter[tuple[str, str]],
) -> list[Side]:
    database = project.database
    prepare(database)
    sides = []
    for instant, now in enumerate([FIRST, *LATER]):
        if instant:
            something_arrives_late(database, instant)
        audits.clear()
        step(instant, now)
        sides.append(Side(database.contents(BUILT), database.intervals(), dict(audits)))
    return sides


@pytest.fixture
def audits(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """Counts the audits that SQLMesh really runs, by model and audit."""
    import_sqlmesh()
    from sqlmesh.core.snapshot import SnapshotEvaluator

    counted: Counter[tuple[str, str]] = Counter()
    run = SnapshotEvaluator._audit

    def counting(self: Any, **kwargs: Any) -> Any:
        arguments = sorted(f"{k}={v}" for k, v in kwargs["audit_args"].items() if k != "blocking")
        counted[kwargs["snapshot"].name, f"{kwargs['audit'].name}({', '.join(arguments)})"] += 1
        return run(self, **kwargs)

    monkeypatch.setattr(SnapshotEvaluator, "_audit", counting)
    return counted


def write(folder: Path, database: Database) -> Project:
    files = {"seeds/countries.csv": SEED, "audits/audits.sql": AUDITS}
    return Project(folder, database, MODELS, files=files)


def compare(
    tmp_path: Path,
    database: Database,
    audits: Counter[tuple[str, str]],
    empty: Callable[[], None],
) -> list[RunResult]:
    """Both sides, one after the other in one place; returns our runs."""
    native = write(tmp_path / "native", database)

    def natively(instant: int, now: Any) -> None:
        native.run_natively(now) if instant else native.plan_natively(now)

    expected = simulate(native, natively, audits)
    empty()
    ours = write(tmp_path / "ours", database)
    runs: list[RunResult] = []

    def through_our_walk(instant: int, now: Any) -> None:
        settings: dict[str, Any] = {"plan": "auto"} if not instant else {"ignore_cron": False}
        runs.append(ours.run(now, limits=Limits(max_concurrent_models=8), **settings))

    found = simulate(ours, through_our_walk, audits)
    for instant, (want, have) in enumerate(zip(expected, found, strict=True)):
        for name in BUILT:
            assert have.tables[name] == want.tables[name], f"{name} after instant {instant}"
        assert have.intervals == want.intervals, f"intervals after instant {instant}"
        assert have.audits == want.audits, f"audits of instant {instant}"
    # The scenario is worth its name: what is compared is not empty, and changes.
    assert all(expected[-1].tables.values())
    assert sum(expected[0].audits.values()) > 10
    changed = {n for n in BUILT if expected[0].tables[n] != expected[-1].tables[n]}
    assert changed == set(BUILT) - {"ref.countries"}
    assert expected[1].tables["mart.stamp"] != expected[0].tables["mart.stamp"]
    assert expected[1].tables["mart.left"] == expected[0].tables["mart.left"]
    assert expected[3].tables["mart.weekly"] == expected[0].tables["mart.weekly"]
    return runs


def look_at(runs: list[RunResult]) -> None:
    """The walk tells what it has done."""
    first, hour, day, _, week = runs
    assert {first.outcome(n) for n in BUILT} == {Outcome.BACKFILLED}
    assert first.outcome("p:promotion of prod") is Outcome.PROMOTED
    built = {n for n in BUILT if hour.outcome(n) is Outcome.BUILT}
    assert built == {"stage.by_hour", "mart.stamp"}
    assert hour.outcome("mart.left") is Outcome.UP_TO_DATE
    assert hour.reason("mart.left") == "nothing is due by its cron '@daily'"
    assert day.outcome("mart.weekly") is Outcome.UP_TO_DATE
    assert week.outcome("mart.weekly") is Outcome.BUILT
    failed = {name for name, result in first.checks.items() if not result.passed}
    assert failed == {"stage.by_hour:at_most", "mart.right:at_most"}
    assert not any(result.blocking for result in first.checks.values() if not result.passed)


def test_duckdb(tmp_path: Path, audits: Counter[tuple[str, str]]) -> None:
    file = tmp_path / "week.duckdb"
    look_at(compare(tmp_path, Database.in_file(file), audits, file.unlink))


@pytest.mark.postgres
def test_postgres_with_eight_workers(
    tmp_path: Path,
    postgres: PostgresDatabase,
    postgres_database: PostgresDatabase,
    audits: Counter[tuple[str, str]],
) -> None:
    name = postgres_database.database

    def empty() -> None:
        postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        postgres.execute(f'CREATE DATABASE "{name}"')

    runs = compare(tmp_path, Database.in_postgres(postgres_database), audits, empty)
    look_at(runs)
    assert runs[0].most_at_once > 1
