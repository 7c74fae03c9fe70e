"""The values of claims, and where a store is found."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sqlalchemy import text, update

from dagster_transform.claims import (
    PendingNode,
    StoreUnreachableError,
    StoreVersionError,
    Timing,
    TimingError,
    UnknownStoreError,
    new_claim_id,
    open_store,
)
from dagster_transform.claims.store.schema import VERSION, version
from dagster_transform.graph import NodeId, UnitId
from tests.support.claims_stores import run, store_at, table


def test_a_lease_is_at_least_four_heartbeats() -> None:
    assert Timing(lease=60, heartbeat=15).patience < 15
    for values in ((60, 15.1, 2), (0, 0, 2), (60, 15, 0), (-60, -15, 2)):
        with pytest.raises(TimingError, match="four heartbeats"):
            Timing(*values)


def test_claims_are_imported_without_sqlalchemy() -> None:
    code = "import sys, dagster_transform.claims as c; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_one_store_for_each_place(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'down' / 'claims.db'}"
    store = open_store(url)
    assert open_store(url) is store
    assert open_store(url, Timing(lease=120)) is not store
    assert (tmp_path / "deep" / "down" / "claims.db").exists()
    store.close()


def test_a_store_in_memory_is_this_processs_own() -> None:
    timing = Timing(lease=61)  # no other test's
    store = open_store(None, timing)
    assert open_store(None, timing) is store
    assert not store.shared


@pytest.mark.parametrize("url", ["mysql://me:secret@host/db", "nonsense", "duckdb:///x", ""])
def test_other_databases_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(UnknownStoreError, match="sqlite:///path") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnreachableError, match="DAGSTER_TRANSFORM_CLAIMS_URL") as caught:
        open_store("postgresql://me:secret@127.0.0.1:1/db")
    assert "me:***@127.0.0.1:1/db" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "claims.db"
    path.write_bytes(b"this is not a database, and long enough to be one" * 100)
    with pytest.raises(StoreUnreachableError, match="not a database"):
        open_store(f"sqlite:///{path}")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UnknownStoreError, match="file"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'claims.db'}")


def test_tables_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'claims.db'}"
    store = store_at(url)
    with store._database.engine.begin() as connection:
        connection.execute(update(version).values(version=VERSION + 1))
    with pytest.raises(StoreVersionError, match="Upgrade") as caught:
        store_at(url)
    assert (caught.value.found, caught.value.known) == (VERSION + 1, VERSION)


def test_tables_of_an_older_version_are_upgraded_once_and_keep_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'claims.db'}"
    before = store_at(url)
    assert before.acquire(run(), [table("a")], claim_id=new_claim_id(), all_or_nothing=True).granted
    steps = []

    def add_column(connection) -> None:  # type: ignore[no-untyped-def]
        steps.append(1)
        connection.execute(text("ALTER TABLE dagster_transform_batch ADD COLUMN extra TEXT"))

    monkeypatch.setattr("dagster_transform.claims.store.schema.VERSION", VERSION + 1)
    monkeypatch.setattr("dagster_transform.claims.store.database.VERSION", VERSION + 1)
    monkeypatch.setattr("dagster_transform.claims.store.schema.UPGRADES", {VERSION: [add_column]})
    for _ in range(2):
        after = store_at(url)
    assert steps == [1]
    assert [holder.run_id for holder in after.holders()] == ["run"]


def test_tables_of_version_1_get_that_of_alerts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'claims.db'}"
    before = store_at(url)
    with before._database.engine.begin() as connection:  # as version 1 had made them
        connection.execute(text("DROP TABLE dagster_transform_told"))
        connection.execute(text("ALTER TABLE dagster_transform_pending DROP COLUMN recovery"))
        connection.execute(update(version).values(version=1))
    after = store_at(url)
    after.note([("mail", "p:a#failed")])
    assert [told.subject for told in store_at(url).noted()] == ["p:a#failed"]


def test_tables_of_version_2_keep_what_is_pending(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'claims.db'}"
    before = store_at(url)
    old, new = (
        PendingNode("g", "1", NodeId(UnitId("p:a"))),
        PendingNode("g", "2", NodeId(UnitId("p:a"))),
    )
    before.postpone([old])
    with before._database.engine.begin() as connection:  # as version 2 had made them
        connection.execute(text("ALTER TABLE dagster_transform_pending DROP COLUMN recovery"))
        connection.execute(update(version).values(version=2))
    began = datetime(2026, 11, 3, tzinfo=timezone.utc)
    after = store_at(url)
    after.postpone([replace(new, awaits=(NodeId(UnitId("p:b")),), began=began)])
    found = [(row.tick, row.awaits, row.began) for row in after.remembered()]
    assert found == [("1", (), None), ("2", ("p:b",), began)]
