"""A transform on one DuckDB file whose checks, of every sort, pass, warn, fail or can't be run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Kind, Story
from tests.support.transforms import Transform, python_asset

NOW = "2024-03-05T10:30:00+00:00"

DBT = {
    "models/staging/items.sql": """
        {{ config(materialized='table', schema='staging') }}
        select id, code from {{ source('raw', 'items') }}
    """,
    "models/staging/codes.sql": """
        {{ config(materialized='table', schema='staging') }}
        select distinct code from {{ ref('items') }}
    """,
    "models/staging/wrong.sql": """
        {{ config(materialized='table', schema='staging') }}
        select id + 1 as id from {{ ref('codes') }} join {{ ref('items') }} using (code)
    """,
    "tests/none_is_big.sql": "select id from {{ ref('items') }} where id > 2",
    "tests/both.sql": "select i.id from {{ ref('items') }} i join {{ ref('codes') }} c on false",
    "tests/both_warn.sql": """
        {{ config(severity='warn') }}
        select i.id from {{ ref('items') }} i join {{ ref('codes') }} c using (code)
    """,
    "tests/broken.sql": "select nothing from {{ ref('codes') }}",
    "models/schema.yml": """
        version: 2
        sources:
          - name: raw
            schema: raw
            config: {loaded_at_field: loaded, freshness: {error_after: {count: 1, period: hour}}}
            tables:
              - name: items
                columns:
                  - name: id
                    data_tests: [not_null]
              - name: other
                config: {freshness: {error_after: null, warn_after: {count: 1, period: hour}}}
                columns:
                  - name: id
                    data_tests: [unique, {not_null: {config: {severity: warn}}}]
              - name: fresh
                config: {freshness: {error_after: {count: 99999, period: day}}}
              - name: gone
        models:
          - name: items
            columns:
              - name: id
                data_tests: [not_null, {unique: {config: {severity: warn}}}]
              - name: code
                data_tests:
                  - accepted_values:
                      arguments: {values: [1], quote: false}
                      config: {severity: warn, store_failures: true}
                  - relationships:
                      arguments: {to: ref('codes'), field: code}
                  - relationships:
                      name: of_those_that_are_there
                      arguments: {to: "source('raw', 'other')", field: id}
                      config: {severity: warn}
        unit_tests:
          - name: once
            model: codes
            given:
              - {input: ref('items'), rows: [{id: 1, code: 1}, {id: 2, code: 1}]}
            expect: {rows: [{code: 1}]}
          - name: adds_one
            model: wrong
            given:
              - {input: ref('codes'), rows: [{code: 1}]}
              - {input: ref('items'), rows: [{id: 1, code: 1}]}
            expect: {rows: [{id: 1}]}
    """,
}
"""`broken` can't be run; nothing reads the source of which a test fails."""

SQLMESH = {
    "mart.a": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        start '2024-03-03',
        tags (finance),
        audits (
          not_null(columns := (id)),
          small(most := 1),
          small_warned(most := 2),
          number_of_rows(threshold := 0, blocking := false),
          unwanted
        )
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.odd": """
        kind FULL, audits (unsure)
        ---
        SELECT 1 AS one;

        AUDIT (name unsure, blocking false);
        SELECT nothing FROM @this_model
    """,
    "mart.b": "kind FULL\n---\nSELECT COUNT(*) AS n FROM mart.a",
    "mart.other": "kind FULL, audits (not_null(columns := (one)))\n---\nSELECT 1 AS one",
}
FILES = {
    "audits/small.sql": "AUDIT (name small);\nSELECT * FROM @this_model WHERE id > @most;\n",
    "audits/small_warned.sql": (
        "AUDIT (name small_warned, blocking false);\nSELECT * FROM @this_model WHERE id > @most;\n"
    ),
    "audits/unwanted.sql": "AUDIT (name unwanted, skip true);\nSELECT 1;\n",
    "audits/alone.sql": (
        "AUDIT (name alone, standalone true);\n"
        "SELECT * FROM mart.a JOIN mart.b ON n < 100 WHERE FALSE;\n"
    ),
    "audits/alone_warns.sql": (
        "AUDIT (name alone_warns, standalone true);\nSELECT * FROM mart.a;\n"
    ),
    "external_models.yaml": (
        '- name: \'"w"."src"."raw"\'\n  columns: {id: INT, ds: DATE}\n'
        "  audits: [{name: not_null, columns: '(id)'}, {name: small_warned, most: '1'}]\n"
    ),
}
"""`small` fails and blocks, `small_warned` fails and does not, `unsure` can't be run, `unwanted` is
skipped."""

CODE = python_asset("after_a", ["w", "mart", "a"]) + python_asset(
    "after_items", ["staging", "items"]
)


class Judged(Transform):
    """A transform with a dbt project `d` and a SQLMesh project `p`."""

    def __init__(self, folder: Path) -> None:
        self.database = Database.in_file(folder / "w.duckdb")
        self.dbt = DbtProject(folder / "d", self.database, DBT)
        project = Project(folder / "p", self.database, SQLMESH, files=FILES)
        dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
        super().__init__(folder, [project], code=CODE, further={"d": dbt}, plan="auto")
        self._said = self._begun = 0
        self._plain = (folder / "transform.yaml").read_text(encoding="utf-8")

    def say(self, checks: Any = None, *, require_passing: bool = False, **settings: Any) -> None:
        """Write transform.yaml anew: what it says of the checks of both projects, and besides."""
        found = yaml.safe_load(self._plain) | settings
        for project in found["projects"].values():
            project["checks"] = checks
            project["require_passing_checks"] = require_passing
        self._said += 1  # Dagster keeps the definitions of a file that it has loaded
        self.module = self.folder / f"defs_{self.folder.name}_{self._said}.py"
        self.define(CODE)
        (self.folder / "transform.yaml").write_text(yaml.safe_dump(found), encoding="utf-8")

    def begin_anew(self, database: Path | None = None) -> None:
        """A new Dagster, and a warehouse with nothing but what the projects read, or a copy."""
        self.close()
        self._begun += 1
        settings = self.home / "dagster.yaml"
        self.home = self.folder / f"home_{self._begun}"
        self.home.mkdir()
        shutil.copy(settings, self.home)
        (self.folder / "w.duckdb").unlink(missing_ok=True)
        if database is not None:
            shutil.copy(database, self.folder / "w.duckdb")
            return
        self.database.execute(
            "CREATE SCHEMA raw",
            "CREATE TABLE raw.items AS SELECT *, TIMESTAMP '2020-01-01' AS loaded "
            "FROM (VALUES (1, 1), (2, 2), (3, 1)) t(id, code)",
            "CREATE TABLE raw.other AS SELECT *, TIMESTAMP '2020-01-01' AS loaded "
            "FROM (VALUES (1), (1)) t(id)",
            "CREATE TABLE raw.fresh AS SELECT TIMESTAMP '2020-01-01' AS loaded",
            "CREATE SCHEMA src",
            "CREATE TABLE src.raw AS SELECT * FROM (VALUES (1, DATE '2024-03-03'), "
            "(2, DATE '2024-03-03'), (3, DATE '2024-03-04')) t(id, ds)",
        )


def results(story: Story) -> dict[str, tuple[bool, str, int | None]]:
    """What a run says of checks: whether they passed, with which severity, how many rows failed."""
    found: dict[str, tuple[bool, str, int | None]] = {}
    for event in story.of(Kind.ASSET_CHECK_EVALUATION):
        data = event.event_specific_data
        rows = data.metadata.get("dagster_transform/failed_rows")
        name = f"{data.asset_key.path[-1]}:{data.check_name}"
        assert name not in found, f"{name} was told twice"
        found[name] = (data.passed, data.severity.value, None if rows is None else rows.value)
    return found


ALL = {
    "items:freshness": (False, "ERROR", None),
    "fresh:freshness": (True, "WARN", None),
    "gone:freshness": (False, "ERROR", None),
    "other:freshness": (False, "WARN", None),
    "items:source_not_null_raw_items_id": (True, "ERROR", 0),
    "other:source_not_null_raw_other_id": (True, "WARN", 0),
    "other:source_unique_raw_other_id": (False, "ERROR", 1),
    "items:accepted_values_items_code__False__1": (False, "WARN", 1),
    "items:not_null_items_id": (True, "ERROR", 0),
    "items:none_is_big": (False, "ERROR", 1),
    "items:unique_items_id": (True, "WARN", 0),
    "items:relationships_items_code__code__ref_codes_": (True, "ERROR", 0),
    "items:of_those_that_are_there": (False, "WARN", 1),
    "codes:both": (True, "ERROR", 0),
    "codes:both_warn": (False, "WARN", 3),
    "codes:once": (True, "ERROR", None),
    "wrong:adds_one": (False, "ERROR", None),
    "raw:not_null": (True, "ERROR", 0),
    "raw:small_warned": (False, "WARN", 2),
    "a:not_null": (True, "ERROR", 0),
    "a:small": (False, "ERROR", 2),
    "a:number_of_rows": (True, "WARN", 0),
    "a:small_warned": (False, "WARN", 1),
    "a:alone_warns": (False, "WARN", 3),
    "other:not_null": (True, "ERROR", 0),
    "b:alone": (True, "WARN", 0),
}
"""Every check that can be run, and what the database says: whether it passes, how bad it is if not,
how many rows are wrong. `codes:broken` and `odd:unsure` can't be."""
MARTS = ("a", "b", "other", "odd")
BROKEN = ("staging/codes:broken", "w/mart/odd:unsure")
