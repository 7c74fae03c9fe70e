"""dbt processes and databases that fail, hang or go away, with real queries in flight.

Whatever happens: each start is answered once, what the database has is told as built and nothing
else is, and neither a process nor a statement is left behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from time import monotonic

import pytest

from dagster_transform.dbt.errors import DbtRunError
from dagster_transform.planning import Outcome
from dagster_transform.walk import Report
from tests.support.dbt_faults import AT_ONCE, BELOW, QUICK, SLEEPS, TABLE, duck
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import DbtRun, queries, sessions
from tests.support.postgres import PostgresDatabase
from tests.support.processes import alive
from tests.support.sqlmesh_projects import Database
from tests.support.waiting import until

pytestmark = pytest.mark.crash


def project_of(folder: Path, database: PostgresDatabase, **models: str) -> DbtProject:
    files = {f"models/{name}.sql": text for name, text in models.items()}
    return DbtProject(
        folder / "project", Database.in_postgres(database), files, schema="public", threads=4
    )


@pytest.fixture
def slow(tmp_path: Path, postgres_database: PostgresDatabase) -> DbtProject:
    """Two queries of a minute each, a quick one, and one that waits for a slow one."""
    return project_of(
        tmp_path, postgres_database, quick=QUICK, slow_a=SLEEPS, slow_b=SLEEPS, below=BELOW
    )


def in_flight(run: DbtRun, database: PostgresDatabase) -> None:
    """Walk until the quick model is built and both slow queries are on the server."""
    quick = run.result.names["quick"]
    run.walk_until(lambda: quick in run.walk.finished and len(queries(database)) == 2)


@pytest.mark.postgres
def test_cancel_ends_queries_and_process(
    slow: DbtProject, postgres_database: PostgresDatabase
) -> None:
    run = DbtRun(slow).open()
    in_flight(run, postgres_database)
    assert len(sessions(postgres_database)) >= 2
    began = monotonic()
    run.cancel()
    assert monotonic() - began < AT_ONCE
    assert queries(postgres_database) == []
    result = run.close(completed=False)
    assert monotonic() - began < AT_ONCE
    assert result.outcomes == {
        "quick": "built",
        "slow_a": "cancelled",
        "slow_b": "cancelled",
        "below": "cancelled",
    }
    assert result.report("slow_a").reason == "cancelled"
    assert not alive(run.pid)
    assert sessions(postgres_database) == []
    assert slow.database.tables("public") == {"public.quick"}


@pytest.mark.postgres
def test_one_node_is_cancelled_and_its_siblings_go_on(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    project = project_of(
        tmp_path,
        postgres_database,
        slow_a=SLEEPS,
        slow_b=TABLE + "SELECT pg_sleep(2)::text AS s",
        after=QUICK,
    )
    run = DbtRun(project).open()
    slow_a, slow_b = run.start("slow_a"), run.start("slow_b")
    until(lambda: len(queries(postgres_database)) == 2, "both queries")
    run.project_run.cancel(run.result.names["slow_a"])
    until(lambda: slow_a, "the cancelled one's report", AT_ONCE)
    assert slow_a[0].outcome is Outcome.CANCELLED
    assert len(queries(postgres_database)) == 1
    after = run.start("after")
    until(lambda: slow_b and after, "the others' reports")
    assert (slow_b[0].outcome, after[0].outcome) == (Outcome.BUILT, Outcome.BUILT)
    run.close()
    assert project.database.tables("public") == {"public.slow_b", "public.after"}
    entries = {
        e["unique_id"]: (e["status"], e["message"])
        for e in json.loads((run.folder / "run_results.json").read_text())["results"]
    }
    assert entries["model.shop.slow_a"] == ("error", "cancelled")
    assert entries["model.shop.slow_b"][0] == "success"


@pytest.mark.postgres
def test_a_node_that_waits_for_a_thread_is_cancelled_without_being_begun(
    slow: DbtProject, postgres_database: PostgresDatabase
) -> None:
    run = DbtRun(slow, threads=1).open()
    running = run.start("slow_a")
    until(lambda: queries(postgres_database), "the query")
    waiting = run.start("slow_b")
    run.project_run.cancel(run.result.names["slow_b"])
    run.project_run.cancel(run.result.names["slow_a"])
    until(lambda: running and waiting, "both reports", AT_ONCE)
    assert {r[0].outcome for r in (running, waiting)} == {Outcome.CANCELLED}
    run.close(completed=False)
    assert slow.database.tables("public") == set()


@pytest.mark.postgres
def test_a_killed_process_is_told_node_by_node(
    slow: DbtProject, postgres_database: PostgresDatabase
) -> None:
    """What was built stays built; what was in flight failed; the server goes on with nothing."""
    run = DbtRun(slow).open()
    in_flight(run, postgres_database)
    os.kill(run.pid, signal.SIGKILL)
    killed = monotonic()
    until(lambda: not queries(postgres_database), "the end of the queries", AT_ONCE)
    for _ in run.events():
        pass
    assert monotonic() - killed < AT_ONCE
    with pytest.raises(DbtRunError, match="can't end its run: dbt's process was killed by SIGKILL"):
        run.close()
    result = run.result
    assert run.told() == {
        "quick": "built",
        "slow_a": "failed",
        "slow_b": "failed",
        "below": "blocked",
    }
    for name in ("slow_a", "slow_b"):
        assert "dbt's process was killed by SIGKILL" in result.reason(name)
        assert result.report(name).transient is False
    assert slow.database.tables("public") == {"public.quick"}
    assert sessions(postgres_database) == []


@pytest.mark.postgres
def test_after_a_kill_every_further_start_fails_with_the_reason(
    slow: DbtProject, postgres_database: PostgresDatabase
) -> None:
    run = DbtRun(slow).open()
    os.kill(run.pid, signal.SIGKILL)
    until(lambda: not alive(run.pid), "the end of the process")
    first = run.start("quick")
    until(lambda: first, "a report")
    again = run.start("quick")
    until(lambda: again, "a report")
    for report in (first[0], again[0]):
        assert report.outcome is Outcome.FAILED
        assert "SIGKILL" in report.reason
    run.close(completed=False)


def test_a_run_that_can_not_take_a_report_is_not_waited_for(tmp_path: Path) -> None:
    run = DbtRun(duck(tmp_path, one=QUICK)).open()

    def refuse(report: Report) -> None:
        raise RuntimeError("the walk is broken")

    run.project_run.start(run.plan.units[run.result.names["one"]], refuse)
    until(lambda: not alive(run.pid), "the end of the process")
    with pytest.raises(DbtRunError, match="the walk is broken"):
        run.project_run.close(completed=True)


@pytest.mark.postgres
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_told_to_end_from_outside_ends_its_queries(
    slow: DbtProject, postgres_database: PostgresDatabase, number: signal.Signals
) -> None:
    run = DbtRun(slow).open()
    in_flight(run, postgres_database)
    os.kill(run.pid, number)
    until(lambda: not queries(postgres_database), "the end of the queries", AT_ONCE)
    for _ in run.events():
        pass
    with pytest.raises(DbtRunError, match=f"can't end its run: .*{number.name}"):
        run.close()
    result = run.result
    assert run.told()["quick"] == "built"
    assert run.told()["slow_a"] == run.told()["slow_b"] == "failed"
    assert f"dbt's process was told to end ({number.name})" in result.reason("slow_a")
    assert not alive(run.pid)


@pytest.mark.postgres
def test_a_process_that_hangs_is_killed_when_the_run_ends(
    slow: DbtProject, postgres_database: PostgresDatabase
) -> None:
    run = DbtRun(slow, grace=1.0).open()
    in_flight(run, postgres_database)
    os.kill(run.pid, signal.SIGSTOP)
    began = monotonic()
    run.project_run.close(completed=False)
    assert monotonic() - began < AT_ONCE
    assert not alive(run.pid)
    assert queries(postgres_database) == []
    assert sessions(postgres_database) == []
    assert run.project_run.reports == run.project_run.starts


PARENT = """
    import sys
    from pathlib import Path
    from dagster_transform.config import DbtProject
    from dagster_transform.dbt.runs.project_run import DbtProjectRun
    from dagster_transform.dbt.runs.settings import DbtSettings, RunFolder
    from dagster_transform.graph import Graph, Node, Relation
    from dagster_transform.planning import Unit, UnitKind

    folder, model = Path(sys.argv[1]), "model.shop." + sys.argv[2]
    node = Node("d:m", "d", "dbt", model, "m", "table", Relation("c", None, None, "m"))
    settings = DbtSettings(
        DbtProject(framework="dbt", path=folder), RunFolder(folder.parent / "runs", "r")
    )
    project_run = DbtProjectRun("d", Graph.of([node]), settings)
    unit = Unit("d:m", UnitKind.BUILD, "d")
    project_run.assess(["d:m"], [])
    project_run.open([unit])
    project_run.start(unit, print)
    print(project_run._invocation.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.postgres
def test_when_the_process_of_the_run_is_killed_nothing_is_left(
    slow: DbtProject, postgres_database: PostgresDatabase
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", dedent(PARENT), str(slow.folder), "slow_a"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    until(lambda: queries(postgres_database), "the query")
    parent.kill()
    parent.wait()
    until(lambda: not queries(postgres_database), "the end of the query", AT_ONCE)
    until(lambda: not alive(child), "the end of the dbt process", AT_ONCE)
    assert sessions(postgres_database) == []
    parent.stdout.close()
    assert parent.stdin is not None
    parent.stdin.close()


@pytest.mark.postgres
def test_a_lost_connection_is_tried_again(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    """Exactly one report for each start, two starts for the node, and it is built in the end."""
    postgres_database.execute("CREATE TABLE tries (n int)")
    files = {
        "models/flaky.sql": TABLE + "SELECT pg_sleep(CASE WHEN count(*) = 0 THEN 60 ELSE 0 END)"
        "::text AS s FROM public.tries",
        "models/below.sql": TABLE + "SELECT * FROM {{ ref('flaky') }}",
    }
    database = Database.in_postgres(postgres_database)
    hooks = {"on-run-end": "insert into public.tries values ({{ results | length }} * 10)"}
    project = DbtProject(tmp_path / "project", database, files, schema="public", project=hooks)
    run = DbtRun(project, limits={"retries": 1}).open()
    run.walk_until(lambda: queries(postgres_database))
    postgres_database.execute("INSERT INTO tries VALUES (1)")
    postgres_database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%flaky%'"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    until(lambda: not queries(postgres_database), "the end of the query")
    for _ in run.events():
        pass
    result = run.close()
    assert run.told() == {"flaky": "built", "below": "built"}
    assert run.attempts("flaky") == ["started", "retrying", "started", "finished"]
    assert run.project_run.starts[result.names["flaky"]] == 2
    assert database.rows("SELECT n FROM tries") == [(1,), (20,)], "a hook sees each node once"
    [entry] = [
        e
        for e in json.loads((run.folder / "run_results.json").read_text())["results"]
        if e["unique_id"] == "model.shop.flaky"
    ]
    assert entry["status"] == "success"


@pytest.mark.postgres
def test_a_relation_that_was_made_is_built_even_if_its_hook_is_cut_off(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    hook = "{'sql': 'select pg_sleep(60)', 'transaction': false}"
    text = f"{{{{ config(materialized='table', post_hook={hook}) }}}}\nSELECT 1 AS n"
    project = project_of(tmp_path, postgres_database, one=text, two=text)
    run = DbtRun(project).open()
    one, two = run.start("one"), run.start("two")
    until(lambda: len(queries(postgres_database)) == 2, "both hooks")
    run.project_run.cancel(run.result.names["one"])
    until(lambda: one, "the cancelled one's report", AT_ONCE)
    assert one[0].outcome is Outcome.BUILT
    assert "its relation was made; what comes after it was cut off" in one[0].reason
    os.kill(run.pid, signal.SIGKILL)
    until(lambda: two, "the killed one's report", AT_ONCE)
    assert two[0].outcome is Outcome.BUILT
    assert "its relation was made; then dbt's process was killed" in two[0].reason
    run.close(completed=False)
    assert project.database.tables("public") == {"public.one", "public.two"}


@pytest.mark.postgres
def test_a_node_that_takes_too_long_fails_and_the_others_go_on(
    slow: DbtProject, postgres_database: PostgresDatabase
) -> None:
    run = DbtRun(slow, ["quick", "slow_a", "below"], node_timeout=1.5)
    result = run.go()
    assert run.told() == {"quick": "built", "slow_a": "failed", "below": "blocked"}
    assert result.reason("slow_a") == "it took longer than 1.5 s"
    assert queries(postgres_database) == []


@pytest.mark.postgres
def test_a_run_that_takes_too_long_fails_what_is_left(
    slow: DbtProject, postgres_database: PostgresDatabase
) -> None:
    run = DbtRun(slow, threads=1, run_timeout=2.0)
    result = run.go()
    late = {name for name, outcome in run.told().items() if outcome == "failed"}
    assert late == {"slow_a", "slow_b"} | ({"quick"} & late)
    assert result.reason("slow_a") == "the run took longer than 2 s"
    assert queries(postgres_database) == []


@pytest.mark.postgres
@pytest.mark.parametrize("hook", ["on-run-start", "on-run-end"])
def test_a_hook_that_takes_long_is_ended_with_the_run(
    tmp_path: Path, postgres_database: PostgresDatabase, hook: str
) -> None:
    """Hooks run on dbt's main thread, which hears nothing while it waits for the server."""
    database = Database.in_postgres(postgres_database)
    hooks = {hook: "select pg_sleep(60)"}
    files = {"models/quick.sql": QUICK}
    project = DbtProject(tmp_path / "project", database, files, schema="public", project=hooks)
    run = DbtRun(project)

    def go() -> None:
        with suppress(DbtRunError):
            run.go()

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    until(lambda: queries(postgres_database), "the hook's query")
    assert run.invocation is not None
    began = monotonic()
    run.invocation.stop()
    assert monotonic() - began < AT_ONCE
    assert queries(postgres_database) == []
    assert not alive(run.pid)
    thread.join(AT_ONCE)
    assert not thread.is_alive()
