"""Checks on what no node builds: dbt source tests and freshness, audits of external tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterEventType as Kind

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

DBT = {
    "models/stg_items.sql": "select id from {{ source('raw', 'items') }}",
    "models/stg_more.sql": "select id from {{ source('raw', 'more') }}",
    "models/schema.yml": """
        version: 2
        sources:
          - name: raw
            schema: raw
            tables:
              - name: items
                loaded_at_field: loaded_at
                freshness: {error_after: {count: 1, period: day}}
                columns:
                  - name: id
                    data_tests: [not_null, unique]
              - name: more
    """,
}
SQLMESH = {"marts.ids": "kind FULL\n---\nSELECT id FROM w.raw.items"}
FILES = {
    "external_models.yaml": """
        - name: w.raw.items
          columns: {id: INT, loaded_at: TIMESTAMP}
          audits:
            - name: number_of_rows
              threshold: "2"
    """,
    "audits/sane.sql": "AUDIT (name sane, standalone true); SELECT 1 FROM w.raw.items WHERE id < 0",
}
PYTHON = """
@dg.asset(key=["raw", "items"])
def items():
    import duckdb

    with duckdb.connect(str(ROOT / "w.duckdb")) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
        connection.execute(
            "CREATE OR REPLACE TABLE raw.items AS SELECT UNNEST(?) AS id, now() AS loaded_at",
            [[int(id) for id in (ROOT / "ids.txt").read_text().split()]],
        )

@dg.asset(key=["raw", "more"], deps=[["raw", "items"]])
def more():
    import duckdb

    with duckdb.connect(str(ROOT / "w.duckdb")) as connection:
        connection.execute("CREATE OR REPLACE TABLE raw.more AS SELECT 1 AS id")

assets += [items, more]
"""


class WithSources(Transform):
    """A Python asset writes a table that a dbt project and a SQLMesh project read and judge."""

    def __init__(self, folder: Path) -> None:
        database = Database.in_file(folder / "w.duckdb")
        DbtProject(folder / "d", database, DBT)
        project = Project(folder / "p", database, SQLMESH, files=FILES)
        dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
        super().__init__(folder, [project], code=PYTHON, further={"d": dbt}, plan="auto")


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[WithSources]:
    transform = WithSources(tmp_path)
    transform.prepare()
    yield transform
    transform.close()


NOT_NULL, UNIQUE = "items:source_not_null_raw_items_id", "items:source_unique_raw_items_id"


def test_one_table_is_one_asset_and_its_checks_hold_back_what_reads_it(
    transform: WithSources,
) -> None:
    """What Dagster does with a blocking check on an asset holds for a source that it makes."""
    graph = transform.repository().asset_graph
    raw, more = transform.key("raw/items"), transform.key("raw/more")
    assert graph.get(raw).child_keys == {
        more,
        transform.key("stg_items"),
        transform.key("marts.ids"),
    }
    (transform.folder / "ids.txt").write_text("1 2 2")
    run = transform.run()
    assert run.checks == {
        NOT_NULL: True,
        UNIQUE: False,
        "items:freshness": True,
        "items:sane": True,
        "items:number_of_rows": True,
    }
    judged = run.ended(f"raw/{UNIQUE}", "check started")
    assert run.stored(Kind.ASSET_MATERIALIZATION, "items") < judged
    assert run.materialized == ["items"]
    # SQLMesh's model reads the table that dbt's test has found wrong.
    assert run.observed == {"stg_items": ["blocked"], "ids": ["blocked"]}
    assert run.reason("stg_items") == f"blocking check failed: raw/{UNIQUE}"

    (transform.folder / "ids.txt").write_text("1 2 3")
    assert transform.run().success

    (transform.folder / "ids.txt").write_text("1 2")
    run = transform.run()
    assert run.checks["items:number_of_rows"] is False
    # To dbt as well: the audit is one of the table, whoever reads it.
    assert run.observed == {"stg_items": ["blocked"], "ids": ["blocked"]}
    assert run.reason("ids") == "blocking check failed: raw/items:number_of_rows"


def test_checks_of_sources_run_alone(transform: WithSources) -> None:
    transform.projects[0].database.execute(
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.items AS SELECT 1 AS id, now() - INTERVAL 3 DAY AS loaded_at",
    )
    run = transform.run([], ["raw/items:freshness", "raw/items:source_unique_raw_items_id"])
    assert run.checks == {"items:freshness": False, UNIQUE: True}
    assert run.materialized == []
