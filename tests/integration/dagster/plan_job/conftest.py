"""A transform with one SQLMesh project, and one that is planned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.plan_jobs import FIRST, MODELS, QUICK, transform_of
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    """A project whose environment prod was never planned."""
    database = Database.in_file(tmp_path / "w.duckdb")
    project = Project(tmp_path / "p", database, MODELS, config=QUICK)
    transform = transform_of(tmp_path, project)
    yield transform
    transform.close()


@pytest.fixture
def planned(transform: Transform) -> Transform:
    """The same, planned by SQLMesh itself."""
    transform.projects[0].plan_natively(utc(FIRST))
    return transform
