"""A SQLMesh project that is planned, and one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sqlmesh_project_runs import FILES, FIRST, MODELS, copy_of, prepare
from tests.support.sqlmesh_projects import Database, Project


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database in which the project was planned natively at FIRST."""
    folder = tmp_path_factory.mktemp("template")
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS, files=FILES)
    prepare(project.database)
    project.plan_natively(FIRST)
    return folder / "w.duckdb"


@pytest.fixture
def planned(template: Path, tmp_path: Path) -> Project:
    return copy_of(template, tmp_path)


@pytest.fixture
def unplanned(tmp_path: Path) -> Project:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS, files=FILES)
    prepare(project.database)
    return project
