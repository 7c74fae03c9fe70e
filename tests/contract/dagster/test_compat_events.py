"""The private part of Dagster's event log on SQLite that a run's process makes faster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log

from dagster_transform.dagster import _compat, _compat_events
from dagster_transform.dagster._compat_events import KeptEngines


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptEngines]:
    monkeypatch.setattr(sqlite_event_log, "create_engine", sqlite_event_log.create_engine)
    monkeypatch.setattr(_compat_events.atexit, "register", lambda _: None)
    _compat_events.keep_engines()
    found = vars(sqlite_event_log)["create_engine"]
    assert isinstance(found, KeptEngines)
    yield found
    found.close()


@dg.multi_asset(
    specs=[dg.AssetSpec("a"), dg.AssetSpec("b")],
    check_specs=[dg.AssetCheckSpec("c", asset="a")],
)
def both(context):  # type: ignore[no-untyped-def]
    context.log.info("a line")
    yield dg.MaterializeResult("a", metadata={"n": 1})
    yield dg.MaterializeResult("b")
    yield dg.AssetCheckResult(asset_key="a", check_name="c", passed=False)


def stored(home: Path) -> list[tuple[str, str | None]]:
    """What an instance of its own, as another process has one, reads of a run."""
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = dg.materialize([both], instance=instance).run_id
        with dg.DagsterInstance.from_config(str(home)) as other:
            entries = other.all_logs(run)
            key = dg.AssetCheckKey(dg.AssetKey("a"), "c")
            assert other.get_latest_materialization_event(dg.AssetKey("b")) is not None
            summaries = other.event_log_storage.get_asset_check_summary_records([key])
            assert summaries[key].last_check_execution_record.status.value == "FAILED"
    return [(str(e.dagster_event_type or e.user_message), e.step_key) for e in entries]


def test_the_same_is_stored_with_kept_engines(tmp_path: Path, kept: KeptEngines) -> None:
    with_kept = stored(tmp_path / "kept")
    vars(sqlite_event_log)["create_engine"] = kept.make
    assert with_kept == stored(tmp_path / "plain")


def test_every_file_has_one_engine_and_stays_open_until_the_end(
    tmp_path: Path, kept: KeptEngines
) -> None:
    made: list[str] = []
    make = kept.make

    def count(url: str, **settings: Any) -> Any:
        made.append(url)
        return make(url, **settings)

    kept.make = count
    stored(tmp_path / "home")
    assert len(made) == len(set(made)) == 2, "the index of all runs, and the run's own"
    runs = tmp_path / "home" / "history" / "runs"
    assert len(list(runs.glob("*.db"))) == len(list(runs.glob("*.db-wal"))) == 2
    kept.close()
    assert list(runs.glob("*.db-wal")) == [], "whatever was written is in the files"
    assert len(list(runs.glob("*.db"))) == 2


def test_files_of_earlier_runs_are_let_go(tmp_path: Path, kept: KeptEngines) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        for _ in range(12):
            assert dg.materialize([both], instance=instance).success
    runs = tmp_path / "history" / "runs"
    assert len(list(runs.glob("*.db"))) == 13
    assert len(list(runs.glob("*.db-wal"))) <= 8


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
