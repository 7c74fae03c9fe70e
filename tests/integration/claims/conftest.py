"""Databases of transforms whose runs overlap, and a place for their claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.support.overlapping_runs import (
    prepare,
)
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database
from tests.support.stopped_runs import Place


@pytest.fixture
def databases(postgres: PostgresDatabase) -> Iterator[Callable[[], Database]]:
    """Makes further databases."""

    names: list[str] = []

    def make() -> Database:
        names.append(f"claims_{len(names)}_{id(names)}")
        postgres.execute(f'CREATE DATABASE "{names[-1]}"')
        return Database.in_postgres(replace(postgres, database=names[-1]))

    yield make
    for name in names:
        postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def place(postgres: PostgresDatabase) -> Iterator[Place]:
    found = Place(postgres)
    yield found
    found.drop()


@pytest.fixture
def database(postgres_database: PostgresDatabase) -> Database:
    found = Database.in_postgres(postgres_database)
    prepare(found)
    return found
