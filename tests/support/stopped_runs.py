"""Runs that are killed or stopped while they hold claims, or whose store goes away.

As in overlapping_runs, models wait at a gate that the test holds. What breaks is real: the store's
database takes no connections any more, and processes get signals.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.overlapping_runs import (
    BELOW,
    BOTH,
    FIRST,
    NEXT,
)
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

OPTIONS = {"execution_time": NEXT.isoformat(), "ignore_cron": False, "on_claimed": "wait"}
NAMES = ["shared.by_time", "two.below"]
MADE_BY_DBT = """
{{ config(materialized='incremental', incremental_strategy='append') }}
select id from src.events where (select gate.open() from (select 1) one)
"""
GONE = "postgresql+psycopg2://someone:geheim@/nowhere?host=/nonexistent"


class Place:
    """The database that claims are kept in."""

    def __init__(self, postgres: PostgresDatabase) -> None:
        self._server = postgres
        self.name = f"store_{uuid4().hex[:12]}"
        postgres.execute(f'CREATE DATABASE "{self.name}"')

    @property
    def url(self) -> str:
        return replace(self._server, database=self.name, password="geheim").url

    def goes(self) -> None:
        """Nobody is connected any more, and nobody can connect."""
        self._server.execute(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS false')
        self._server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'"
        )

    def comes_back(self) -> None:
        self._server.execute(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS true')

    def drop(self) -> None:
        self.comes_back()
        self._server.execute(f'DROP DATABASE "{self.name}" WITH (FORCE)')


def transform_of(
    folder: Path, database: Database, models: Any = None, **settings: Any
) -> Transform:
    models = models or {"shared.by_time": BOTH["shared.by_time"], **BELOW}
    project = Project(folder / "p", database, models)
    project.plan_natively(FIRST)
    transform = Transform(folder, [project], settings=settings)
    transform.prepare()
    return transform


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Beside the block, which runs in this thread as runs have to; its errors are raised."""
    errors: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        thread.join(100)
    if errors:
        raise errors[0]


def run_of(transform: Transform) -> str:
    """The id of the one run."""
    (run,) = transform.instance.get_runs()
    return run.run_id


def lines(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in record.getMessage() for record in caplog.records)


def waiting(database: Database, what: str) -> set[int]:
    """The server's processes that wait for a lock: `advisory`, those that execute a model's
    statement and wait at the gate; `relation`, those that want a table which another one has."""
    found = database.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        f"AND wait_event_type = 'Lock' AND wait_event = '{what}'"
    )
    return {pid for (pid,) in found}


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])


def assert_rows_of_one_run(database: Database) -> None:
    """Events of March 1 to 5, four a day, once each."""
    for name in NAMES:
        assert sorted(id for id, *_ in database.content(name)) == list(range(20)), name
