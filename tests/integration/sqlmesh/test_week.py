"""A simulated week of one project, built natively and through our walk: the same tables and state.

Both sides use the same database names, one after the other, because names are part of SQLMesh's
fingerprints; so even versions must be equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from dagster_transform.planning import Limits, Outcome
from dagster_transform.sqlmesh._compat import import_sqlmesh
from tests.support.sqlmesh_projects import Database, RunResult
from tests.support.week_features import FEATURES, Week, differences, unnamed
from tests.support.week_project import CHANGE, Databases, simulate, write

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

Audits = Counter[tuple[str, str]]


@pytest.fixture
def audits(monkeypatch: pytest.MonkeyPatch) -> Audits:
    """Counts the audits that SQLMesh really runs, by model and audit."""
    import_sqlmesh()
    from sqlmesh.core.snapshot import SnapshotEvaluator

    counted: Audits = Counter()
    run = SnapshotEvaluator._audit

    def counting(self: Any, **kwargs: Any) -> Any:
        arguments = sorted(f"{k}={v}" for k, v in kwargs["audit_args"].items() if k != "blocking")
        counted[kwargs["snapshot"].name, f"{kwargs['audit'].name}({', '.join(arguments)})"] += 1
        return run(self, **kwargs)

    monkeypatch.setattr(SnapshotEvaluator, "_audit", counting)
    return counted


def compare(
    tmp_path: Path,
    databases: Databases,
    audits: Audits,
    empty: Callable[[], None],
    nap: float = 0.0,
) -> list[RunResult]:
    """Both sides, one after the other in one place; returns our runs."""
    native = write(tmp_path / "native", databases, nap)

    def natively(instant: int, now: datetime) -> None:
        (native.plan_natively if instant in (0, CHANGE) else native.run_natively)(now)

    theirs = simulate(native, databases, natively, audits)
    week = Week(theirs)
    idle = [feature.name for feature in FEATURES if not feature.shows(week)]
    assert not idle, f"these make no difference in SQLMesh's own week: {idle}"
    assert not unnamed(theirs, all_kinds())

    empty()
    project = write(tmp_path / "ours", databases, nap)
    runs: list[RunResult] = []

    def through_our_walk(instant: int, now: datetime) -> None:
        plan = {"plan_mode": "auto"} if instant in (0, CHANGE) else {"ignore_cron": False}
        runs.append(project.run(now, limits=Limits(max_concurrent_models=8), **plan))

    ours = simulate(project, databases, through_our_walk, audits)
    assert not (found := differences(theirs, ours)), "\n".join(found)
    return runs


def all_kinds() -> set[str]:
    """The kinds of models that a project can have, by SQLMesh's own list."""
    from sqlmesh.core.model import ModelKindName

    elsewhere = {
        "SCD_TYPE_2",  # another name for SCD_TYPE_2_BY_TIME
        "DBT_CUSTOM",  # only in dbt projects
        "MANAGED",  # in development only, on these engines: test_equal.py
    }
    return {kind.value for kind in ModelKindName} - elsewhere


def look_at(runs: list[RunResult]) -> None:
    """The walk tells what it has done."""
    outcomes = [Counter(run.outcomes.values()) for run in runs]
    assert outcomes[0].keys() == {"backfilled", "checked", "promoted"}
    assert {n for n, o in runs[1].outcomes.items() if o == "built"} == {
        "stage.by_hour", "stage.partial", "mart.stamp"
    }  # fmt: skip
    assert outcomes[2].keys() == {"up_to_date"}
    assert runs[1].reason("mart.left") == "nothing is due by its cron '@daily'"
    assert runs[3].outcome("mart.after_signal") is Outcome.WAITING
    assert "signal" in runs[3].reason("mart.after_signal")
    assert runs[3].outcome("stage.pacific") is Outcome.UP_TO_DATE
    assert runs[4].outcome("stage.pacific") is Outcome.BUILT
    assert runs[5].outcome("mart.of_strict") is Outcome.BLOCKED
    assert runs[5].outcome("stage.fragile") is Outcome.FAILED
    assert outcomes[5]["blocked"] == 2
    assert runs[CHANGE].outcome("plan.added") is Outcome.BACKFILLED
    assert runs[CHANGE].outcome("plan.removed") is None
    failed = {name for name, result in runs[9].checks.items() if not result.passed}
    assert {"stage.by_day:nothing_late", "stage.named:at_most"} <= failed


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
def test_duckdb(tmp_path: Path, audits: Audits) -> None:
    files = [tmp_path / "week.duckdb", tmp_path / "beyond.duckdb"]

    def empty() -> None:
        for file in files:
            file.unlink()

    databases = Databases(*(Database.in_file(file) for file in files))
    look_at(compare(tmp_path, databases, audits, empty))


@contextmanager
def on_server(
    postgres: PostgresDatabase, workers: int
) -> Iterator[tuple[Databases, Callable[[], None]]]:
    """Two databases, and what empties them: neither connection sees the other's tables."""
    names = [f"{name}_{uuid4().hex[:8]}" for name in ("week", "beyond")]

    def drop() -> None:
        for name in names:
            postgres.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def empty() -> None:
        drop()
        for name in names:
            postgres.execute(f'CREATE DATABASE "{name}"')

    try:
        empty()
        connections = (replace(postgres, database=name) for name in names)
        yield Databases(*(Database.in_postgres(c, workers) for c in connections)), empty
    finally:
        drop()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.postgres
def test_postgres_with_one_worker(
    tmp_path: Path, postgres: PostgresDatabase, audits: Audits
) -> None:
    with on_server(postgres, workers=1) as (databases, empty):
        runs = compare(tmp_path, databases, audits, empty)
        look_at(runs)
        assert {run.most_at_once for run in runs} == {0, 1}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.postgres
def test_postgres_with_eight_workers(
    tmp_path: Path, postgres: PostgresDatabase, audits: Audits
) -> None:
    with on_server(postgres, workers=8) as (databases, empty):
        runs = compare(tmp_path, databases, audits, empty, nap=0.3)
        look_at(runs)
        assert max(run.most_at_once for run in runs) > 4
        # By the server's clock: how many batches of one model were built at the same moment.
        assert most_at_once(databases.main, "past") == 1
        assert most_at_once(databases.main, "two") == 2
        assert most_at_once(databases.main, "all") > 2


def most_at_once(database: Database, name: str) -> int:
    ends: list[tuple[datetime, int]] = []
    for began, ended in database.rows(f"SELECT began, ended FROM src.clock WHERE name = '{name}'"):
        ends += [(began, 1), (ended, -1)]
    assert ends
    now = most = 0
    for _, change in sorted(ends):
        now += change
        most = max(most, now)
    return most
