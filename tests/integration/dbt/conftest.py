"""A database of each engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sqlmesh_projects import Database


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if getattr(request, "param", "duckdb") == "duckdb":
        return Database.in_file(tmp_path / "w.duckdb")
    return Database.in_postgres(request.getfixturevalue("postgres_database"))
