"""Databases of both engines, as many as a test needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.sqlmesh_projects import Database

NewDatabase = Callable[[Path], Database]


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def new_database(request: pytest.FixtureRequest) -> Iterator[NewDatabase]:
    """Makes an empty database for a project in a folder: a DuckDB file there, or one of a
    PostgreSQL server's; the test is run once for each engine."""
    if request.param == "duckdb":
        yield lambda folder: Database.in_file(folder / "w.duckdb")
        return
    server, made = request.getfixturevalue("postgres"), []

    def make(_: Path) -> Database:
        name = f"test_{uuid4().hex[:12]}"
        server.execute(f'CREATE DATABASE "{name}"')
        made.append(name)
        return Database.in_postgres(replace(server, database=name))

    yield make
    for name in made:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
