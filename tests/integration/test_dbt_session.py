"""dbt's session on real projects: options, checks, hooks, hand-over, artifacts and bad input."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_transform.dbt.errors import DbtHookError, DbtRunError
from dagster_transform.dbt.runs.memory import OutOfMemoryError
from dagster_transform.dbt.runs.settings import DbtTurn
from dagster_transform.planning import Outcome
from dagster_transform.walk import Learned
from tests.conftest import PostgresDatabase
from tests.integration.dbt_projects import DbtProject
from tests.integration.dbt_runs import DbtRun, alive, graph_of, until
from tests.integration.sqlmesh_projects import Database

TABLE = "{{ config(materialized='table') }}\n"
VIEW = "{{ config(materialized='view') }}\n"

BOTH = pytest.mark.parametrize(
    "database", ["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if getattr(request, "param", "duckdb") == "duckdb":
        return Database.in_file(tmp_path / "w.duckdb")
    return Database.in_postgres(request.getfixturevalue("postgres_database"))


def project_of(database: Database, folder: Path, files: dict[str, str], **more: Any) -> DbtProject:
    given = {"schema": "main", "threads": 2, **more}
    return DbtProject(folder / "project", database, files, **given)


def results_of(run: DbtRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "run_results.json").read_text())
    return found


# -- checks -----------------------------------------------------------------------------------

CHECKED = {
    "seeds/items.csv": "id,kind\n1,a\n2,a\n2,b\n,b\n",
    "models/orders.sql": TABLE + "SELECT id, kind FROM {{ ref('items') }}",
    "models/plain.sql": VIEW + "SELECT 1 + id AS next FROM {{ ref('orders') }}",
    "models/schema.yml": """
        models:
          - name: orders
            columns:
              - name: id
                data_tests:
                  - not_null
                  - unique: {config: {severity: warn}}
              - name: kind
                data_tests:
                  - accepted_values: {arguments: {values: [a, b]}}
                  - not_null: {config: {error_if: '>10', warn_if: '>5'}}
        unit_tests:
          - name: next_is_next
            model: plain
            given: [{input: ref('orders'), rows: [{id: 1}]}]
            expect: {rows: [{next: 2}]}
          - name: next_is_wrong
            model: plain
            given: [{input: ref('orders'), rows: [{id: 1}]}]
            expect: {rows: [{next: 3}]}
        """,
    "tests/singular.sql": "SELECT * FROM {{ ref('orders') }} WHERE kind = 'b'",
    "tests/broken.sql": "SELECT nonsense FROM {{ ref('orders') }}",
}


@BOTH
def test_every_sort_of_check_says_what_it_found(database: Database, tmp_path: Path) -> None:
    run = DbtRun(project_of(database, tmp_path, CHECKED))
    result = run.go()
    told = run.told()
    assert told["items"] == told["orders"] == "built"
    assert told["plain"] == "blocked", "blocking checks of orders failed"
    found = {name: (c.passed, c.failed_rows, c.blocking) for name, c in result.checks.items()}
    assert found == {
        "orders:not_null_orders_id": (False, 1, True),
        "orders:unique_orders_id": (False, 1, False),
        "orders:accepted_values_orders_kind__a__b": (True, 0, True),
        "orders:not_null_orders_kind": (True, 0, True),
        "orders:singular": (False, 2, True),
    }
    failed = result.checks["orders:not_null_orders_id"].details
    assert "where id is null" in failed["query"]
    assert failed["message"] == "Got 1 result, configured to fail if != 0"
    assert told["orders:broken"] == "failed"
    assert "nonsense" in result.reason("orders:broken")
    if "compiled code at" in result.reason("orders:broken"):  # the adapter's words
        assert Path(result.reason("orders:broken").rpartition("compiled code at ")[2]).exists()


@BOTH
def test_checks_alone_and_unit_tests(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, CHECKED)
    DbtRun(project, ["items", "orders"], []).go()
    checks = ["plain:next_is_next", "plain:next_is_wrong", "orders:unique_orders_id"]
    run = DbtRun(project, [], checks)
    result = run.go()
    assert run.told() == dict.fromkeys(checks, "checked")
    assert result.checks["plain:next_is_next"].passed
    wrong = result.checks["plain:next_is_wrong"]
    assert (wrong.passed, wrong.failed_rows) == (False, None)
    assert "actual differs from expected" in wrong.details["message"]
    assert "\x1b" not in wrong.details["message"]
    assert database.tables("main") == {"main.items", "main.orders"}, "checks build nothing"


FRESH = """
    sources:
      - name: raw
        schema: main
        freshness: {warn_after: {count: 1, period: hour}, error_after: {count: 1, period: day}}
        loaded_at_field: loaded_at
        tables:
          - name: new
          - name: late
          - name: stale
          - name: gone
    """


@BOTH
def test_freshness_is_asked_for_in_the_same_invocation(database: Database, tmp_path: Path) -> None:
    files = {
        "models/sources.yml": FRESH,
        "models/a.sql": VIEW + "SELECT loaded_at FROM {{ source('raw', 'new') }}",
    }
    project = project_of(database, tmp_path, files)
    interval = "now() AT TIME ZONE 'UTC' - INTERVAL '{} hour'"
    database.execute(
        "CREATE SCHEMA IF NOT EXISTS main",
        *[
            f"CREATE TABLE main.{name} AS SELECT {interval.format(hours)} AS loaded_at"
            for name, hours in (("new", 0), ("late", 3), ("stale", 72))
        ],
    )
    run = DbtRun(project)
    result = run.go()
    assert run.told()["a"] == "built"
    found = {name: c.passed for name, c in result.checks.items()}
    assert found == {
        "raw.new:freshness": True,
        "raw.late:freshness": False,
        "raw.stale:freshness": False,
    }
    assert not any(c.blocking for c in result.checks.values())
    assert result.checks["raw.late:freshness"].details["status"] == "warn"
    assert result.checks["raw.stale:freshness"].details["status"] == "fail"
    assert "its newest row is of" in result.checks["raw.stale:freshness"].details["message"]
    assert run.told()["raw.gone:freshness"] == "failed"
    sources = json.loads((run.folder / "sources.json").read_text())
    statuses = {entry["unique_id"]: entry["status"] for entry in sources["results"]}
    assert statuses["source.shop.raw.stale"] == "error", "dbt's own word"
    assert statuses["source.shop.raw.gone"] == "runtime error"
    assert {e["unique_id"] for e in results_of(run)["results"]} == {"model.shop.a"}


def test_freshness_of_a_model_is_known_to_runs_that_build_it(
    database: Database, tmp_path: Path
) -> None:
    """Starting the model's id would build it."""
    files = {
        "models/a.sql": "{{ config(materialized='table', freshness="
        "{'build_after': {'count': 1, 'period': 'day'}}) }}\nSELECT 1 AS n"
    }
    project = project_of(database, tmp_path, files)
    built = DbtRun(project)
    result = built.go()
    assert result.checks["a:freshness"].passed
    database.execute("DROP TABLE main.a")
    alone = DbtRun(project, [], ["a:freshness"])
    result = alone.go()
    assert alone.told() == {"a:freshness": "waiting"}
    assert "does not know when the model was last built" in result.reason("a:freshness")
    assert database.tables("main") == set()


# -- hooks ------------------------------------------------------------------------------------

HOOKS: dict[str, Any] = {
    "on-run-start": ["create table if not exists main.log (what text)",
                     "insert into main.log values ('start')"],
    "on-run-end": ["insert into main.log values ('end {{ results | length }}')"],
}  # fmt: skip
TWO = {
    "models/a.sql": TABLE + "SELECT 1 AS n",
    "models/b.sql": TABLE + "SELECT n FROM {{ ref('a') }}",
}


@BOTH
def test_hooks_run_once_around_all_nodes(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE SCHEMA IF NOT EXISTS main")
    run = DbtRun(project_of(database, tmp_path, TWO, project=HOOKS))
    result = run.go()
    assert result.outcomes == {"a": "built", "b": "built"}
    assert database.rows("SELECT what FROM main.log") == [("start",), ("end 2",)]


def test_a_cancelled_run_leaves_out_the_end_hooks(database: Database, tmp_path: Path) -> None:
    run = DbtRun(project_of(database, tmp_path, TWO, project=HOOKS)).open()
    run.cancel()
    run.close(completed=False)
    assert database.rows("SELECT what FROM main.log") == [("start",)]


@pytest.mark.parametrize("hook", ["on-run-start", "on-run-end"])
def test_a_hook_that_fails_is_told_and_the_nodes_are_built(
    database: Database, tmp_path: Path, hook: str
) -> None:
    """As dbt has it: it goes on after a failed on-run-start hook, and its exit code says so."""
    run = DbtRun(project_of(database, tmp_path, TWO, project={hook: "select nonsense"})).open()
    for _ in run.events():
        pass
    with pytest.raises(DbtHookError, match=rf"(?s)shop\.{hook}\.0 failed.*nonsense") as told:
        run.close()
    assert "password" not in str(told.value)
    assert run.told() == {"a": "built", "b": "built"}
    assert not alive(run.pid)


def test_a_start_hook_can_be_what_everything_depends_on(database: Database, tmp_path: Path) -> None:
    flags = {"flags": {"skip_nodes_if_on_run_start_fails": True}}
    project = project_of(
        database, tmp_path, TWO, project={"on-run-start": "select nonsense", **flags}
    )
    run = DbtRun(project)
    with pytest.raises(DbtRunError, match=r"can't begin its run: .*on-run-start\.0 failed"):
        run.open()
    run.session.close(completed=False)
    assert not alive(run.pid)


# -- sessions that share what one process only can hold ----------------------------------------


def test_a_file_is_let_go_and_taken_again(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    project = project_of(database, tmp_path, TWO, project=HOOKS)
    graph_of(project)
    with closing(duckdb.connect(str(path))):
        run = DbtRun(project)
        assert run.session.capacity == 2, "loading the project needs no file"
        assert run.session.exclusive == {f"file:{path}"}
        run.session.let_go()
    run.open()
    with pytest.raises(duckdb.IOException):
        duckdb.connect(str(path)).close()
    for round_ in range(3):
        run.session.let_go()
        with closing(duckdb.connect(str(path))) as other:
            other.execute(f"CREATE TABLE other_{round_} AS SELECT 1 AS n")
        for name in ("a", "b"):
            reports = run.start(name)
            until(lambda reports=reports: reports, name)
            assert reports[0].outcome is Outcome.BUILT
    run.session.let_go()
    run.session.let_go()
    run.close()
    assert database.rows("SELECT what FROM main.log") == [("start",), ("end 2",)]


def test_the_sessions_of_one_run_share_an_invocation(database: Database, tmp_path: Path) -> None:
    """A Python asset between two models splits the op; it may use the file meanwhile."""
    project = project_of(database, tmp_path, TWO, project=HOOKS)
    graph = graph_of(project)
    turn = DbtTurn(last=False)
    every = frozenset(node.reference for node in graph.nodes.values())
    shared: dict[str, Any] = {"turn": turn, "in_run": every, "run": "one"}
    first = DbtRun(project, ["a"], **shared)
    assert first.go().outcomes == {"a": "built"}
    assert alive(first.pid)
    # Another run may have it too, and build what this one's dbt has not seen.
    database.execute("CREATE TABLE main.between AS SELECT 1 AS n", "CREATE TABLE main.b (n INT)")
    turn.last = True
    second = DbtRun(project, ["b"], **shared)
    assert second.pid == first.pid
    assert second.go().outcomes == {"b": "built"}
    assert not alive(first.pid)
    assert database.rows("SELECT what FROM main.log") == [("start",), ("end 2",)]
    assert [e["unique_id"] for e in results_of(second)["results"]] == [
        "model.shop.a",
        "model.shop.b",
    ]


def test_what_a_session_has_left_is_ended_by_another_that_does_nothing(
    database: Database, tmp_path: Path
) -> None:
    """The later op never comes, because its Python asset has failed."""
    project = project_of(database, tmp_path, TWO, project=HOOKS)
    turn = DbtTurn(last=False)
    first = DbtRun(project, ["a"], turn=turn, run="one")
    first.go()
    turn.last = True
    DbtRun(project, [], [], turn=turn, run="one").session.close(completed=True)
    assert not alive(first.pid)
    assert turn.left is None
    assert database.rows("SELECT what FROM main.log") == [("start",), ("end 1",)]


@pytest.mark.postgres
def test_projects_run_side_by_side(tmp_path: Path, postgres_database: PostgresDatabase) -> None:
    database = Database.in_postgres(postgres_database)
    slow = {"models/a.sql": TABLE + "SELECT pg_sleep(1)::text AS s, clock_timestamp() AS ended"}
    runs = [
        DbtRun(DbtProject(tmp_path / name / "project", database, slow, schema=name)).open()
        for name in ("one", "two")
    ]
    assert runs[0].pid != runs[1].pid
    reports = [run.start("a") for run in runs]
    until(lambda: all(reports), "both reports")
    for run in runs:
        run.close()
    [(apart,)] = database.rows(
        "SELECT abs(extract(epoch FROM one.a.ended - two.a.ended))::float FROM one.a, two.a"
    )
    assert apart < 1


# -- run options ------------------------------------------------------------------------------

OPTIONS = {
    "models/grows.sql": "{{ config(materialized='incremental') }}\n"
    "SELECT {{ var('what', 0) }} AS n FROM {{ ref('base') }}",
    "models/base.sql": TABLE + "SELECT 1 AS n",
}


@BOTH
def test_full_refresh_vars_and_empty(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, OPTIONS)
    content = lambda: sorted(n for (n,) in database.rows("SELECT n FROM main.grows"))  # noqa: E731
    result = DbtRun(project).go()
    rows = result.report("grows").rows
    assert rows == (1 if database.dialect == "postgres" else None)
    DbtRun(project, vars={"what": 5}).go()
    assert content() == [0, 5]
    DbtRun(project, empty=True).go()
    assert content() == [0, 5]
    DbtRun(project, full_refresh=True, vars={"what": 7}).go()
    assert content() == [7]


def test_threads_target_and_profiles_dir(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, TWO)
    graph_of(project)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    text = (project.folder / "profiles.yml").read_text()
    (project.folder / "profiles.yml").unlink()
    other = text.replace("main", "second").replace("test:", "other:")
    (elsewhere / "profiles.yml").write_text(other)
    run = DbtRun(project, profiles_dir=elsewhere, target="other", threads=7)
    assert run.session.capacity == 7
    run.go()
    assert database.tables("second") == {"second.a", "second.b"}


def test_defer_leads_to_what_another_run_has_built(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, TWO)
    graph_of(project)
    project.dbt("build", "--select", "a")
    state = tmp_path / "state"
    shutil.copytree(project.folder / "target", state)
    profiles = project.folder / "profiles.yml"
    profiles.write_text(profiles.read_text().replace("schema: main", "schema: mine"))
    plain = DbtRun(project, ["b"], [])
    assert plain.go().outcomes == {"b": "failed"}
    deferred = DbtRun(project, ["b"], [], defer=True, state=state, column_lineage=True)
    assert deferred.go().outcomes == {"b": "built"}
    [facts] = [e.facts for e in deferred.result.events if isinstance(e, Learned)]
    assert facts.column_lineage == {"n": (("d:model.shop.a", "n"),)}, facts.problem
    assert database.tables("mine") == {"mine.b"}


MICROBATCH = """
    {{{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day',
                begin='{begin}', batch_size='day'{more}) }}}}
    SELECT {n} AS n, TIMESTAMP '{begin} 12:00:00' AS day FROM main.zero
    """


@BOTH
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_of_a_model_are_one_node(database: Database, tmp_path: Path, threads: int) -> None:
    """A model whose batches fail in part is one that failed, and says how many are there."""
    begin = datetime.now(timezone.utc).date() - timedelta(days=4)
    failing = "{{ model.batch.event_time_start.strftime('%Y%m%d') }}"
    second = f"{begin + timedelta(days=1):%Y%m%d}"
    divides = f"CASE WHEN {failing} = {second} THEN 1 / zero ELSE 1 END"
    if database.dialect == "duckdb":
        divides = f"CASE WHEN {failing} = {second} THEN error('zero') ELSE 1 END"
    # One adapter wants it, the other refuses it.
    more = ", unique_key='day'" if database.dialect == "postgres" else ""
    files = {
        "models/whole.sql": MICROBATCH.format(n=1, begin=begin, more=more),
        "models/part.sql": MICROBATCH.format(n=divides, begin=begin, more=more),
    }
    project = project_of(database, tmp_path, files)
    database.execute(
        "CREATE SCHEMA IF NOT EXISTS main", "CREATE TABLE main.zero AS SELECT 0 AS zero"
    )
    run = DbtRun(project, threads=threads)
    result = run.go()
    assert run.told() == {"whole": "built", "part": "failed"}
    assert result.reason("part").startswith("4 of 5 batches were built: ")
    assert "zero" in result.reason("part")
    assert result.report("part").seconds > 0
    assert not [text for level, text in run.logs if level == "error"], "the reason has said it"
    assert result.report("whole").details["batches"] == "5 of 5"


@pytest.mark.postgres
def test_a_batch_whose_session_was_ended_is_the_last_one(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    """Another run that builds the model now has ended it: dbt would go on with the next batch."""
    database = Database.in_postgres(postgres_database)
    begin = datetime.now(timezone.utc).date() - timedelta(days=4)
    second = f"{begin + timedelta(days=1):%Y%m%d}"
    this = "{{ model.batch.event_time_start.strftime('%Y%m%d') }}"
    ends = f"CASE WHEN {this} = {second} THEN pg_terminate_backend(pg_backend_pid())::INT END"
    model = MICROBATCH.format(n=ends, begin=begin, more=", unique_key='day'")
    project = project_of(database, tmp_path, {"models/cut.sql": model})
    database.execute("CREATE SCHEMA main", "CREATE TABLE main.zero AS SELECT 0 AS zero")
    run = DbtRun(project)
    assert run.go().outcomes == {"cut": "failed"}
    assert run.result.reason("cut").startswith("1 of 5 batches were built: ")


# -- bad input --------------------------------------------------------------------------------


def test_a_node_that_the_files_no_longer_have_is_named(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, {**TWO, "models/c.sql": TABLE + "SELECT 2 AS n"})
    graph = graph_of(project)
    (project.folder / "models/b.sql").unlink()
    run = DbtRun(project, graph=graph)
    result = run.go()
    assert result.outcomes == {"a": "built", "b": "not_promoted", "c": "built"}
    assert "the project's files do not have model.shop.b any more" in result.reason("b")
    assert "dagster-transform prepare --project d" in result.reason("b")


def test_a_model_that_does_not_compile_fails_alone(database: Database, tmp_path: Path) -> None:
    broken = TABLE + "SELECT {{ nonsense() }} AS n FROM {{ ref('a') }}"
    project = project_of(database, tmp_path, {**TWO, "models/broken.sql": TABLE + "SELECT 1 AS n"})
    graph = graph_of(project)
    project.write({"models/broken.sql": broken})
    run = DbtRun(project, graph=graph)
    result = run.go()
    assert result.outcomes == {"a": "built", "b": "built", "broken": "failed"}
    assert "'nonsense' is undefined" in result.reason("broken")


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("models/a.sql", "SELECT {{ ref('nothing') }}", "depends on a node named 'nothing'"),
        ("models/a.sql", "SELECT {% if %}", "Compilation Error in model a"),
        ("dbt_project.yml", "name: [", "Syntax error near line"),
        ("profiles.yml", "shop: {outputs: {}}", "does not have a target named|no outputs|target"),
        (
            "profiles.yml",
            "shop: {target: t, outputs: {t: {type: nothing}}}",
            "adapter type nothing",
        ),
    ],
)
def test_a_project_that_can_not_be_loaded_says_why(
    database: Database, tmp_path: Path, path: str, text: str, problem: str
) -> None:
    project = project_of(database, tmp_path, TWO)
    graph = graph_of(project)
    (project.folder / path).write_text(text)
    run = DbtRun(project, graph=graph)
    with pytest.raises(DbtRunError, match=f"(?s)Project d can't be loaded: .*({problem})"):
        run.open()
    run.session.close(completed=False)
    assert not alive(run.pid)
    assert not run.folder.exists()


def test_a_file_that_somebody_holds_says_so(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, TWO)
    graph_of(project)
    with closing(duckdb.connect(str(tmp_path / "w.duckdb"))):
        run = DbtRun(project)
        with pytest.raises(DbtRunError, match="Another process holds the DuckDB file"):
            run.open()
        run.session.close(completed=False)
    assert not alive(run.pid)


def test_without_memory_no_process_is_started(database: Database, tmp_path: Path) -> None:
    project = project_of(database, tmp_path, TWO)
    with pytest.raises(OutOfMemoryError, match="dbt is started with at most 0%"):
        DbtRun(project, memory=0.0, memory_wait=0.0)
    assert not (tmp_path / "runs").exists()


# -- what is left of a run ----------------------------------------------------------------------


def test_artifacts_of_the_last_runs_are_kept_and_nothing_else(
    database: Database, tmp_path: Path
) -> None:
    project = project_of(database, tmp_path, TWO)
    runs = [DbtRun(project, ["a"], kept_runs=2) for _ in range(3)]
    for run in runs:
        run.go()
    kept = {
        path.name: sorted(p.name for p in path.iterdir()) for path in (tmp_path / "runs").iterdir()
    }
    assert kept == {run.folder.name: ["compiled", "run_results.json"] for run in runs[1:]}
    assert (runs[-1].folder / "compiled/shop/models/a.sql").read_text().strip() == "SELECT 1 AS n"
    assert not (project.folder / "target").exists()


def test_dbt_reads_our_run_results(database: Database, tmp_path: Path) -> None:
    """`result:` selectors of a later dbt command work on what we have written."""
    files = {**TWO, "models/c.sql": TABLE + "SELECT 1 AS n FROM main.missing"}
    project = project_of(database, tmp_path, files)
    run = DbtRun(project)
    run.go()
    content = results_of(run)
    assert {e["unique_id"]: e["status"] for e in content["results"]} == {
        "model.shop.a": "success",
        "model.shop.b": "success",
        "model.shop.c": "error",
    }
    project.parse()
    shutil.copy(project.folder / "target/manifest.json", run.folder)
    listed = project.dbt(
        "--quiet", "ls", "--select", "result:error", "--state", str(run.folder), "--output", "name"
    )
    assert listed.stdout.split() == ["c"]


def test_what_dbt_says_beyond_results_is_logged(database: Database, tmp_path: Path) -> None:
    files = {
        "models/a.sql": TABLE + "{{ log('hello from a', info=true) }}"
        "{% if execute %}{{ exceptions.warn('watch out') }}{% endif %} SELECT 1 AS n",
        "models/b.sql": TABLE + "SELECT nonsense",
        "dbt.py": "raise ImportError('the folder of a project is not where Python looks')",
    }
    run = DbtRun(project_of(database, tmp_path, files))
    run.go()
    assert ("info", "hello from a") in run.logs
    assert any(level == "warn" and "watch out" in text for level, text in run.logs)
    assert not any("nonsense" in text for _, text in run.logs), "that is b's own reason"


def test_starts_from_many_threads_are_answered_once_each(
    database: Database, tmp_path: Path
) -> None:
    files = {f"models/m{i}.sql": VIEW + f"SELECT {i} AS n" for i in range(40)}
    run = DbtRun(project_of(database, tmp_path, files, threads=4))
    result = run.go()
    assert set(result.outcomes.values()) == {"built"}
    assert result.most_at_once == 4
    assert len(run.session.reports) == 40
    assert len(results_of(run)["results"]) == 40
