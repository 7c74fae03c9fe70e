"""How many events a run stores for a node, by sort, and what storing one asks of a database.

Each is a cost in the process that also builds, and distance between the UI and the database. What a
run stores once does not count here: it is the difference between more and fewer nodes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from dagster_transform.dagster import _compat_events
from dagster_transform.dagster._compat_connections import keep_connections
from tests.support.dbt_projects import DbtProject
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import Transform

FEW, MANY = 2, 5
RUN = {
    "ASSET_MATERIALIZATION_PLANNED": 1,
    "ASSET_MATERIALIZATION": 1,
    "ASSET_CHECK_EVALUATION_PLANNED": 2,
    "ASSET_CHECK_EVALUATION": 2,
    "STEP_OUTPUT": 3,
}
"""Of a node with two checks: all but the two results and the materialisation is Dagster's own."""
LOG = {"log": 4}
"""A line when the build begins and ends, and for each check that is no part of it."""


def sorts(story: Story) -> Counter[str]:
    """Stored events by Dagster's name of their type; lines of the log are `log`."""
    events = [record.event_log_entry.dagster_event for record in story.records]
    return Counter("log" if each is None else str(each.event_type.value) for each in events)


def per_node(few: Story, many: Story) -> dict[str, float]:
    """What a node more stores."""
    assert few.success
    assert many.success
    more = sorts(many)
    more.subtract(sorts(few))
    return {sort: count / (MANY - FEW) for sort, count in more.items() if count}


def sqlmesh(folder: Path, count: int) -> Transform:
    text = (
        "kind FULL, audits (not_null(columns := (n)), "
        "number_of_rows(threshold := 0, blocking := false))\n---\nSELECT 1 AS n"
    )
    database = Database.in_file(folder / "w.duckdb")
    project = Project(folder / "p", database, {f"mart.m{n}": text for n in range(count)})
    return Transform(folder, [project], plan="auto")


def dbt(folder: Path, count: int) -> Transform:
    tests = "columns: [{name: n, data_tests: [not_null, unique]}]"
    properties = "".join(f"  - {{name: m{n}, {tests}}}\n" for n in range(count))
    files = {f"models/m{n}.sql": "select 1 as n" for n in range(count)}
    files["models/tests.yml"] = f"version: 2\nmodels:\n{properties}"
    DbtProject(folder / "d", Database.in_file(folder / "w.duckdb"), files)
    further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
    return Transform(folder, [], further=further)


@contextmanager
def prepared(transform: Transform) -> Iterator[Transform]:
    transform.prepare()
    try:
        yield transform
    finally:
        transform.close()


def test_a_first_plan_and_a_run_of_sqlmesh(tmp_path: Path) -> None:
    with (
        prepared(sqlmesh(tmp_path / "few", FEW)) as few,
        prepared(sqlmesh(tmp_path / "many", MANY)) as many,
    ):
        # A plan's build is seen before its promotion, which is when it is materialised.
        plan = per_node(few.run(), many.run())
        assert plan == {**RUN, **LOG, "ASSET_OBSERVATION": 1}
        assert per_node(few.run(), many.run()) == {**RUN, **LOG}


def test_a_build_of_dbt(tmp_path: Path) -> None:
    with (
        prepared(dbt(tmp_path / "few", FEW)) as few,
        prepared(dbt(tmp_path / "many", MANY)) as many,
    ):
        # Two lines for each test: none of them is a part of dbt's build of a model.
        assert per_node(few.run(), many.run()) == {**RUN, "log": 6}


# -- what an event costs ---------------------------------------------------------------------------


@dg.multi_asset(
    specs=[dg.AssetSpec(f"a{n}") for n in range(3)],
    check_specs=[dg.AssetCheckSpec("c", asset=f"a{n}") for n in range(3)],
)
def assets(context):  # type: ignore[no-untyped-def]
    keep_connections(context.instance)
    for n in range(3):
        context.log.info("a line")
        context.log_event(dg.AssetObservation(f"a{n}"))
        yield dg.MaterializeResult(f"a{n}")
        yield dg.AssetCheckResult(asset_key=f"a{n}", check_name="c", passed=True)


SQLITE = {
    "log": 1,
    "STEP_OUTPUT": 1,
    "ASSET_OBSERVATION": 5,
    "ASSET_MATERIALIZATION": 6,
    "ASSET_CHECK_EVALUATION": 3,
}
POSTGRES = {
    "log": 2,
    "STEP_OUTPUT": 2,
    "ASSET_OBSERVATION": 3,
    "ASSET_MATERIALIZATION": 5,
    "ASSET_CHECK_EVALUATION": 4,
}
"""Statements at most; one of each is the notice for whoever watches the run."""


def asked(home: Path) -> tuple[dict[str, int], dict[str, int]]:
    """The most connections and statements that an event takes in a second run, by its sort: the
    first one makes what is made once."""
    found: Counter[str] = Counter()

    def connected(*_: Any) -> None:
        found["connects"] += 1

    def executed(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        found["statements"] += not re.match(r"\s*(PRAGMA|SELECT 1$)", statement)

    connects: dict[str, int] = {}
    statements: dict[str, int] = {}
    event.listen(Pool, "connect", connected)
    event.listen(Engine, "before_cursor_execute", executed)
    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            dg.materialize([assets], instance=instance)
            storage: Any = instance.event_log_storage
            store = storage.store_event

            def counted(entry: Any) -> None:
                before = Counter(found)
                store(entry)
                told = entry.dagster_event
                sort = "log" if told is None else str(told.event_type.value)
                for what, most in (("connects", connects), ("statements", statements)):
                    most[sort] = max(most.get(sort, 0), found[what] - before[what])

            storage.store_event = counted
            dg.materialize([assets], instance=instance)
    finally:
        event.remove(Pool, "connect", connected)
        event.remove(Engine, "before_cursor_execute", executed)
    return connects, statements


def test_what_an_event_asks_of_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster._core.instance.runs.run_domain import RunDomain
    from dagster._core.storage.event_log.sqlite import sqlite_event_log as events

    storage = events.SqliteEventLogStorage
    monkeypatch.setattr(events, "create_engine", vars(events)["create_engine"])
    for name in ("_connect", "store_event", "has_table"):
        monkeypatch.setattr(storage, name, getattr(storage, name))
    monkeypatch.setattr(RunDomain, "_log_asset_planned_events", RunDomain._log_asset_planned_events)
    monkeypatch.setattr(_compat_events, "Finalize", lambda *_, **__: None)
    _compat_events.store_events_faster()
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    try:
        connects, statements = asked(tmp_path)
    finally:
        vars(events)["create_engine"].close()
    assert {sort: connects[sort] for sort in SQLITE} == dict.fromkeys(SQLITE, 0)
    assert all(statements[sort] <= most for sort, most in SQLITE.items()), statements


@pytest.mark.postgres
def test_what_an_event_asks_of_postgres(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    text = f"storage: {{postgres: {{postgres_url: '{postgres_database.url}'}}}}\n"
    home = tmp_path / "dagster.yaml"
    home.write_text(f"telemetry: {{enabled: false}}\n{text}", encoding="utf-8")
    connects, statements = asked(tmp_path)
    assert {sort: connects[sort] for sort in POSTGRES} == dict.fromkeys(POSTGRES, 0)
    assert all(statements[sort] <= most for sort, most in POSTGRES.items()), statements
