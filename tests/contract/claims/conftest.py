"""A claims store of each kind, over memory, SQLite and PostgreSQL, and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from dagster_transform.claims.store.sql_store import SqlStore
from tests.support.claims_oracle import assert_sound
from tests.support.claims_stores import (
    Clock,
    store_at,
    url_of,
)

KINDS = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[SqlStore]:
    """A store whose history is sound after each test."""
    store = store_at(url_of(request.param, tmp_path, request), clock=clock)
    yield store
    assert_sound(store.events())
    with store._database.engine.begin() as connection:
        orphans = connection.scalar(
            text(
                "SELECT count(*) FROM dagster_transform_lease l FULL JOIN dagster_transform_batch b"
                " ON l.claim_id = b.claim_id WHERE l.claim_id IS NULL OR b.claim_id IS NULL"
            )
        )
    assert orphans == 0
    store.close()
