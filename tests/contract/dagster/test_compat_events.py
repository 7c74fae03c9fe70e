"""The private part of Dagster's event log on SQLite that a run's process makes faster."""

from __future__ import annotations

import multiprocessing
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.instance.runs.run_domain import RunDomain
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy.event import listen
from sqlalchemy.exc import IntegrityError

from dagster_transform.dagster import _compat, _compat_events
from dagster_transform.dagster._compat_events import KeptEngines

Rows = dict[str, list[tuple[Any, ...]]]
RUN = "8d7c0a5e-7d0b-4c5e-8d5b-3f0f4b6a2f10"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptEngines]:
    monkeypatch.setattr(sqlite_event_log, "create_engine", sqlite_event_log.create_engine)
    for name in ("_connect", "store_event", "has_table"):
        monkeypatch.setattr(SqliteEventLogStorage, name, getattr(SqliteEventLogStorage, name))
    monkeypatch.setattr(RunDomain, "_log_asset_planned_events", RunDomain._log_asset_planned_events)
    monkeypatch.setattr(_compat_events, "Finalize", lambda *_, **__: None)
    _compat_events.store_events_faster()
    found = vars(sqlite_event_log)["create_engine"]
    assert isinstance(found, KeptEngines)
    yield found
    found.close()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as found:
        yield found


def run_in_a_process(home: str) -> list[str]:
    """A run, in a process that stores faster; the files that are there before it ends."""
    _compat_events.store_events_faster()
    with dg.DagsterInstance.from_config(home) as instance:
        assert dg.materialize([both], instance=instance).success
    return sorted(path.suffix for path in Path(home, "history", "runs").iterdir())


@dg.multi_asset(
    specs=[dg.AssetSpec("a"), dg.AssetSpec("b")],
    check_specs=[dg.AssetCheckSpec("c", asset="a")],
)
def both(context):  # type: ignore[no-untyped-def]
    context.log.info("a line")
    yield dg.MaterializeResult("a", metadata={"n": 1})
    yield dg.MaterializeResult("b")
    yield dg.AssetCheckResult(asset_key="a", check_name="c", passed=False)


@dg.multi_asset_check(specs=[dg.AssetCheckSpec(f"c{n:02}", asset="a") for n in range(40)])
def many(context):  # type: ignore[no-untyped-def]
    for spec in sorted(context.selected_asset_check_keys):
        yield dg.AssetCheckResult(
            asset_key="a", check_name=spec.name, passed=spec.name != "c07", metadata={"rows": 2}
        )


def execute(instance: dg.DagsterInstance) -> str:
    """A run of the same id in each instance, of assets and checks; its id."""
    job = dg.Definitions(assets=[both], asset_checks=[many], jobs=[dg.define_asset_job("job", "*")])
    ended = job.resolve_job_def("job").execute_in_process(
        instance=instance, run_id=RUN, raise_on_error=False
    )
    return ended.run_id


def folder(instance: dg.DagsterInstance) -> Path:
    """Where the events' files are."""
    return Path(instance.root_directory, "history", "runs")


def rows(instance: dg.DagsterInstance) -> Rows:
    """All that is in the events' files, but for moments and for ids that are made anew."""
    found: Rows = {}
    for file in sorted(folder(instance).glob("*.db")):
        with closing(sqlite3.connect(file)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in names.fetchall():
                all_of_it = connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall()
                found[f"{file.name}: {name}"] = [
                    tuple(map(without_moments, row)) for row in all_of_it
                ]
    return found


def without_moments(value: Any) -> Any:
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?", "then", str(value))
    text = re.sub(r"(\d+\.\d+(e-?\d+)?|\d+(?=ms))(m?s\b)?", "n", text)
    text = re.sub(r'pid: \d+|"pid": "?\d+|"log_key": "\w+"', "any", text)
    mine = text.count(RUN)
    return re.sub(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", "an id", text), mine


def anew(tmp_path: Path, name: str, do: Callable[[dg.DagsterInstance], Any]) -> Rows:
    """What there is after something was done in an instance of its own."""
    home = tmp_path / name
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        do(instance)
        return rows(instance)


@pytest.mark.parametrize("longest", [60.0, 0.0], ids=["at once", "in parts"])
def test_all_rows_of_all_tables_are_dagsters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, longest: float
) -> None:
    monkeypatch.setattr(_compat_events, "_LONGEST", longest)
    plain = anew(tmp_path, "plain", execute)
    request.getfixturevalue("kept")
    faster = anew(tmp_path, "faster", execute)
    assert faster.keys() == plain.keys()
    for table, its_rows in plain.items():
        assert faster[table] == its_rows, table
    counts = {table: len(its_rows) for table, its_rows in plain.items()}
    assert counts["index.db: asset_check_executions"] == 41
    assert counts["index.db: asset_keys"] == 2


def test_another_instance_reads_at_once_what_is_stored(
    instance: dg.DagsterInstance, kept: KeptEngines
) -> None:
    run = execute(instance)
    with dg.DagsterInstance.from_config(instance.root_directory) as other:
        assert len(other.all_logs(run)) == len(instance.all_logs(run))
        key = dg.AssetCheckKey(dg.AssetKey("a"), "c07")
        summaries = other.event_log_storage.get_asset_check_summary_records([key])
        assert summaries[key].last_check_execution_record.status.value == "FAILED"


def test_planned_checks_are_one_transaction_in_each_file(
    instance: dg.DagsterInstance, kept: KeptEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_compat_events, "_LONGEST", 60.0)
    committed: list[str] = []
    make, log_planned = kept.make, RunDomain._log_asset_planned_events

    def note(connection: Any) -> None:
        if planning:
            committed.append(Path(connection.engine.url.database).stem)

    def noted(url: str, **settings: Any) -> Any:
        engine = make(url, **settings)
        listen(engine, "commit", note)
        return engine

    def plan(*args: Any, **kwargs: Any) -> None:
        planning.append(True)
        log_planned(*args, **kwargs)
        planning.clear()

    planning: list[bool] = []
    kept.make = noted
    monkeypatch.setattr(RunDomain, "_log_asset_planned_events", plan)
    run = execute(instance)
    assert committed.count("index") <= 3, "one, and two empty ones with which it is opened"
    assert committed.count(run) < 10, "one, and those in which Dagster makes the file"


def refuse_checks(instance: dg.DagsterInstance) -> None:
    """A run, then evaluations that the index does not take."""
    run = execute(instance)
    with closing(sqlite3.connect(folder(instance) / "index.db")) as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON asset_check_executions "
            "BEGIN SELECT RAISE(ABORT, 'not taken'); END"
        )
        connection.commit()
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    entry = instance.all_logs(run, of_type=kind)[0]
    with pytest.raises(IntegrityError, match="not taken"):
        instance.event_log_storage.store_event(entry)
    with closing(sqlite3.connect(folder(instance) / "index.db")) as connection:
        connection.execute("DROP TRIGGER no")
        connection.commit()
    instance.event_log_storage.store_event(entry)


def test_what_the_index_does_not_take_is_stored_as_dagster_does(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plain = anew(tmp_path, "plain", refuse_checks)
    request.getfixturevalue("kept")
    assert anew(tmp_path, "faster", refuse_checks) == plain


def test_other_threads_store_meanwhile(
    instance: dg.DagsterInstance, kept: KeptEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the other, for no longer than a transaction takes."""
    run = execute(instance)
    built = instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)[0]
    evaluated = instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    ends = threading.Event()
    stored = 0

    def store() -> None:
        nonlocal stored
        while not ends.is_set():
            instance.event_log_storage.store_event(built)
            stored += 1

    before = len(instance.all_logs(run))
    thread = threading.Thread(target=store)
    thread.start()
    began = time.monotonic()
    for event in evaluated:
        instance.event_log_storage.store_event(event)
    ends.set()
    thread.join()
    assert time.monotonic() - began < 20
    assert len(instance.all_logs(run)) == before + stored + len(evaluated)


_FORK = """
import os, sys
import dagster as dg
from dagster_transform.dagster import _compat_events

_compat_events.store_events_faster()

@dg.asset
def a(): ...

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    assert dg.materialize([a], instance=instance).success
    child = os.fork()
    if child == 0:
        assert dg.materialize([a], instance=instance).success
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert dg.materialize([a], instance=instance).success
    runs = instance.get_run_ids()
    assert len(runs) == 3 and all(len(instance.all_logs(run)) > 5 for run in runs)
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    found = instance.fetch_materializations(dg.AssetKey("a"), limit=9).records
    assert len(found) == 3, found
"""


def test_a_fork_has_connections_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK, str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for file in (tmp_path / "history" / "runs").glob("*.db"):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_files_that_were_deleted_are_made_anew(
    instance: dg.DagsterInstance, kept: KeptEngines
) -> None:
    execute(instance)
    execute_again = [execute, lambda i: i.wipe(), execute]
    instance.wipe()
    for do in execute_again:
        do(instance)
    run = instance.get_run_ids()[0]
    with dg.DagsterInstance.from_config(instance.root_directory) as other:
        assert len(other.all_logs(run)) > 80


def test_every_file_has_one_engine_and_stays_open_until_the_end(
    instance: dg.DagsterInstance, kept: KeptEngines
) -> None:
    made: list[str] = []
    make = kept.make

    def count(url: str, **settings: Any) -> Any:
        made.append(url)
        return make(url, **settings)

    kept.make = count
    execute(instance)
    files = set(made)
    assert len(files) == 2, "the index of all runs, and the run's own"
    assert all(made.count(file) <= 2 for file in files), "once to make it, once for good"
    runs = folder(instance)
    assert len(list(runs.glob("*.db"))) == len(list(runs.glob("*.db-wal"))) == 2
    kept.close()
    assert list(runs.glob("*.db-wal")) == [], "whatever was written is in the files"
    assert len(list(runs.glob("*.db"))) == 2


def test_connections_have_dagsters_settings_whatever_was_open_before(
    instance: dg.DagsterInstance, request: pytest.FixtureRequest
) -> None:
    """Dagster has used the index before a run's process loads our definitions."""

    def busy_timeout() -> int:
        with storage.index_connection() as connection:
            return int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar())

    storage: Any = instance.event_log_storage
    natively = busy_timeout()
    kept = request.getfixturevalue("kept")
    pools: list[Any] = []
    make = kept.make

    def note(url: str, **settings: Any) -> Any:
        engine = make(url, **settings)
        pools.append(type(engine.pool))
        return engine

    kept.make = note
    execute(instance)
    assert busy_timeout() == natively
    assert {pool.__name__ for pool in pools} == {"NullPool", "_OneConnection"}
    kept.close()
    assert list(folder(instance).glob("*.db-wal")) == []


def test_files_of_earlier_runs_are_let_go(tmp_path: Path, kept: KeptEngines) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        for _ in range(12):
            assert dg.materialize([both], instance=instance).success
    runs = tmp_path / "history" / "runs"
    assert len(list(runs.glob("*.db"))) == 13
    assert len(list(runs.glob("*.db-wal"))) <= 8


def test_a_process_of_a_code_server_closes_them_when_it_ends(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        before = pool.submit(run_in_a_process, str(tmp_path)).result()
    assert before.count(".db-wal") == before.count(".db") == 2
    after = [path.suffix for path in (tmp_path / "history" / "runs").iterdir()]
    assert after == [".db", ".db"]


def test_what_checks_judge_is_looked_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [dg.AssetKey(name) for name in ("a", "b", "never")]
    asked: list[list[dg.AssetKey]] = []
    get_asset_records = dg.DagsterInstance.get_asset_records

    def note(instance: dg.DagsterInstance, keys: Any = None) -> Any:
        asked.append(list(keys))
        return get_asset_records(instance, keys)

    @dg.multi_asset_check(specs=[dg.AssetCheckSpec("c", asset=key) for key in keys])
    def checks(context):  # type: ignore[no-untyped-def]
        assert _compat.is_only_step(context)
        _compat.look_up_materializations(context, keys)
        for key in keys:
            yield dg.AssetCheckResult(asset_key=key, check_name="c", passed=True)

    with dg.DagsterInstance.ephemeral() as instance:
        made = dg.materialize([both], instance=instance, raise_on_error=False).run_id
        monkeypatch.setattr(dg.DagsterInstance, "get_asset_records", note)
        job = dg.Definitions(
            asset_checks=[checks],
            jobs=[dg.define_asset_job("j", selection=dg.AssetSelection.all_asset_checks())],
        ).resolve_job_def("j")
        result = job.execute_in_process(instance=instance)
        stored = result.get_asset_check_evaluations()
    assert [sorted(keys) for keys in asked] == [sorted(keys)]
    found = {e.asset_key: e.target_materialization_data for e in stored}
    assert {key: at is not None and at.run_id for key, at in found.items()} == {
        keys[0]: made, keys[1]: made, keys[2]: False
    }  # fmt: skip
