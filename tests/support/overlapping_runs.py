"""A transform whose models wait at a gate, so that two runs of it overlap as a test wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import Story
from tests.support.transforms import Transform
from tests.support.waiting import until

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


def ended(transform: Transform, run_id: str) -> Story:
    done = lambda: transform.story(run_id).status.name in ("SUCCESS", "FAILURE")  # noqa: E731
    until(done, "the run to end", 120)
    return transform.story(run_id)


def says(transform: Transform, run_id: str, text: str) -> bool:
    return any(text in line for line in transform.story(run_id).log)


def store_of(transform: Transform) -> Any:
    """The store that runs of this instance use."""
    from dagster_transform.config import load_config
    from dagster_transform.dagster.execution.claims_store import open_claims

    return open_claims(transform.instance, load_config(transform.folder))


def held(transform: Transform) -> list[Any]:
    return store_of(transform).holders()  # type: ignore[no-any-return]
