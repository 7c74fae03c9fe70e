"""dbt projects for runs on DuckDB and PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun
from tests.support.sqlmesh_projects import Database

TABLE = "{{ config(materialized='table') }}\n"
VIEW = "{{ config(materialized='view') }}\n"

BOTH = pytest.mark.parametrize(
    "database",
    ["duckdb", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])],
    indirect=True,
)


def project_of(database: Database, folder: Path, files: dict[str, str], **more: Any) -> DbtProject:
    given = {"schema": "main", "threads": 2, **more}
    return DbtProject(folder / "project", database, files, **given)


def results_of(run: DbtRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "run_results.json").read_text())
    return found


# -- hooks ------------------------------------------------------------------------------------

HOOKS: dict[str, Any] = {
    "on-run-start": ["create table if not exists main.log (what text)",
                     "insert into main.log values ('start')"],
    "on-run-end": ["insert into main.log values ('end {{ results | length }}')"],
}  # fmt: skip
TWO = {
    "models/a.sql": TABLE + "SELECT 1 AS n",
    "models/b.sql": TABLE + "SELECT n FROM {{ ref('a') }}",
}
