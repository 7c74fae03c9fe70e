"""Two runs at the same time where dbt builds: its tables, and one DuckDB file with SQLMesh."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.claims import Owner, OwnerKind, Want
from tests.support.dbt_projects import DbtProject
from tests.support.overlapping_runs import at_the_gate, closed, ended, held, prepare, says, store_of
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform
from tests.support.waiting import until

NEW = "{% if is_incremental() %} and id > (select max(id) from {{ this }}) {% endif %}"
GATED = "select id, moment from src.events where (select gate.open() from (select 1) one)"
DBT = {
    "models/appended.sql": f"""
        {{{{ config(materialized='incremental', incremental_strategy='append') }}}}
        {GATED} {NEW}
    """,
    "models/keyed.sql": f"""
        {{{{ config(materialized='incremental', unique_key='id') }}}}
        {GATED} {NEW}
    """,
    "models/below.sql": "select count(*) as n from {{ ref('appended') }}",
    "snapshots/history.sql": f"""
        {{% snapshot history %}}
        {{{{ config(unique_key='id', strategy='check', check_cols=['moment'],
            target_schema='main') }}}}
        {GATED}
        {{% endsnapshot %}}
    """,
}
PROJECT = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
RELATIONS = ["main.appended", "main.keyed", "main.below"]
MORE = "INSERT INTO src.events SELECT id + 100, moment FROM src.events"
MOVED = "UPDATE src.events SET moment = moment + INTERVAL '1 hour' WHERE id < 10"


def transform_of(folder: Path, database: Database, files: dict[str, str]) -> Transform:
    """A transform of one dbt project `d`."""
    DbtProject(folder / "d", database, files)
    return Transform(folder, [], further={"d": PROJECT})


def look(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    found = database.contents(RELATIONS)
    columns = "id, moment, dbt_valid_to IS NULL"
    found["history"] = sorted(database.rows(f"SELECT {columns} FROM main.history"), key=repr)
    return found


@pytest.mark.postgres
def test_two_runs_of_dbt_make_the_rows_of_one(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    database = databases()
    prepare(database)
    transform = transform_of(tmp_path, database, DBT)
    transform.prepare()
    try:
        assert transform.run().success
        database.execute(MORE, MOVED)
        with closed(database) as let_in, transform.launched() as one:
            until(lambda: at_the_gate(database) >= 3, "the first run to be at work", 60)
            with transform.launched() as two:
                until(lambda: says(transform, two, "Waiting for table:"), "the second to wait", 60)
                let_in()
                first, second = ended(transform, one), ended(transform, two)
        assert first.success, first.text[-3000:]
        assert second.success, second.text[-3000:]
        assert "below" in second.materialized
        have = look(database)
        assert len(have["main.appended"]) == len(have["main.keyed"]) == 64
        assert have["main.below"] == [(64,)]
        # 32 rows of before, of which 10 have a second version, and 32 new ones.
        assert len(have["history"]) == 74
        assert sum(current for _, _, current in have["history"]) == 64
        assert not held(transform)
    finally:
        transform.close()


@pytest.mark.postgres
def test_two_runs_that_build_the_same_for_the_first_time(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    """What the second run's dbt has seen of the database is older than what the first one made."""
    database = databases()
    prepare(database)
    table = "{{ config(materialized='table') }}"
    files = {
        "models/made.sql": f"{table} {GATED}",
        "models/added.sql": DBT["models/appended.sql"],
        "models/apart.sql": f"{table} select 1 as one",
    }
    transform = transform_of(tmp_path, database, files)
    transform.prepare()
    both = ["made", "added"]
    try:
        with closed(database) as let_in, transform.launched(both) as one:
            until(lambda: at_the_gate(database) >= 2, "the first run to be at work", 60)
            with transform.launched([*both, "apart"]) as two:
                until(lambda: says(transform, two, "apart: built"), "the second run's own", 60)
                let_in()
                first, second = ended(transform, one), ended(transform, two)
        assert first.success, first.text[-3000:]
        assert second.success, second.text[-3000:]
        assert sorted(second.materialized) == ["added", "apart", "made"]
        assert [len(database.content(f"main.{name}")) for name in both] == [32, 32]
    finally:
        transform.close()


@pytest.mark.postgres
def test_two_plain_runs_of_dbt_make_rows_twice(
    tmp_path: Path, databases: Callable[[], Database]
) -> None:
    """What the claims are for."""
    database = databases()
    prepare(database)
    project = DbtProject(tmp_path / "d", database, DBT)
    assert project.dbt("build").returncode == 0
    database.execute(MORE, MOVED)
    threads = [
        threading.Thread(
            target=project.dbt, args=("build", "--target-path", name), kwargs={"check": False}
        )
        for name in ("one", "two")
    ]
    with closed(database) as let_in:
        for thread in threads:
            thread.start()
        until(lambda: at_the_gate(database) >= 6, "both runs to be at work", 60)
        let_in()
    for thread in threads:
        thread.join(60)
    have = look(database)
    assert len(have["main.appended"]) == 96
    assert len(have["history"]) > 74


PYTHON = """
import duckdb
from dagster_transform import claimed_file

@dg.asset(key=["raw", "items"])
def items(context: dg.AssetExecutionContext):
    with claimed_file(context, ROOT / "w.duckdb", config=ROOT) as path:
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE OR REPLACE TABLE items AS SELECT 1 AS id")

assets.append(items)
"""
SHARED = {"models/other.sql": "{{ config(materialized='table') }} select 1 as one"}
MESH = {"marts.apart": "kind FULL\n---\nSELECT 1 AS one"}


def test_runs_on_one_duckdb_file_take_turns(tmp_path: Path) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    DbtProject(tmp_path / "d", database, SHARED)
    project = Project(tmp_path / "p", database, MESH)
    transform = Transform(tmp_path, [project], code=PYTHON, further={"d": PROJECT}, plan="auto")
    transform.prepare()
    store = store_of(transform)
    key = f"file:{tmp_path / 'w.duckdb'}"
    owner = Owner(OwnerKind.RUN, "another", "another", 0)
    try:
        with ExitStack() as stack:
            store.acquire(owner, [Want(key)], claim_id="a" * 32, all_or_nothing=True)
            one = stack.enter_context(transform.launched(["other"]))
            two = stack.enter_context(transform.launched(["marts.apart"]))
            three = stack.enter_context(transform.launched(["raw/items"]))
            for run in (one, two, three):
                until(
                    lambda run=run: says(transform, run, f"Waiting for {key}"), "both to wait", 60
                )
            store.release("a" * 32)
            ends = [ended(transform, run) for run in (one, two, three)]
        assert [end.materialized for end in ends] == [["other"], ["apart"], ["items"]]
        assert all(end.success for end in ends), "".join(end.text[-3000:] for end in ends)
        turns = [e.kind for e in store.events() if e.resource_key == key and e.kind != "refused"]
        assert turns == ["granted", "released"] * 4
        assert not held(transform)
    finally:
        transform.close()
