"""Equal to SQLMesh's own `plan` and `run` where the week of test_week.py does not go.

Development environments, with a MANAGED model and forward-only tables; and an external model that
has audits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagster_transform.planning import Outcome
from tests.support.sqlmesh_projects import Database, Project, utc

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

PLANNED = utc("2024-03-05 10:30")
FORKED = utc("2024-03-06 10:30")
LATER = [utc("2024-03-06 11:30"), utc("2024-03-08 10:30")]

DAYS = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column ds{option}
    ---
    SELECT id, {columns}moment::DATE AS ds FROM src.events
    WHERE moment::DATE BETWEEN @start_ds AND @end_ds
"""
COUNT = "SELECT COUNT(*) AS n, @execution_ts AS built_at FROM {parent}"
# A development table has a part of the rows, so there this audit fails, and blocks nothing.
FORWARD = ", forward_only true), audits (number_of_rows(threshold := 90))"
MODELS = {
    "stage.forward": DAYS.format(option=FORWARD, columns=""),
    "stage.days": DAYS.format(option=")", columns=""),
    "mart.days": f"kind FULL\n---\n{COUNT.format(parent='stage.days')}",
    "mart.hourly": f"kind FULL, cron '@hourly'\n---\n{COUNT.format(parent='stage.forward')}",
    "mart.shown": "kind VIEW\n---\nSELECT ds, COUNT(*) AS n FROM stage.forward GROUP BY ds",
}
IN_DEVELOPMENT = {
    "stage.forward": DAYS.format(option=FORWARD, columns="2 AS rule, "),
    "mart.managed": f"kind MANAGED\n---\n{COUNT.format(parent='stage.forward')}",
    "mart.new": f"kind FULL\n---\n{COUNT.format(parent='stage.days')}",
}


def prepare(database: Database) -> None:
    """A row for every hour of March 1 to 9."""
    rows = ", ".join(
        f"({i}, TIMESTAMP '2024-03-01 00:20:00' + INTERVAL '{i} hours')" for i in range(216)
    )
    database.execute(
        "CREATE SCHEMA src", "CREATE TABLE src.events (id INT, moment TIMESTAMP)",
        f"INSERT INTO src.events VALUES {rows}",
    )  # fmt: skip


def look(database: Database) -> dict[str, Any]:
    relations = sorted(database.tables())
    seen = [r for r in relations if r.split(".")[0].removesuffix("__dev") in ("stage", "mart")]
    return {
        "relations": relations,
        **database.contents(seen),
        "intervals": database.intervals(),
        "environments": {
            name: sorted(json.loads(text), key=repr)
            for name, text in database.rows("SELECT name, snapshots FROM sqlmesh._environments")
        },
    }


Step = Callable[[datetime, str], None]


def simulate(project: Project, plan: Step, run: Step) -> list[dict[str, Any]]:
    """Production is planned, a development environment of changed files is planned and run."""
    prepare(project.database)
    plan(PLANNED, "prod")
    states = [look(project.database)]
    for name, text in IN_DEVELOPMENT.items():
        project.model(name, text)
    plan(FORKED, "dev")
    states.append(look(project.database))
    for now in LATER:
        run(now, "dev")
        states.append(look(project.database))
    return states


def compare(tmp_path: Path, database: Database, empty: Callable[[], None]) -> None:
    native = Project(tmp_path / "native", database, MODELS)

    def plan_natively(now: datetime, environment: str) -> None:
        # SQLMesh begins previews yesterday by the clock; here it is the day before the plan.
        start = {"start": "2024-03-05"} if environment == "dev" else {}
        native.plan_natively(now, environment, include_unmodified=True, **start)

    theirs = simulate(native, plan_natively, native.run_natively)
    empty()
    ours = Project(tmp_path / "ours", database, MODELS)

    def plan(now: datetime, environment: str) -> None:
        result = ours.run(now, plan_mode="auto", environment=environment)
        good = {"backfilled", "up_to_date", "promoted", "checked"}
        assert set(result.outcomes.values()) <= good, result.outcomes

    def run(now: datetime, environment: str) -> None:
        ours.run(now, ignore_cron=False, environment=environment)

    for instant, (want, have) in enumerate(zip(theirs, simulate(ours, plan, run), strict=True)):
        differ = [k for k in want.keys() | have.keys() if want.get(k) != have.get(k)]
        assert not differ, {k: (want.get(k), have.get(k)) for k in differ}
        managed = want.get("mart__dev.managed")
        assert (managed is None) == (instant == 0)
    # The scenario is worth its name: development has a part of the data in tables of its own.
    assert len(theirs[1]["stage__dev.forward"]) == 24 < len(theirs[1]["stage.forward"])
    assert theirs[1]["mart__dev.managed"] != theirs[3]["mart__dev.managed"]
    assert theirs[0]["stage.forward"] == theirs[3]["stage.forward"]


def test_a_development_environment_on_duckdb(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    compare(tmp_path, Database.in_file(file), file.unlink)


@pytest.mark.postgres
@pytest.mark.long
def test_a_development_environment_on_postgres(
    tmp_path: Path, postgres: PostgresDatabase, postgres_database: PostgresDatabase
) -> None:
    name = postgres_database.database

    def empty() -> None:
        postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        postgres.execute(f'CREATE DATABASE "{name}"')

    compare(tmp_path, Database.in_postgres(postgres_database), empty)


def test_audits_of_an_external_model_run_when_they_are_due(tmp_path: Path) -> None:
    """To SQLMesh it has a cron, and intervals which say until when it was audited."""
    declared = """
        - name: src.events
          columns: {id: int, moment: timestamp}
          audits:
            - name: not_null
              columns: "[id]"
            - name: number_of_rows
              threshold: "1000"
              blocking: "false"
    """
    found: dict[str, list[Any]] = {}
    for side in ("theirs", "ours"):
        database = Database.in_file(tmp_path / f"{side}.duckdb")
        prepare(database)
        project = Project(
            tmp_path / side, database, MODELS, files={"external_models.yaml": declared}
        )
        not_null = f"{side}.src.events:not_null"
        project.plan_natively(PLANNED)
        for now in (FORKED, LATER[1]):
            if side == "theirs":
                project.run_natively(now)
            else:
                # A part of them says nothing of the others, so it is not recorded.
                part = project.run(now, [], [not_null], ignore_cron=False)
                assert part.outcome(not_null) is Outcome.CHECKED
                run = project.run(now, ignore_cron=False)
                few = run.checks["ours.src.events:number_of_rows"]
                assert (few.passed, few.blocking) == (False, False)
                good = now == FORKED
                assert run.checks[not_null].passed == good
                assert run.outcome("stage.days") is (Outcome.BUILT if good else Outcome.BLOCKED)
                again = project.run(now, [], [not_null], ignore_cron=False)
                assert again.outcome(not_null) is (Outcome.UP_TO_DATE if good else Outcome.CHECKED)
            intervals = {(k[0].split(".", 1)[1], k[2]): v for k, v in database.intervals().items()}
            found.setdefault(side, []).append((database.contents(MODELS), intervals))
            database.execute("INSERT INTO src.events VALUES (NULL, TIMESTAMP '2024-03-07 08:00')")
    assert found["ours"] == found["theirs"]
