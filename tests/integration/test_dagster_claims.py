"""Two runs at the same time: nothing is built twice, nothing is lost, nobody trips over the other.

Models wait for a gate, an advisory lock that the test holds, so that both runs are at work at the
same moment without a clock. Beside our runs, SQLMesh's own do the same.

All kinds are here whose builds write rows in a run. Not so SEED, whose rows come when a plan makes
its table; EMBEDDED and EXTERNAL, which have no table of ours; MANAGED, which PostgreSQL has not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from tests.integration.sqlmesh_projects import Database, Project, utc
from tests.integration.test_dagster_cancel import until
from tests.integration.transforms import Story, Transform

if TYPE_CHECKING:
    from tests.conftest import PostgresDatabase

FIRST, NEXT = utc("2024-03-05 10:30"), utc("2024-03-06 10:30")
GATE = 4711
KINDS = {
    "by_time": "INCREMENTAL_BY_TIME_RANGE (time_column ds)",
    "by_key": "INCREMENTAL_BY_UNIQUE_KEY (unique_key id)",
    "by_partition": "INCREMENTAL_BY_PARTITION, partitioned_by (ds)",
    "unmanaged": "INCREMENTAL_UNMANAGED",
    "by_moment": "SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name moment)",
    "by_column": "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [ds])",
    "custom": "CUSTOM (materialization 'appended')",
    "full": "FULL",
    "view": "VIEW",
}
APPENDED = """
    from sqlmesh import CustomMaterialization

    class Appended(CustomMaterialization):
        NAME = "appended"

        def insert(self, table_name, query_or_df, model, is_first_insert, render_kwargs, **kwargs):
            there = self.adapter.table_exists(table_name)
            write = self.adapter.insert_append if there else self.adapter.ctas
            write(table_name, query_or_df)
"""
"""A materialisation that minds nothing: what is built twice is there twice."""
FILES = {"materializations/appended.py": APPENDED}
ALL = "SELECT id, moment, moment::DATE AS ds FROM src.events"
GATED = f"{ALL} WHERE (SELECT gate.open() FROM (SELECT 1) AS one)"
PART = f"{GATED} AND moment::DATE BETWEEN @start_ds AND @end_ds"
QUERIES = dict.fromkeys(("full", "by_moment", "by_column"), GATED) | {"view": ALL}
BOTH = {
    f"shared.{name}": f"kind {kind}, start '2024-03-01'\n---\n{QUERIES.get(name, PART)}"
    for name, kind in KINDS.items()
}
OWN = {
    f"{side}.own{i}": "kind FULL, start '2024-03-01'\n---\nSELECT COUNT(*) AS n FROM src.events"
    for side in ("one", "two")
    for i in range(len(KINDS))
}
BELOW = {
    "two.below": (
        "kind INCREMENTAL_BY_TIME_RANGE (time_column ds), start '2024-03-01'\n---\n"
        "SELECT id, ds FROM shared.by_time WHERE ds BETWEEN @start_ds AND @end_ds"
    )
}
MODELS = {**BOTH, **OWN, **BELOW}


def prepare(database: Database) -> None:
    """Events of March 1 to 8, and a function that returns when the gate is open."""
    rows = ", ".join(
        f"({i}, TIMESTAMP '2024-03-01 00:20:00' + INTERVAL '{6 * i} hours')" for i in range(32)
    )
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.events (id INT, moment TIMESTAMP)",
        f"INSERT INTO src.events VALUES {rows}",
        "CREATE SCHEMA gate",
        "CREATE FUNCTION gate.open() RETURNS BOOLEAN LANGUAGE plpgsql AS $$ BEGIN "
        f"PERFORM pg_advisory_lock_shared({GATE}); PERFORM pg_advisory_unlock_shared({GATE}); "
        "RETURN TRUE; END $$",
    )


@contextmanager
def closed(database: Database) -> Iterator[Callable[[], None]]:
    """The gate is closed until what this yields is called, at most to the end of the block."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({GATE})")
        yield lambda: cursor.execute("SELECT pg_advisory_unlock_all()")


def at_the_gate(database: Database) -> int:
    """Sessions that wait for it."""
    ((count,),) = database.rows(
        "SELECT COUNT(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        f"WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = '{database.catalog}'"
    )
    return int(count)


def contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    return database.contents(sorted(MODELS))


def expected(folder: Path, database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What one run of SQLMesh's own makes of it."""
    prepare(database)
    project = Project(folder, database, MODELS, files=FILES)
    project.plan_natively(FIRST)
    project.run_natively(NEXT)
    return contents(database)


@pytest.fixture
def databases(postgres: PostgresDatabase) -> Iterator[Callable[[], Database]]:
    """Makes further databases."""
    from dataclasses import replace

    names: list[str] = []

    def make() -> Database:
        names.append(f"claims_{len(names)}_{id(names)}")
        postgres.execute(f'CREATE DATABASE "{names[-1]}"')
        return Database.in_postgres(replace(postgres, database=names[-1]))

    yield make
    for name in names:
        postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def ended(transform: Transform, run_id: str) -> Story:
    done = lambda: transform.story(run_id).status.name in ("SUCCESS", "FAILURE")  # noqa: E731
    until(done, 120, "the run to end")
    return transform.story(run_id)


def says(transform: Transform, run_id: str, text: str) -> bool:
    return any(text in line for line in transform.story(run_id).log)


@pytest.mark.postgres
def test_two_runs_that_overlap_make_the_rows_of_one(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    want = expected(tmp_path / "native", databases())
    database = databases()
    prepare(database)
    project = Project(tmp_path / "p", database, MODELS, files=FILES)
    project.plan_natively(FIRST)
    transform = Transform(tmp_path, [project])
    transform.prepare()
    options = {"execution_time": NEXT.isoformat(), "ignore_cron": False, "on_claimed": "wait"}
    sides = {
        side: [*BOTH, *(name for name in (OWN | BELOW) if name.startswith(side))]
        for side in ("one", "two")
    }
    try:
        with closed(database) as let_in, transform.launched(sides["one"], **options) as one:
            until(lambda: at_the_gate(database) >= 5, 60, "the first run to be at work")
            with transform.launched(sides["two"], **options) as two:
                until(lambda: says(transform, two, "Waiting for table:"), 60, "the second to wait")
                # What the other run does not have is built meanwhile.
                own = "two.own0: built"
                until(lambda: says(transform, two, own), 60, "the second run's own models")
                let_in()
                first, second = ended(transform, one), ended(transform, two)
        assert first.success, first.text[-3000:]
        assert second.success, second.text[-3000:]
        assert contents(database) == want
        # Each model was built by one of the two; what waited went on by itself.
        assert "below" in second.materialized
        built = [*first.materialized, *second.materialized]
        both = [name.partition(".")[2] for name in BOTH]
        assert sorted(n for n in built if n in both) == sorted(both)
        (waits,) = {
            line for line in second.log if "Waiting for table:" in line and "by_time" in line
        }
        assert f"run {one} has claimed since" in waits
        assert not held(transform)
    finally:
        transform.close()


@pytest.mark.postgres
def test_two_plain_runs_of_sqlmesh_make_rows_twice(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    """What the claims are for: without them, the same two runs duplicate rows."""
    want = expected(tmp_path / "native", databases())
    database = databases()
    prepare(database)
    projects = [Project(tmp_path / name, database, MODELS, files=FILES) for name in ("p", "q")]
    projects[0].plan_natively(FIRST)
    errors: list[Exception] = []

    def run(project: Project) -> None:
        try:
            project.run_natively(NEXT)
        except Exception as error:  # noqa: BLE001 - a unique key that is violated, say
            errors.append(error)

    threads = [threading.Thread(target=run, args=(project,)) for project in projects]
    with closed(database) as let_in:
        for thread in threads:
            thread.start()
        until(lambda: at_the_gate(database) >= len(KINDS), 60, "both runs to be at work")
        let_in()
    for thread in threads:
        thread.join(60)
    have = contents(database)
    twice = {name for name in BOTH if len(have[name]) > len(want[name])}
    # Others too, if both runs were at them when the gate opened.
    assert "shared.unmanaged" in twice, (twice, errors)


@pytest.mark.postgres
def test_a_tick_leaves_out_what_another_run_builds(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    database = databases()
    prepare(database)
    project = Project(tmp_path / "p", database, {**BOTH, **BELOW}, files=FILES)
    project.plan_natively(FIRST)
    transform = Transform(tmp_path, [project])
    transform.prepare()
    at = {"execution_time": NEXT.isoformat(), "ignore_cron": False}
    try:
        with closed(database) as let_in, transform.launched(["shared.by_time"], **at) as one:
            until(lambda: at_the_gate(database), 60, "the first run to be at work")
            tick = transform.run(
                ["shared.by_time", "two.below"], tags={"dagster/schedule_name": "s"}, **at
            )
            assert tick.success
            assert tick.observed == {"by_time": ["claimed"], "below": ["waiting"]}
            assert f"run {one} has claimed since" in tick.reason("by_time")
            (observation,) = [o for o in tick.observations if o.asset_key.path[-1] == "by_time"]
            link = observation.metadata["dagster_transform/claimed_by"]
            assert link == dg.MetadataValue.dagster_run(one)
            let_in()
            assert ended(transform, one).success
    finally:
        transform.close()


@pytest.mark.postgres
def test_a_claim_that_is_lost_ends_its_node_and_nothing_is_recorded(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    database = databases()
    prepare(database)
    models = {name: BOTH[name] for name in ("shared.by_time", "shared.view")} | BELOW
    project = Project(tmp_path / "p", database, models)
    project.plan_natively(FIRST)
    before = database.intervals()
    quick = {"claims_lease": 2.0, "claims_heartbeat": 0.5}
    transform = Transform(tmp_path, [project], settings=quick)
    transform.prepare()
    options = {"execution_time": NEXT.isoformat(), "ignore_cron": False}
    names = ["shared.by_time", "two.below"]
    try:
        with closed(database) as let_in:
            with transform.launched(names, **options) as one:
                until(lambda: at_the_gate(database), 60, "the run to be at work")
                store_of(transform).release_run(one)  # as `claims release --force` does it
                lost = ended(transform, one)
            assert lost.observed == {"by_time": ["cancelled"], "below": ["cancelled"]}
            assert "its claim was lost" in lost.reason("by_time")
            assert at_the_gate(database) == 0
            assert database.intervals() == before
            let_in()
        again = transform.run(names, **options)
        assert again.success
        assert again.materialized == ["by_time", "below"]
    finally:
        transform.close()


@pytest.mark.postgres
def test_no_more_nodes_are_built_than_their_tags_and_connection_allow(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    database = databases()
    wait = "SELECT 1 AS n FROM pg_sleep(0.15)"
    models = {f"mart.heavy{i}": f"kind FULL, tags (heavy)\n---\n{wait}" for i in range(3)}
    models |= {"mart.two": f"kind FULL, tags ('heavy:2')\n---\n{wait}"}
    models |= {f"mart.light{i}": f"kind FULL\n---\n{wait}" for i in range(4)}
    project = Project(tmp_path / "p", database, models)
    project.plan_natively(FIRST)
    transform = Transform(
        tmp_path, [project], settings={"tags": {"heavy": 2}, "connections": {"p": 3}}
    )
    transform.prepare()
    try:
        run = transform.run(max_concurrent_models=8)
        assert run.success
        assert len(run.materialized) == len(models)
        assert run.most_at_once(*models) == 3
        assert run.most_at_once(*(name for name in models if "heavy" in name)) == 2
        # The one that takes two has the tag for itself.
        heavy = ("mart.heavy0", "mart.heavy1", "mart.heavy2", "mart.two")
        assert run.most_at_once(*heavy) == 2
        for name in heavy[:3]:
            assert run.most_at_once(name, "mart.two") == 1
        assert not held(transform)
    finally:
        transform.close()


def store_of(transform: Transform) -> Any:
    """The store that runs of this instance use."""
    from dagster_transform.config import load_config
    from dagster_transform.dagster.execution.claims_store import open_claims

    return open_claims(transform.instance, load_config(transform.folder))


def held(transform: Transform) -> list[Any]:
    return store_of(transform).holders()  # type: ignore[no-any-return]
