"""What the columns of dbt's nodes are computed from, as Dagster has it after a run of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.support.dbt_projects import DbtProject
from tests.support.folders import GOLDEN_FOLDER
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import Transform

GOLDEN = GOLDEN_FOLDER / "dbt_column_lineage.json"
FIRST = "2024-03-05T10:30:00+00:00"
TABLE = "{{ config(materialized='table') }}\n"
DBT = {
    "seeds/codes.csv": "code,name\n1,one\n2,two\n",
    "models/base.sql": TABLE
    + """
        select i.id as "Item_ID", price * amount as total, name, 'x' as constant
        from {{ source('raw', 'items') }} i left join {{ ref('codes') }} c on i.code = c.code
    """,
    "models/starred.sql": "select b.*, upper(name) as label from {{ ref('base') }} b",
    "models/by_cte.sql": """
        with base as (select * from {{ ref('base') }}), sums as (
          select name, sum(total) as of_name from base group by name
        )
        select base.item_id, s.of_name - base.total as rest from base join sums s using (name)
    """,
    "models/passed.sql": """
        {{ config(materialized='ephemeral') }}
        select item_id, total * 2 as twice from {{ ref('base') }}
    """,
    "models/on_passed.sql": "select twice + 1 as more, item_id from {{ ref('passed') }}",
    "models/on_view.sql": """
        select n as items, s.code, now() as at from {{ source('marts', 'by_code') }} s
    """,
    "models/grows.sql": """
        {{ config(materialized='incremental') }}
        select b.total, coalesce(t.total, b.total) as before from {{ ref('base') }} b
        left join {{ this if is_incremental() else ref('base') }} t on b.total = t.total
        {% if is_incremental() %} where false {% endif %}
    """,
    "models/half.sql": """
        select b.total, s.name as setting from {{ ref('base') }} b, duckdb_settings() s
    """,
    "models/unknown.sql": "select * from duckdb_settings()",
    "models/in_python.py": """
        def model(dbt, session):
            dbt.config(materialized="table")
            return dbt.ref("base")
    """,
    "snapshots/history.yml": """
        snapshots:
          - name: history
            relation: ref('base')
            config: {unique_key: item_id, strategy: check, check_cols: all, schema: main}
    """,
    "models/schema.yml": """
        sources:
          - {name: raw, schema: raw, tables: [{name: items}]}
          - {name: marts, schema: marts, tables: [{name: by_code}]}
    """,
}
SQLMESH = {
    "marts.by_code": "kind VIEW\n---\nSELECT code, COUNT(*) AS n FROM w.raw.items GROUP BY code",
}


class Both(Transform):
    """A transform with a dbt project `d` and a SQLMesh project `p`, on one DuckDB file."""

    def __init__(self, folder: Path) -> None:
        database = Database.in_file(folder / "w.duckdb")
        database.execute(
            "CREATE SCHEMA raw",
            "CREATE TABLE raw.items AS SELECT * FROM (VALUES (1, 1, 2, 3)) "
            "t(id, code, price, amount)",
        )
        self.dbt = DbtProject(folder / "d", database, DBT)
        super().__init__(folder, [Project(folder / "p", database, SQLMESH)], plan="auto")

    def configure(self, settings=None, **project_settings):  # type: ignore[no-untyped-def]
        super().configure(settings, **project_settings)
        path = self.folder / "transform.yaml"
        config = yaml.safe_load(path.read_text())
        config["projects"]["d"] = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
        path.write_text(yaml.safe_dump(config))


def lineage(story: Story, name: str) -> dict[str, list[str]] | None:
    """By column, the columns that it is computed from as `asset key:column`."""
    found: dict[str, Any] = dict(story.materialization(name).metadata)
    if "dagster/column_lineage" not in found:
        return None
    by_column = found["dagster/column_lineage"].value.deps_by_column
    return {
        column: [f"{dep.asset_key.to_user_string()}:{dep.column_name}" for dep in deps]
        for column, deps in by_column.items()
    }


def test_it_is_told_with_the_materialisation(tmp_path: Path) -> None:
    transform = Both(tmp_path)
    transform.prepare()
    story = transform.run(execution_time=FIRST, dbt={"fetch_column_lineage": True})
    assert story.success, story.text[-3000:]
    names = {Path(path).stem for path in DBT} - {"schema", "passed"}
    warned = {name for name in names if f"{name}: not all is known of it" in story.text}
    assert warned == {"half", "unknown", "in_python"}
    found = {name: lineage(story, name) for name in sorted(names)}
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert "it is not certain what is behind setting" in story.text
    assert "a Python model has none" in story.text
    # What an incremental model has from now on, its table does not get.
    grows = DBT["models/grows.sql"].replace("b.total,", "b.total, b.name,")
    transform.dbt.write({"models/grows.sql": grows})
    transform.prepare()
    again = transform.run(
        ["grows", "base"], execution_time=FIRST, dbt={"fetch_column_lineage": True}
    )
    assert lineage(again, "grows") == {"total": ["base:total"], "before": ["base:total"]}
    plain = transform.run(["base"], execution_time=FIRST, dbt={"fetch_row_counts": True})
    assert lineage(plain, "base") is None, "nobody has asked"
    transform.close()
