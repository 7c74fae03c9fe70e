"""dbt and SQLMesh in one run of Dagster: one lineage, one walk, one DuckDB file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform, python_asset

FIRST = "2024-03-05T10:30:00+00:00"

DBT = {
    "seeds/codes.csv": "code,name\n1,one\n2,two\n",
    "models/staging/stg_items.sql": """
        {{ config(materialized='table', schema='staging') }}
        select i.id, i.code, c.name from {{ source('raw', 'items') }} i
        left join {{ ref('codes') }} c on i.code = c.code
    """,
    "models/staging/stg_broken.sql": """
        {{ config(materialized='table', schema='staging') }}
        select case when (select count(*) from {{ ref('stg_items') }}) = 3
          then error('broken') else 1 end as n
    """,
    "models/late/summary.sql": """
        {{ config(materialized='table', schema='late') }}
        select sum(n) as n from {{ source('marts', 'by_name') }}
    """,
    "models/schema.yml": """
        version: 2
        sources:
          - name: raw
            schema: raw
            tables: [{name: items}]
          - name: marts
            schema: marts
            tables: [{name: by_name}]
        models:
          - name: stg_items
            columns:
              - name: id
                data_tests:
                  - not_null
                  - unique
                  - relationships:
                      name: of_both
                      arguments: {to: ref('stg_broken'), field: n}
                      config: {where: id = 1}
              - name: name
                data_tests: [{not_null: {config: {severity: warn}}}]
    """,
}
SQLMESH = {
    "marts.by_name": """
        kind FULL,
        audits (number_of_rows(threshold := 0))
        ---
        SELECT name, COUNT(*) AS n FROM w.main_staging.stg_items GROUP BY name
    """,
    "marts.on_broken": "kind FULL\n---\nSELECT n FROM w.main_staging.stg_broken",
    "marts.apart": "kind FULL\n---\nSELECT 1 AS one",
}
PYTHON = python_asset("report", ["late", "summary"])
PYTHON += python_asset("after_items", ["staging", "stg_items"])


class Both(Transform):
    """A transform with a dbt project `d` and a SQLMesh project `p`, on one DuckDB file."""

    def __init__(self, folder: Path) -> None:
        database = Database.in_file(folder / "w.duckdb")
        database.execute(
            "CREATE SCHEMA raw",
            "CREATE TABLE raw.items AS SELECT * FROM (VALUES (1, 1), (2, 2), (3, 1)) t(id, code)",
        )
        self.dbt = DbtProject(folder / "d", database, DBT)
        project = Project(folder / "p", database, SQLMESH)
        dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
        super().__init__(folder, [project], code=PYTHON, further={"d": dbt}, plan="auto")


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    transform = Both(tmp_path)
    transform.prepare()
    yield transform
    transform.close()


def repair(both: Both) -> None:
    broken = "models/staging/stg_broken.sql"
    both.dbt.write({broken: DBT[broken].replace("error('broken')", "1")})
    both.prepare()


def test_a_failing_dbt_model_blocks_exactly_its_descendants(both: Both) -> None:
    run = both.run(execution_time=FIRST)
    assert not run.success
    assert run.observed["stg_broken"] == ["failed"]
    assert run.observed["on_broken"] == ["blocked"]
    assert "stg_broken" in run.reason("on_broken")
    # A test of stg_items that also reads stg_broken did not run: it holds nothing back.
    assert "stg_items:of_both" not in run.checks
    assert set(run.materialized) == {"codes", "stg_items", "after_items"}
    # Of the other framework everything that does not read it; a plan promotes as a whole only.
    assert run.observed["by_name"] == run.observed["apart"] == ["backfilled"]
    assert run.checks["stg_items:not_null_stg_items_id"]
    database = both.projects[0].database
    assert len(database.rows("SELECT * FROM main_staging.stg_items")) == 3


def test_one_run_walks_both_frameworks(both: Both) -> None:
    repair(both)
    run = both.run(execution_time=FIRST)
    assert run.success, run.text[-3000:]
    expected = {
        "codes",
        "stg_items",
        "stg_broken",
        "by_name",
        "on_broken",
        "apart",
        "summary",
        "report",
        "after_items",
    }
    assert set(run.materialized) == expected
    assert run.checks == {
        "stg_items:not_null_stg_items_id": True,
        "stg_items:unique_stg_items_id": True,
        "stg_items:not_null_stg_items_name": True,
        "stg_items:of_both": True,
        "by_name:number_of_rows": True,
    }
    database = both.projects[0].database
    assert database.rows("SELECT n FROM main_late.summary") == [(3,)]
    again = both.run(["marts.by_name"], execution_time=FIRST)
    assert again.success
    assert again.materialized == ["by_name"]
