"""A dbt project and a SQLMesh project on one DuckDB file, as people write them: SQLMesh's models
read what dbt builds."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

FILES = {
    "dbt_project/dbt_project.yml": """
        name: staging
        version: "1.0"
        config-version: 2
        profile: staging
        flags: {send_anonymous_usage_stats: false}
        models: {staging: {+materialized: table}}
        """,
    "dbt_project/profiles.yml": """
        staging:
          target: dev
          outputs: {dev: {type: duckdb, path: ../warehouse.duckdb, schema: staging, threads: 2}}
        """,
    "dbt_project/seeds/raw_flights.csv": "carrier,day,delay\nUA,2024-03-01,5\nAA,2024-03-01,7\n",
    "dbt_project/models/stg_flights.sql": """
        select carrier, cast(day as date) as day, cast(delay as integer) as delay
        from {{ ref('raw_flights') }}
        """,
    "dbt_project/models/staging.yml": """
        models:
          - name: stg_flights
            config: {tags: [core], meta: {dagster_transform: {cron: "@daily"}}}
            columns: [{name: carrier, data_tests: [not_null]}]
        """,
    "sqlmesh_project/config.yaml": """
        gateways: {local: {connection: {type: duckdb, database: ../warehouse.duckdb}}}
        default_gateway: local
        model_defaults: {dialect: duckdb, start: "2024-03-01", cron: "@daily"}
        disable_anonymized_analytics: true
        """,
    "sqlmesh_project/external_models.yaml": """
        - name: warehouse.staging.stg_flights
          columns: {carrier: text, day: date, delay: int}
        """,
    "sqlmesh_project/models/delays.sql": """
        MODEL (
          name marts.delays, kind FULL, tags (marts), audits (not_null(columns := (carrier)))
        );
        SELECT carrier::TEXT AS carrier, AVG(delay)::DOUBLE AS delay
        FROM warehouse.staging.stg_flights GROUP BY carrier
        """,
    "sqlmesh_project/models/worst.sql": """
        MODEL (name marts.worst, kind VIEW);
        SELECT MAX(delay)::DOUBLE AS delay FROM marts.delays
        """,
}
PROJECTS = """
projects:
  staging:
    framework: dbt
    path: dbt_project
    profiles_dir: dbt_project
  marts:
    framework: sqlmesh
    path: sqlmesh_project
    plan: auto
    catalog_in_key: false
"""
KEYS = {"raw_flights", "stg_flights", "marts/delays", "marts/worst"}


def write_two_frameworks(folder: Path) -> None:
    """Write both projects into a folder, and a transform.yaml beside them."""
    for name, text in {**FILES, "transform.yaml": PROJECTS}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
