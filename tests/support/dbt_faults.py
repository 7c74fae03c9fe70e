"""Models for tests that cut dbt off in the middle."""

from __future__ import annotations

from pathlib import Path

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database

TABLE = "{{ config(materialized='table') }}\n"
SLEEPS = TABLE + "SELECT 1 AS n, pg_sleep(60)::text AS s"
QUICK = TABLE + "SELECT 1 AS n"
BELOW = TABLE + "SELECT n FROM {{ ref('slow_a') }}"
AT_ONCE = 5.0
"""Seconds after which no statement may be left on the server."""


def duck(folder: Path, **models: str) -> DbtProject:
    database = Database.in_file(folder / "w.duckdb")
    files = {f"models/{name}.py" if "def model" in m else f"models/{name}.sql": m
             for name, m in models.items()}  # fmt: skip
    return DbtProject(folder / "project", database, files)
