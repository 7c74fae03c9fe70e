"""Runs of SQLMesh projects with several workers: side by side, a lost connection, cancel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.graph import Graph
from dagster_transform.planning import Limits, Outcome, plan_run
from dagster_transform.walk import Retrying, Started, Walk
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_project_runs import FIRST, NEXT_DAY, PROMOTION
from tests.support.sqlmesh_projects import Database, Project, utc

# -- PostgreSQL: side by side, a lost connection, cancel ------------------------------------------

pg = pytest.mark.postgres


def napping(seconds: float) -> str:
    """A model that tells, by the server's own clock, from when to when it was built."""
    return f"""
        kind FULL,
        columns (began TIMESTAMPTZ, nap TEXT, ended TIMESTAMPTZ)
        ---
        SELECT clock_timestamp() AS began, pg_sleep({seconds})::TEXT AS nap,
          clock_timestamp() AS ended
    """


def slow_by_table(database: Database) -> str:
    """A model that sleeps as long as a table says."""
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.slow (seconds INT)",
        "INSERT INTO src.slow VALUES (60)",
    )
    return """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 2),
        columns (ds DATE, nap TEXT)
        ---
        SELECT d::DATE AS ds, pg_sleep(CASE WHEN d = @start_ds::DATE AND @end_ds > '2024-03-03'
          THEN (SELECT seconds FROM src.slow) ELSE 0 END)::TEXT AS nap
        FROM GENERATE_SERIES(@start_ds::DATE, @end_ds::DATE, INTERVAL '1 day') AS s(d)
    """


SLEEPERS = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
    AND query ILIKE '%pg_sleep%' AND pid <> pg_backend_pid() AND wait_event = 'PgSleep'
"""


def wait_for(what: Callable[[], Any], seconds: float = 30) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")


def our_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("sqlmesh-")]


def spans_overlap(database: Database, names: list[str]) -> int:
    """The largest number of builds that were at work at one moment, by the server's clock."""
    spans = [database.rows(f"SELECT began, ended FROM {name}")[0] for name in names]
    return max(sum(b <= at < e for b, e in spans) for at, _ in spans)


@pg
def test_eight_workers_build_side_by_side_and_no_more_than_the_limit(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    names = [f"nap.m{i}" for i in range(8)]
    project = Project(tmp_path, database, {name: napping(1) for name in names})
    run = project.run(FIRST, plan_mode="auto", limits=Limits(max_concurrent_models=8))
    assert run.outcome(PROMOTION) is Outcome.PROMOTED, [e.reason for e in run.finished.values()]
    assert spans_overlap(database, names) > 4
    some = names[:4]
    run = project.run(NEXT_DAY, some, ignore_cron=False, limits=Limits(max_concurrent_models=3))
    assert {run.outcome(name) for name in some} == {Outcome.BUILT}
    assert spans_overlap(database, some) in (2, 3)
    assert run.most_at_once == 3


@pg
def test_a_lost_connection_is_tried_again(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    project = Project(tmp_path, database, {"nap.slow": slow_by_table(database)})

    def cut() -> None:
        ((pid,),) = wait_for(lambda: database.rows(SLEEPERS))
        database.execute("UPDATE src.slow SET seconds = 0", f"SELECT pg_terminate_backend({pid})")

    assert project.graph
    cutter = threading.Thread(target=cut)
    cutter.start()
    run = project.run(FIRST, plan_mode="auto")
    cutter.join()
    (retry,) = [event for event in run.events if isinstance(event, Retrying)]
    assert retry.report.transient
    assert "connection" in retry.report.reason
    assert "already closed" not in retry.report.reason  # what came first, not what followed
    assert [e.attempt for e in run.events if isinstance(e, Started)][:2] == [1, 2]
    assert run.outcome("nap.slow") is Outcome.BACKFILLED
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    # The first batch was in the state: the second attempt went on after it.
    assert run.report("nap.slow").details["intervals"] == "2024-03-03 to 2024-03-04"
    days = [row[0].day for row in database.content("nap.slow")]
    assert days == [1, 2, 3, 4]
    ((_, (interval,)),) = database.intervals().items()
    assert interval == (utc("2024-03-01").timestamp() * 1000, utc("2024-03-05").timestamp() * 1000)


@pg
def test_cancel_ends_statements_on_postgres(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    models = {
        "nap.a": napping(60),
        "nap.b": napping(60),
        "nap.c": "kind VIEW\n---\nSELECT nap FROM nap.a",
    }
    project = Project(tmp_path, database, models)
    walk = cancel_in_the_middle(project, lambda: len(database.rows(SLEEPERS)) == 2)
    for name in ("nap.a", "nap.b"):
        end = walk.finished[project.id(name)]
        assert end.report is not None  # it came back: the statement did end
        assert end.outcome is end.report.outcome is Outcome.CANCELLED
    for id in (project.id("nap.c"), PROMOTION):
        assert walk.finished[id].outcome is Outcome.CANCELLED
    others = (
        "SELECT pid, query FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    wait_for(lambda: not database.rows(others), seconds=3)  # a backend ends a moment later
    assert project.environment() is None


@pg
def test_closing_a_session_ends_what_still_runs(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    """The walk was never asked to cancel: somebody else's exception came in between."""
    database = Database.in_postgres(postgres_database)
    project = Project(tmp_path, database, {"nap.a": napping(60)})
    nodes = list(project.graph.nodes)
    project_run = project.project_run(FIRST, plan_mode="auto")
    plan = plan_run(project.graph, nodes, [], project_run.assess(nodes, []))
    project_run.open(list(plan.units.values()))
    events = Walk(plan, {project.name: project_run}).events()
    assert isinstance(next(events), Started)
    wait_for(lambda: database.rows(SLEEPERS))
    began = time.monotonic()
    project_run.close(completed=False)
    assert time.monotonic() - began < 2
    assert our_threads() == []
    wait_for(lambda: not database.rows(SLEEPERS), seconds=3)


def test_cancel_ends_statements_on_duckdb(tmp_path: Path) -> None:
    query = "SELECT SUM(a.range * b.range % 7) AS n FROM range(3000000) AS a, range(3000000) AS b"
    database = Database.in_file(tmp_path / "w.duckdb")
    project = Project(tmp_path / "p", database, {"nap.a": f"kind FULL\n---\n{query}"})
    asked: list[float] = []

    def a_while_later() -> bool:
        asked.append(time.monotonic())
        return asked[-1] - asked[0] > 1.5

    walk = cancel_in_the_middle(project, a_while_later)
    end = walk.finished[project.id("nap.a")]
    assert end.report is not None
    assert end.outcome is end.report.outcome is Outcome.CANCELLED
    assert project.environment() is None  # and the file can be opened


def cancel_in_the_middle(project: Project, begun: Callable[[], bool]) -> Walk:
    """Starts a run, cancels it once `begun`, and closes its project run."""
    nodes, checks = list(project.graph.nodes), list(project.graph.checks)
    project_run = project.project_run(FIRST, plan_mode="auto")
    try:
        plan = plan_run(project.graph, nodes, checks, project_run.assess(nodes, checks))
        project_run.open(list(plan.units.values()))
        walk = Walk(plan, {project.name: project_run})
        assert isinstance(next(walk.events()), Started)
        wait_for(begun)
        assert our_threads()
        began = time.monotonic()
        walk.cancel()
        seconds = time.monotonic() - began
    finally:
        project_run.close(completed=False)
    assert seconds < 2
    assert our_threads() == []
    return walk


@pg
def test_two_projects_are_built_side_by_side_in_one_walk(
    tmp_path: Path, postgres: PostgresDatabase, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    projects = {}
    for name in ("p", "q"):
        project = Project(tmp_path / name, database, name=name)
        text = (project.folder / "config.yaml").read_text()
        state_schema = f"  main:\n    state_schema: state_{name}\n"
        project.write({"config.yaml": text.replace("  main:\n", state_schema)})
        project.model(f"nap_{name}.a", napping(0.6))
        project.model(f"nap_{name}.b", f"kind VIEW\n---\nSELECT began, ended FROM nap_{name}.a")
        projects[name] = project
    graph = Graph.combine([p.graph for p in projects.values()])
    project_runs = {name: p.project_run(FIRST, plan_mode="auto") for name, p in projects.items()}
    readiness = {}
    for name, project_run in project_runs.items():
        mine = [n.id for n in graph.nodes.values() if n.project == name]
        readiness.update(project_run.assess(mine, []))
    plan = plan_run(graph, list(graph.nodes), [], readiness)
    for name, project_run in project_runs.items():
        project_run.open([u for u in plan.units.values() if u.project == name])
    walk = Walk(plan, project_runs)
    try:
        for _ in walk.events():
            pass
    finally:
        for project_run in project_runs.values():
            project_run.close(completed=True)
    assert [end for end in walk.finished.values() if not end.good] == []
    assert spans_overlap(database, ["nap_p.a", "nap_q.b"]) == 2
    assert our_threads() == []
