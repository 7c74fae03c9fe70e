"""The small parts of running dbt: arguments, memory, artifacts of runs, what may pass."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from dbt.adapters.exceptions import FailedToConnectError
from psycopg2 import errors

from dagster_transform.dbt.failures import is_transient
from dagster_transform.dbt.runs import folders as runs
from dagster_transform.dbt.runs.memory import OutOfMemoryError, memory_in_use, wait_for_memory
from dagster_transform.dbt.runs.settings import DbtSettings, arguments

# -- arguments ----------------------------------------------------------------------------------


def given(**settings: Any) -> tuple[str, ...]:
    return arguments(DbtSettings(Path("/p"), Path("/r"), "run", **settings))


def after(found: tuple[str, ...], name: str) -> str:
    return found[found.index(name) + 1]


def test_the_run_decides_and_writes() -> None:
    found = given()
    assert {"--no-fail-fast", "--cache-selected-only", "--no-write-json"} <= set(found)
    assert "--single-threaded" not in found
    assert not {"--select", "--exclude", "--selector"} & set(found)
    assert after(found, "--project-dir") == "/p"
    assert after(found, "--target-path") == "/r/run/target"
    assert after(found, "--log-path") == "/r/run"


@pytest.mark.parametrize(
    ("setting", "value", "name", "text"),
    [
        ("target", "prod", "--target", "prod"),
        ("profiles_dir", Path("/d"), "--profiles-dir", "/d"),
        ("threads", 3, "--threads", "3"),
        ("state", Path("/s"), "--state", "/s"),
        ("sample", "3 days", "--sample", "3 days"),
        ("parsed", Path("/m"), "--partial-parse-file-path", "/m"),
        ("vars", {"day": "2024-03-05", "n": 1}, "--vars", '{"day": "2024-03-05", "n": 1}'),
    ],
)
def test_an_option_is_given_if_and_only_if_it_is_set(
    setting: str, value: Any, name: str, text: str
) -> None:
    assert name not in given()
    assert after(given(**{setting: value}), name) == text


@pytest.mark.parametrize("switch", ["full_refresh", "defer", "favor_state", "empty"])
def test_a_switch_is_given_if_and_only_if_it_is_set(switch: str) -> None:
    name = f"--{switch.replace('_', '-')}"
    assert name not in given()
    assert name in given(**{switch: True})


# -- memory -------------------------------------------------------------------------------------


class Machine:
    """A machine whose use of memory is told in advance, and whose time passes by resting."""

    def __init__(self, *used: float) -> None:
        self.used = list(used)
        self.time = 0.0

    def wait(self, limit: float, patience: float) -> float:
        wait_for_memory(
            "p", limit, patience, in_use=self.in_use, now=lambda: self.time, rest=self.rest
        )
        return self.time

    def in_use(self) -> float:
        return self.used.pop(0) if len(self.used) > 1 else self.used[0]

    def rest(self, seconds: float) -> None:
        assert seconds > 0
        self.time += seconds


def test_with_memory_left_nothing_is_waited_for() -> None:
    assert Machine(0.5).wait(0.9, 60) == 0
    assert Machine(0.9).wait(0.9, 60) == 0


def test_memory_that_is_freed_is_waited_for() -> None:
    assert 0 < Machine(0.95, 0.95, 0.95, 0.5).wait(0.9, 60) < 5


def test_memory_that_is_not_freed_is_an_error_after_the_wait() -> None:
    machine = Machine(0.95)
    with pytest.raises(OutOfMemoryError) as told:
        machine.wait(0.9, 60)
    assert 60 <= machine.time < 62
    assert str(told.value).startswith(
        "Project p: 95% of the machine's memory was in use for 60 s, and dbt is started with at"
        " most 90%."
    )


def test_a_limit_of_all_memory_is_none() -> None:
    assert Machine(1.0).wait(1.0, 60) == 0


def test_the_machine_tells_a_share() -> None:
    assert 0 < memory_in_use() < 1


# -- artifacts ----------------------------------------------------------------------------------

BEGAN = datetime(2024, 3, 5, 6, tzinfo=timezone.utc)
FACTS = {"dbt_version": "1.11.16", "run_results": "R", "sources": "S", "args": {"which": "build"}}


def finished(folder: Path, at: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "run_results.json").write_text("{}")
    os.utime(folder / "run_results.json", (at, at))
    return folder


def test_nodes_and_sources_are_told_apart(tmp_path: Path) -> None:
    node, source = {"unique_id": "model.p.a"}, {"unique_id": "source.p.s.t"}
    ended = BEGAN + timedelta(seconds=90)
    runs.write_artifacts(tmp_path, [node, source], FACTS, "inv", began=BEGAN, ended=ended)
    results = json.loads((tmp_path / "run_results.json").read_text())
    assert results["results"] == [node]
    assert (results["elapsed_time"], results["args"]) == (90, {"which": "build"})
    assert results["metadata"] == {
        "dbt_schema_version": "R",
        "dbt_version": "1.11.16",
        "generated_at": "2024-03-05T06:01:30Z",
        "invocation_id": "inv",
        "invocation_started_at": "2024-03-05T06:00:00Z",
        "env": {},
    }
    sources = json.loads((tmp_path / "sources.json").read_text())
    assert (sources["results"], sources["metadata"]["dbt_schema_version"]) == ([source], "S")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run_results.json", "sources.json"]


def test_without_a_source_there_is_no_sources_json(tmp_path: Path) -> None:
    runs.write_artifacts(tmp_path, [], FACTS, "inv", began=BEGAN, ended=BEGAN)
    assert not (tmp_path / "sources.json").exists()


def test_a_run_that_is_over_keeps_its_sql(tmp_path: Path) -> None:
    finished(tmp_path / "r", 1)
    for path in ("target/compiled/p/a.sql", "target/run/p/a.sql", "target/graph.json", "dbt.err"):
        file = tmp_path / "r" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    named = f"error\n  compiled code at {tmp_path}/r/target/run/p/a.sql"
    kept = runs.kept_path(tmp_path / "r", named)
    runs.tidy(tmp_path / "r")
    left = {str(p.relative_to(tmp_path / "r")) for p in (tmp_path / "r").rglob("*") if p.is_file()}
    assert left == {"run_results.json", "compiled/p/a.sql"}
    assert Path(kept.rpartition(" ")[2]).read_text() == "target/compiled/p/a.sql"
    runs.tidy(tmp_path / "r")
    assert (tmp_path / "r/compiled/p/a.sql").exists()


def test_the_last_runs_are_kept_and_runs_that_go_on(tmp_path: Path) -> None:
    for number in range(5):
        finished(tmp_path / f"r{number}", at=1000 + number)
    (tmp_path / "going_on" / "target").mkdir(parents=True)
    now = datetime.now(timezone.utc)
    runs.prune(tmp_path, 2, now)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["going_on", "r3", "r4"]
    runs.prune(tmp_path, 0, now + timedelta(days=6))
    assert [p.name for p in tmp_path.iterdir()] == ["going_on"]
    runs.prune(tmp_path, 0, now + timedelta(days=8))
    assert list(tmp_path.iterdir()) == [], "it was killed"


def test_what_is_not_there_is_removed_without_an_error(tmp_path: Path) -> None:
    runs.prune(tmp_path / "nothing", 1, BEGAN)
    runs.tidy(tmp_path / "nothing")
    runs.remove(tmp_path / "nothing")


# -- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (None, False),
        (ValueError("OperationalError"), False),
        (psycopg2.OperationalError("server closed the connection"), True),
        (psycopg2.InterfaceError("connection already closed"), True),
        (errors.DeadlockDetected(), True),
        (errors.AdminShutdown(), True),
        (errors.QueryCanceled(), False),
        (errors.DiskFull(), False),
        (errors.DivisionByZero(), False),
        (duckdb.OperationalError("out of memory"), False),
        (duckdb.TransactionException("conflict on tuple"), True),
        (duckdb.IOException("Could not set lock on file"), True),
        (duckdb.IOException("No space left on device"), False),
        (FailedToConnectError("no route to host"), True),
    ],
    ids=repr,
)
def test_what_may_pass_is_known_by_its_driver(error: BaseException | None, transient: bool) -> None:
    assert is_transient(error) is transient


def test_the_driver_is_found_behind_what_dbt_raises() -> None:
    shown = RuntimeError("Database Error")
    shown.__cause__ = psycopg2.OperationalError("server closed the connection")
    assert is_transient(shown)
    circle = RuntimeError("a")
    circle.__cause__ = circle
    assert not is_transient(circle)
