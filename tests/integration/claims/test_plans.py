"""A plan beside runs of other environments: what it does to tables that they share, it claims."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.overlapping_runs import GATED, at_the_gate, closed, ended, held, prepare
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform
from tests.support.waiting import until

FIRST, LATER = utc("2024-03-05 10:30"), utc("2024-03-08 10:30")
DAYS = (
    "kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1, batch_concurrency 1), "
    f"start '2024-03-01'\n---\n{GATED} AND moment::DATE BETWEEN @start_ds AND @end_ds"
)
NARROWER = DAYS.replace("SELECT id, moment, moment::DATE AS ds", "SELECT id, moment::DATE AS ds")


@contextmanager
def two_environments(folder: Path, database: Database) -> Iterator[tuple[Transform, Transform]]:
    """Production and development, each in a Dagster of its own, with one table and one store of
    claims; production's files have a column less."""
    prepare(database)
    models = {"mart.days": DAYS}
    prod = Project(folder / "a" / "p", database, models)
    dev = Project(folder / "b" / "p", database, models, environment="dev")
    prod.plan_natively(FIRST)
    dev.plan_natively(FIRST, "dev", include_unmodified=True)
    claims = {"claims_url": f"sqlite:///{folder / 'claims.db'}"}
    transforms = [
        Transform(folder / name, [project], settings=claims)
        for name, project in (("a", prod), ("b", dev))
    ]
    for transform in transforms:
        transform.prepare()
    prod.model("mart.days", NARROWER)
    with closing(transforms[0]), closing(transforms[1]):
        yield transforms[0], transforms[1]


def columns(database: Database, relation: str) -> set[str]:
    schema, name = relation.split(".")
    found = database.rows(
        "SELECT column_name FROM information_schema.columns "
        f"WHERE table_schema = '{schema}' AND table_name = '{name}'"
    )
    return {column for (column,) in found}


def change_tables(prod: Transform, **options: Any) -> Any:
    """A plan without a backfill: it only takes a column out of the table that is there."""
    asked = {"forward_only": True, "allow_destructive_models": ["mart.days"], "skip_tests": True}
    options = {"execution_time": FIRST.isoformat(), **options}
    return prod.job("p_plan", {"apply": True, **asked}, **options)


def waits(prod: Transform, run: str) -> bool:
    """Whether a plan waits, or has waited, for what a run has."""
    lines = [line for story in prod.stories() for line in story.log]
    return any("Waiting for table:" in line and f"run {run} has" in line for line in lines)


def open_when_waiting(prod: Transform, run: str, let_in: Callable[[], None]) -> None:
    """Open the gate when the plan waits for the run; or when its statement waits in the database,
    where it should not be yet."""
    in_the_database = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%'"
    )
    database = prod.projects[0].database
    until(lambda: waits(prod, run) or bool(database.rows(in_the_database)), "a plan to wait", 60)
    let_in()


@pytest.mark.postgres
def test_a_plan_changes_a_table_when_the_run_of_another_environment_is_done_with_it(
    tmp_path: Path,
    databases: Callable[[], Database],
) -> None:
    database = databases()
    with two_environments(tmp_path, database) as (prod, dev):
        at = {"execution_time": LATER.isoformat(), "ignore_cron": False}
        with closed(database) as let_in, dev.launched(["mart.days"], **at) as run:
            until(lambda: at_the_gate(database), "the run to be at its first day", 60)
            gatekeeper = threading.Thread(target=lambda: open_when_waiting(prod, run, let_in))
            gatekeeper.start()
            tick = change_tables(prod, on_claimed="skip")
            plan = change_tables(prod)
            gatekeeper.join(60)
            story = ended(dev, run)
        assert "is what it was" in tick.failure
        assert any(f"claimed: run {run} has" in line and ": table:" in line for line in tick.log)
        assert waits(prod, run)
        assert story.success, story.text[-3000:]
        assert plan.success, plan.text[-3000:]
        assert columns(database, "mart.days") == {"id", "ds"}
        # All of its three days, though the table has changed since.
        assert sorted(n for n, _ in database.content("mart.days")) == list(range(28))
        assert not held(prod)
