"""A database for dbt projects, and nobody else's profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sqlmesh_projects import Database


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No profile of the person who runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DBT_PROFILES_DIR", "DAGSTER_IS_DEV_CLI", "DAGSTER_TRANSFORM_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.in_file(tmp_path / "w.duckdb")
