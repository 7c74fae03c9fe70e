"""Rows and columns of what dbt has built: told with the materialisation, and nobody waits."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_transform.walk import Learned, Report
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun, queries
from tests.support.dbt_transforms import OfDbt
from tests.support.postgres import PostgresDatabase
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database
from tests.support.stories import Story
from tests.support.waiting import until

TABLE = "{{ config(materialized='table') }}\n"
FILES = {
    "seeds/items.csv": "id,kind\n1,a\n2,b\n3,b\n",
    "models/orders.sql": TABLE + "select id, kind from {{ ref('items') }} where id > 1",
    "models/shown.sql": "{{ config(materialized='view') }}\nselect id from {{ ref('orders') }}",
    "models/bad.sql": TABLE + "select 1 / (id - id) as n, nonsense from {{ ref('orders') }}",
    "models/schema.yml": """
        models:
          - name: orders
            columns: [{name: ID, description: Which one}]
        """,
}
KEYS = ("dagster/row_count", "dagster/column_schema")


def shown(story: Story, name: str) -> dict[str, Any]:
    """What of our metadata a materialisation has: rows, and columns with type and description."""
    metadata = story.materialization(name).metadata
    found = {key: metadata[key].value for key in KEYS if key in metadata}
    if KEYS[1] in found:
        columns = found[KEYS[1]].columns
        found[KEYS[1]] = [(c.name, c.type.lower(), c.description) for c in columns]
    return found


@pytest.mark.parametrize(
    "database", ["duckdb", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])]
)
def test_rows_and_columns_are_told_with_the_materialisation(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = (
        Database.in_file(tmp_path / "w.duckdb")
        if database == "duckdb"
        else Database.in_postgres(request.getfixturevalue("postgres_database"))
    )
    transform = OfDbt(tmp_path, DbtProject(tmp_path / "d", place, FILES, schema="shop"))
    transform.prepare()
    story = transform.run(dbt={"fetch_row_counts": True, "fetch_columns": True})
    assert story.observed == {"bad": ["failed"]}
    whole = "integer" if database == "duckdb" else "int"
    text = "varchar" if database == "duckdb" else "text"
    orders = shown(story, "orders")
    assert orders[KEYS[0]] == 2
    (id, id_type, described), (kind, kind_type, _) = orders[KEYS[1]]
    assert (id, kind, described) == ("id", "kind", "Which one")
    assert whole in id_type
    assert kind_type.startswith((text, "character"))
    assert shown(story, "items")[KEYS[0]] == 3
    view = shown(story, "shown")
    assert [name for name, _, _ in view[KEYS[1]]] == ["id"]
    assert KEYS[0] not in view, "a view is not counted"
    order = [story.stored(dg.DagsterEventType.ASSET_MATERIALIZATION, n) for n in FILES_IN_ORDER]
    assert order == sorted(order), "Dagster takes no asset after one that depends on it"
    if database == "duckdb":
        plain = transform.run(dbt={})
        assert shown(plain, "items") == {}, "nobody has asked"
    transform.close()


FILES_IN_ORDER = ("items", "orders", "shown")

# A count of 60 s: a view is not counted, but one of a project's own materialisation is.
SLOW = {
    "macros/slow.sql": """
        {% materialization slow, default %}
          {% set target = this.incorporate(type='view') %}
          {% call statement('main') %}
            create or replace view {{ target }} as {{ sql }}
          {% endcall %}
          {% do adapter.commit() %}
          {{ return({'relations': [target]}) }}
        {% endmaterialization %}
        """,
    "models/slow.sql": """
        {{ config(materialized='slow') }}
        select 1 as n where pg_sleep(60)::text is not null
        """,
    "models/below.sql": TABLE + "select 1 as n -- {{ ref('slow') }}",
    "models/other.sql": TABLE + "select 1 as n",
}


@pytest.mark.postgres
def test_nothing_waits_for_a_count_and_it_ends_with_the_run(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    database = Database.in_postgres(postgres_database)
    project = DbtProject(tmp_path / "project", database, SLOW, schema="shop", threads=1)
    run = DbtRun(project, row_counts=True)
    run.open()
    counting = "%select count(*)%"

    def rest_is_built() -> bool:
        ended = {run.called[unit] for unit in run.walk.finished}
        return ended == {"slow", "below", "other"} and bool(queries(postgres_database, counting))

    run.walk_until(rest_is_built)
    told = run.told()
    assert set(told.values()) == {"built"}, "its descendant was built while it was counted"
    run.cancel()
    run.close(completed=False)
    assert not queries(postgres_database, counting)
    assert not alive(run.pid)


@pytest.mark.postgres
def test_a_count_of_a_process_that_is_gone_is_given_up(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    database = Database.in_postgres(postgres_database)
    project = DbtProject(tmp_path / "project", database, SLOW, schema="shop", threads=1)
    run = DbtRun(project, ["slow"], row_counts=True).open()
    reports: list[Any] = run.start("slow")
    until(lambda: queries(postgres_database, "%select count(*)%"), "the count to begin")
    assert [type(r) for r in reports] == [Report]
    os.kill(run.pid, signal.SIGKILL)
    until(lambda: len(reports) == 2, "the facts to be given up")
    assert reports[1].table_rows is None
    assert "SIGKILL" in reports[1].problem
    run.project_run.close(completed=False)
    assert not queries(postgres_database, "%select count(*)%")


@pytest.mark.postgres
def test_a_run_limit_ends_the_wait_for_facts(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    database = Database.in_postgres(postgres_database)
    project = DbtProject(tmp_path / "project", database, SLOW, schema="shop", threads=1)
    run = DbtRun(project, ["slow"], row_counts=True, run_timeout=2.0)
    run.open()
    learned = [e.facts for e in run.events() if isinstance(e, Learned)]
    assert "the run took longer than 2 s" in learned[0].problem
    assert queries(postgres_database, "%select count(*)%")
    run.close()
    assert run.told() == {"slow": "built"}
