"""The private part of Dagster's storage on PostgreSQL with which a run keeps connections."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from dagster_transform.dagster._compat_connections import keep_connections
from tests.support.postgres import PostgresDatabase
from tests.support.processes import fork

pytestmark = pytest.mark.postgres
RUN = "8d7c0a5e-7d0b-4c5e-8d5b-3f0f4b6a2f10"
MANY = 8
"""So many connections are not made for the events of `both`; before 1.13 Dagster leaves some to the
garbage collector. How many are made with the Dagster of the lock: `test_events_of_runs`."""
MATERIALIZED = dg.DagsterEventType.ASSET_MATERIALIZATION


@pytest.fixture
def instance(tmp_path: Path, postgres_database: PostgresDatabase) -> Iterator[dg.DagsterInstance]:
    with opened(tmp_path, postgres_database) as found:
        yield found


@contextmanager
def opened(folder: Path, database: PostgresDatabase) -> Iterator[dg.DagsterInstance]:
    text = f"storage: {{postgres: {{postgres_url: '{database.url}'}}}}\n"
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{text}", encoding="utf-8")
    with dg.DagsterInstance.from_config(str(folder)) as found:
        yield found


@pytest.fixture
def connects() -> Iterator[list[Any]]:
    """One entry for each connection that SQLAlchemy makes meanwhile."""
    made: list[Any] = []

    def note(connection: Any, _: Any) -> None:
        made.append(connection)

    event.listen(Pool, "connect", note)
    yield made
    event.remove(Pool, "connect", note)


@dg.multi_asset(
    specs=[dg.AssetSpec("a"), dg.AssetSpec("b")],
    check_specs=[dg.AssetCheckSpec("c", asset="a")],
)
def both(context):  # type: ignore[no-untyped-def]
    context.log.info("a line")
    context.log_event(dg.AssetObservation("a"))
    yield dg.MaterializeResult("a", metadata={"n": 1})
    yield dg.MaterializeResult("b")
    yield dg.AssetCheckResult(asset_key="a", check_name="c", passed=False)


def stored(instance: dg.DagsterInstance) -> list[Any]:
    """The events of a run that can be stored again: nobody plans a check twice."""
    found = instance.all_logs(dg.materialize([both], instance=instance).run_id)
    return [e for e in found if "PLANNED" not in str(e.dagster_event_type)]


def test_what_is_stored_makes_no_connection(
    instance: dg.DagsterInstance, connects: list[Any]
) -> None:
    events = stored(instance)
    assert {MATERIALIZED, dg.DagsterEventType.ASSET_CHECK_EVALUATION} < {
        each.dagster_event_type for each in events
    }
    connects.clear()
    for each in events:
        instance.event_log_storage.store_event(each)
    assert len(connects) > len(events), "as Dagster has it"
    keep_connections(instance)
    keep_connections(instance)  # each op of a run says it
    before = len(instance.all_logs(events[0].run_id))
    connects.clear()
    for each in [*events, *events]:
        instance.event_log_storage.store_event(each)
    assert 1 <= len(connects) < MANY < len(events), "one has read what was there before"
    assert len(instance.all_logs(events[0].run_id)) == before + 2 * len(events)


def test_a_connection_that_the_server_has_closed_is_made_anew(
    instance: dg.DagsterInstance, connects: list[Any], postgres_database: PostgresDatabase
) -> None:
    events = stored(instance)
    keep_connections(instance)
    instance.event_log_storage.store_event(events[0])
    postgres_database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    connects.clear()
    before = len(instance.all_logs(events[0].run_id))
    for each in events:
        instance.event_log_storage.store_event(each)
    assert 1 <= len(connects) < MANY
    assert len(instance.all_logs(events[0].run_id)) == before + len(events)


def test_a_fork_has_connections_of_its_own(
    instance: dg.DagsterInstance, connects: list[Any]
) -> None:
    events = stored(instance)
    keep_connections(instance)
    instance.event_log_storage.store_event(events[0])
    (mine,) = {connection.info.backend_pid for connection in connects[-1:]}

    def store_there() -> None:
        connects.clear()
        for each in events:
            instance.event_log_storage.store_event(each)
        assert mine not in {connection.info.backend_pid for connection in connects}
        assert 2 <= len(connects) < MANY, "as many as there are at once: none is the parent's"

    before = len(instance.all_logs(events[0].run_id))
    assert fork(store_there).wait() == 0
    connects.clear()
    instance.event_log_storage.store_event(events[0])
    assert connects == [], "the fork has not closed it"
    assert len(instance.all_logs(events[0].run_id)) == before + len(events) + 1


def test_what_keeps_its_own_or_is_in_files_is_left_alone(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    storage: Any = instance.event_log_storage
    storage.optimize_for_webserver(statement_timeout=500, pool_recycle=60, max_overflow=1)
    before = storage._engine.pool
    keep_connections(instance)
    assert storage._engine.pool is before
    home = tmp_path / "files"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as files:
        keep_connections(files)
        assert dg.materialize([both], instance=files, raise_on_error=False).success
    with dg.DagsterInstance.ephemeral() as nowhere:
        keep_connections(nowhere)
        assert dg.materialize([both], instance=nowhere, raise_on_error=False).success


def test_a_process_without_us_reads_what_is_stored(
    instance: dg.DagsterInstance, postgres_database: PostgresDatabase
) -> None:
    keep_connections(instance)
    run = dg.materialize([both], instance=instance).run_id

    def read() -> None:
        home = Path(instance.root_directory) / f"other_{os.getpid()}"
        with opened(home, postgres_database) as other:
            assert len(other.all_logs(run)) == len(instance.all_logs(run))

    assert fork(read).wait() == 0
