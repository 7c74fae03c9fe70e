"""What a SQLMesh session does in one run: selection, guards, plans, rebuilds, failures, cancel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagster_transform.graph import Graph
from dagster_transform.planning import Limits, Outcome, UnitKind, plan_run
from dagster_transform.sqlmesh._compat import import_sqlmesh
from dagster_transform.sqlmesh.errors import EnvironmentNotPlannedError, PlanRefusedError
from dagster_transform.walk import Finished, Retrying, Started, Walk
from tests.integration.sqlmesh_projects import Database, Project, utc

if TYPE_CHECKING:
    from tests.conftest import PostgresDatabase

FIRST = utc("2024-03-05 10:30")
NEXT_DAY = utc("2024-03-06 10:30")
THREE_DAYS_LATER = utc("2024-03-08 10:30")
PROMOTION = "p:promotion of prod"

MODELS = {
    "ref.codes": """
        kind SEED (path '../seeds/codes.csv'),
        columns (code TEXT, name TEXT)
    """,
    "stage.raw": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        audits (not_null(columns := (id)), small(blocking := false))
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.days": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT ds, COUNT(*) AS n FROM stage.raw WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY ds
    """,
    "mart.total": """
        kind FULL,
        audits (number_of_rows(threshold := 0))
        ---
        SELECT COUNT(*) AS n FROM stage.raw
    """,
    "mart.shown": """
        kind VIEW
        ---
        SELECT n, (SELECT COUNT(*) FROM ref.codes) AS codes FROM mart.total
    """,
}
FILES = {
    "seeds/codes.csv": "code,name\nA,alpha\nB,beta\n",
    "audits/small.sql": "AUDIT (name small);\nSELECT * FROM @this_model WHERE id > 1000;\n",
}


def prepare(database: Database) -> None:
    """Three rows a day, of March 1 to 14."""
    database.execute("CREATE SCHEMA src", "CREATE TABLE src.raw (id INT, ds DATE)")
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    database.execute(f"INSERT INTO src.raw VALUES {rows}")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database in which the project was planned natively at FIRST."""
    folder = tmp_path_factory.mktemp("template")
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS, files=FILES)
    prepare(project.database)
    project.plan_natively(FIRST)
    return folder / "w.duckdb"


@pytest.fixture
def planned(template: Path, tmp_path: Path) -> Project:
    return copy_of(template, tmp_path)


@pytest.fixture
def unplanned(tmp_path: Path) -> Project:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS, files=FILES)
    prepare(project.database)
    return project


def copy_of(template: Path, folder: Path) -> Project:
    folder.mkdir(exist_ok=True)
    shutil.copy(template, folder / "w.duckdb")
    return Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS, files=FILES)


def state(project: Project) -> dict[str, Any]:
    return {**project.database.contents(MODELS), "intervals": project.database.intervals()}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Names of the models whose data or recorded intervals differ."""
    names = {name for name in MODELS if before[name] != after[name]}
    old, new = before["intervals"], after["intervals"]
    for key in old.keys() | new.keys():
        if old.get(key) != new.get(key):
            names.add(key[0].split(".", 1)[1].replace('"', ""))
    return names


# -- selection and the guard against permanent holes ----------------------------------------------


def test_one_selected_node_is_built_and_nothing_else(planned: Project) -> None:
    before = state(planned)
    run = planned.run(NEXT_DAY, ["stage.raw"], [], ignore_cron=False)
    assert run.outcomes == {"stage.raw": "built"}
    assert changed(before, state(planned)) == {"stage.raw"}
    report = run.report("stage.raw")
    assert report.details["intervals"] == "2024-03-05"
    assert report.table_rows == 15
    assert [c.check for c in report.checks] == [planned.id("stage.raw:not_null")]


def test_nothing_is_built_over_data_that_an_unselected_upstream_owes(
    template: Path, tmp_path: Path
) -> None:
    ours = copy_of(template, tmp_path / "ours")
    before = state(ours)
    waiting = ours.run(NEXT_DAY, ["mart.days", "mart.total"], ignore_cron=False)
    for name in ("mart.days", "mart.total"):
        assert waiting.outcome(name) is Outcome.WAITING
        assert f"select +{name} or set upstreams: include" in waiting.reason(name)
        assert "stage.raw" in waiting.reason(name)
    assert changed(before, state(ours)) == set()
    # A person's run builds what is there again, and still records nothing that is not.
    again = ours.run(NEXT_DAY, ["mart.days", "mart.total"])
    assert again.outcome("mart.days") is Outcome.WAITING
    assert again.outcome("mart.total") is Outcome.BUILT
    assert changed(before, state(ours)) == set()

    ours.run(NEXT_DAY, ["stage.raw"])
    partly = ours.run(THREE_DAYS_LATER, ["mart.days"])
    assert partly.outcome("mart.days") is Outcome.BUILT
    assert partly.report("mart.days").details["intervals"] == "2024-03-05"
    assert max(row[0] for row in ours.database.content("mart.days")).day == 5

    both = ours.run(THREE_DAYS_LATER, ["stage.raw", "mart.days", "mart.total"])
    assert {both.outcome(n) for n in ("stage.raw", "mart.days", "mart.total")} == {Outcome.BUILT}
    assert both.report("mart.days").details["intervals"] == "2024-03-06 to 2024-03-07"

    native = copy_of(template, tmp_path / "native")
    native.run_natively(THREE_DAYS_LATER)
    want, have = state(native), state(ours)
    assert have["mart.days"] == want["mart.days"]
    assert len(have["mart.days"]) == 7
    assert changed(want, have) == {"mart.shown"}  # it was never selected
    rest = ours.run(THREE_DAYS_LATER)
    assert rest.outcome("stage.raw") is Outcome.UP_TO_DATE
    assert state(ours) == want


# -- checks ---------------------------------------------------------------------------------------


def test_checks_alone_run_exactly_those_and_change_nothing(planned: Project) -> None:
    planned.database.execute("INSERT INTO src.raw VALUES (5000, DATE '2024-03-02')")
    physical = planned.database.rows(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables "
        "WHERE table_schema = 'sqlmesh__stage' AND table_type = 'BASE TABLE'"
    )[0][0]
    planned.database.execute(f"INSERT INTO {physical} VALUES (NULL, DATE '2024-03-02')")
    planned.database.execute(f"INSERT INTO {physical} VALUES (2000, DATE '2024-03-02')")
    before = state(planned)
    run = planned.run(NEXT_DAY, [], ["stage.raw:not_null", "stage.raw:small"], plan="auto")
    assert {u.kind for u in run.plan.units.values()} == {UnitKind.CHECK}
    assert run.outcomes == {"stage.raw:not_null": "checked", "stage.raw:small": "checked"}
    results = run.checks
    assert results.keys() == {"stage.raw:not_null", "stage.raw:small"}
    assert not any(r.passed for r in results.values())
    assert [results[c].failed_rows for c in sorted(results)] == [1, 1]
    assert results["stage.raw:not_null"].blocking
    assert not results["stage.raw:small"].blocking
    assert "1000" in results["stage.raw:small"].details["query"]
    assert changed(before, state(planned)) == set()

    one = planned.run(NEXT_DAY, [], ["mart.total:number_of_rows"])
    assert one.checks.keys() == {"mart.total:number_of_rows"}
    assert one.checks["mart.total:number_of_rows"].passed


def test_a_failed_blocking_audit_leaves_the_interval_missing(planned: Project) -> None:
    database = planned.database
    before = database.intervals()
    database.execute("INSERT INTO src.raw VALUES (NULL, DATE '2024-03-05')")
    run = planned.run(NEXT_DAY, ignore_cron=False)
    end = run.finished[planned.id("stage.raw")]
    assert end.outcome is Outcome.BUILT
    assert not end.good
    (failed,) = end.report.failed_checks if end.report else ()
    assert failed.check == planned.id("stage.raw:not_null")
    assert failed.failed_rows == 1
    assert "IS NULL" in failed.details["query"]
    for name in ("mart.days", "mart.total", "mart.shown"):
        assert run.outcome(name) is Outcome.BLOCKED
        assert failed.check in run.reason(name)
    # The other check judges what was built, all the same.
    assert run.outcome("stage.raw:small") is Outcome.CHECKED
    missing = {key for key in before if database.intervals()[key] == before[key]}
    assert missing == before.keys()  # the seed has nothing to do on any day

    database.execute("DELETE FROM src.raw WHERE id IS NULL")
    again = planned.run(NEXT_DAY, ignore_cron=False)
    assert again.outcome("stage.raw") is Outcome.BUILT
    assert again.finished[planned.id("stage.raw")].good
    assert database.content("mart.total") == [(15,)]


# -- failures -------------------------------------------------------------------------------------


def test_a_failing_model_says_what_the_engine_said(planned: Project) -> None:
    planned.database.execute("ALTER TABLE src.raw RENAME TO gone")
    run = planned.run(NEXT_DAY, ignore_cron=False)
    report = run.report("stage.raw")
    assert report.outcome is Outcome.FAILED
    assert not report.transient
    assert report.reason.startswith("2024-03-05: CatalogException: ")
    assert "Table with name raw does not exist" in report.reason
    assert run.outcome("mart.days") is Outcome.BLOCKED
    assert run.reason("mart.days") == f"upstream failed: {planned.id('stage.raw')}"
    assert not any(isinstance(event, Retrying) for event in run.events)


def test_a_table_with_lock_in_its_name_is_no_reason_to_try_again(planned: Project) -> None:
    query = "SELECT COUNT(*) AS n FROM src.blocks"
    planned.model("mart.total", f"kind FULL\n---\n{query}")
    run = planned.run(FIRST, ["mart.total", "mart.shown"], plan="auto")
    assert run.outcome("mart.total") is Outcome.FAILED
    assert not run.report("mart.total").transient


# -- plans ----------------------------------------------------------------------------------------


def test_the_first_plan_goes_through_the_walk(unplanned: Project, template: Path) -> None:
    run = unplanned.run(FIRST, plan="auto")
    assert {run.outcome(name) for name in MODELS} == {Outcome.BACKFILLED}
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    order = [e.unit.id for e in run.events if isinstance(e, Finished)]
    assert order[-1] == PROMOTION
    assert unplanned.environment().finalized_ts
    native = copy_of(template, unplanned.folder.parent / "native")
    assert state(unplanned) == state(native)


def test_a_plan_that_fails_promotes_nothing_and_can_be_finished(unplanned: Project) -> None:
    good = MODELS["mart.total"]
    unplanned.model("mart.total", good.replace("COUNT(*)", "CAST('x' || COUNT(*) AS INT)"))
    run = unplanned.run(FIRST, plan="auto")
    assert run.outcome("mart.total") is Outcome.FAILED
    assert "ConversionException" in run.reason("mart.total")
    assert run.outcome("mart.shown") is Outcome.BLOCKED
    assert run.outcome("mart.days") is Outcome.BACKFILLED
    assert run.outcome(PROMOTION) is Outcome.BLOCKED
    assert run.reason(PROMOTION) == f"upstream failed: {unplanned.id('mart.total')}"
    assert unplanned.environment() is None
    assert not unplanned.database.tables("mart") | unplanned.database.tables("stage")

    unplanned.model("mart.total", good)
    again = unplanned.run(FIRST, plan="auto")
    assert again.outcome(PROMOTION) is Outcome.PROMOTED
    # What the run before has backfilled is there already.
    assert again.outcome("mart.days") is Outcome.UP_TO_DATE
    assert again.outcome("mart.total") is Outcome.BACKFILLED
    assert unplanned.database.content("mart.shown") == [(12, 2)]
    assert len(unplanned.database.content("mart.days")) == 4


def test_a_change_that_fails_leaves_readers_what_they_had(planned: Project) -> None:
    before, plan_id = state(planned), planned.environment().plan_id
    text = MODELS["mart.total"].replace("COUNT(*)", "CAST('x' || COUNT(*) AS INT)")
    planned.model("mart.total", text)
    run = planned.run(FIRST, ["mart.total", "mart.shown"], plan="auto")
    assert run.outcome("mart.total") is Outcome.FAILED
    assert run.outcome(PROMOTION) is Outcome.BLOCKED
    assert planned.environment().plan_id == plan_id
    assert state(planned) == before


def test_a_plan_takes_what_is_selected_and_refuses_to_take_more(planned: Project) -> None:
    before = state(planned)
    planned.model("mart.total", MODELS["mart.total"].replace("COUNT(*)", "100 + COUNT(*)"))
    planned.model("mart.days", MODELS["mart.days"].replace("COUNT(*)", "100 + COUNT(*)"))
    with pytest.raises(PlanRefusedError) as refused:
        planned.run(FIRST, ["mart.total"], plan="auto")
    assert "mart.shown" in refused.value.cause
    assert "mart.days" not in refused.value.cause
    assert refused.value.remedy
    # It holds no connection: another process can open the file.
    opens = f"import duckdb; duckdb.connect({planned.database.connection['database']!r})"
    subprocess.run([sys.executable, "-c", opens], check=True, timeout=60)
    assert state(planned) == before

    run = planned.run(FIRST, ["mart.total", "mart.shown"], [], plan="auto")
    assert run.outcomes == {
        "mart.total": "backfilled", "mart.shown": "backfilled", PROMOTION: "promoted"
    }  # fmt: skip
    after = state(planned)
    assert changed(before, after) == {"mart.total", "mart.shown"}
    assert after["mart.shown"] == [(112, 2)]

    last = planned.run(FIRST, ["mart.days"], [], plan="auto")
    assert last.outcomes == {"mart.days": "backfilled", PROMOTION: "promoted"}
    assert {n for _, n in planned.database.content("mart.days")} == {103}


def test_the_marker_saves_loading_the_files(
    planned: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlmesh = import_sqlmesh()
    loads: list[int] = []
    load = sqlmesh.Context.load

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        loads.append(1)
        return load(self, *args, **kwargs)

    assert planned.graph
    monkeypatch.setattr(sqlmesh.Context, "load", counting)
    settings: dict[str, Any] = {"plan": "auto", "marker": tmp_path / "new folder" / "m.json"}

    def how_often(**more: Any) -> int:
        loads.clear()
        run = planned.run(FIRST, ignore_cron=False, **{**settings, **more})
        assert set(run.outcomes.values()) <= {"up_to_date", "backfilled", "promoted", "checked"}
        return len(loads)

    assert how_often() == 1  # no marker yet
    assert how_often() == 0
    planned.model("mart.total", MODELS["mart.total"].replace("COUNT(*)", "1 + COUNT(*)"))
    assert planned.graph
    assert how_often() == 1  # the files have changed
    assert planned.database.content("mart.total") == [(13,)]
    assert how_often() == 0
    assert how_often(environment="dev") == 1  # another environment
    assert how_often() == how_often(environment="dev") == 0
    settings["marker"].write_text("not json")
    assert how_often() == 1
    planned.plan_natively(FIRST, include_unmodified=True, restate_models=["mart.total"])
    assert how_often() == 1  # somebody else has planned
    assert how_often() == 0


def test_a_part_of_a_project_can_be_planned_first(unplanned: Project) -> None:
    run = unplanned.run(FIRST, ["stage.raw", "mart.shown"], [], plan="auto")
    assert run.outcome("stage.raw") is Outcome.BACKFILLED
    assert run.outcome("mart.shown") is Outcome.NOT_PROMOTED
    assert "upstream" in run.reason("mart.shown")
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    views = {t for t in unplanned.database.tables() if not t.startswith("sqlmesh")}
    assert views == {"src.raw", "stage.raw"}

    rest = unplanned.run(FIRST, plan="auto")
    assert rest.outcome(PROMOTION) is Outcome.PROMOTED
    assert rest.outcome("stage.raw") is Outcome.UP_TO_DATE
    assert unplanned.database.content("mart.shown") == [(12, 2)]


STEP = "p:record of prod"


def forward_only(project: Project) -> str:
    """A model whose changes keep its table: SQLMesh builds them after the environment's record."""
    model = MODELS["mart.days"].replace("(time_column ds)", "(time_column ds, forward_only true)")
    project.model("mart.days", model)
    return model


def test_forward_only_models_are_built_after_the_environments_record(unplanned: Project) -> None:
    model = forward_only(unplanned)
    run = unplanned.run(FIRST, plan="auto")
    assert run.outcome("mart.days") is Outcome.BACKFILLED
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    order = [event.unit.id for event in run.events if isinstance(event, Started)]
    late = order.index(STEP)
    assert [name for name in order[:late] if "stage" in name]
    assert any("days" in name for name in order[late:])
    assert not any("days" in name for name in order[:late])
    built = unplanned.database.content("mart.days")
    assert built

    unplanned.model("mart.days", model.replace("COUNT(*)", "100 + COUNT(*)"))
    run = unplanned.run(NEXT_DAY, plan="auto")
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    changed = unplanned.database.content("mart.days")
    # What was there stays; the new day is counted in the new way.
    assert set(built) < set(changed)
    assert all(row[-1] > 100 for row in set(changed) - set(built))


def test_a_failure_after_the_record_is_made_good_by_the_next_run(unplanned: Project) -> None:
    model = forward_only(unplanned)
    unplanned.database.execute("CREATE TABLE src.words AS SELECT 'seven' AS word")
    word = "COUNT(*) + 0 * (SELECT MIN(word) FROM src.words)::INT"
    unplanned.model("mart.days", model.replace("COUNT(*)", word))
    run = unplanned.run(FIRST, plan="auto")
    assert run.outcome("mart.days") is Outcome.FAILED
    assert run.outcome(PROMOTION) is Outcome.BLOCKED
    with pytest.raises(EnvironmentNotPlannedError, match="has not come to its end"):
        unplanned.run(FIRST, plan="never")

    unplanned.database.execute("CREATE OR REPLACE TABLE src.words AS SELECT '7' AS word")
    run = unplanned.run(FIRST, plan="auto")
    assert run.outcome("mart.days") is Outcome.BACKFILLED
    assert run.outcome(PROMOTION) is Outcome.PROMOTED
    assert unplanned.run(FIRST, ignore_cron=False).outcome("mart.days") is Outcome.UP_TO_DATE


def test_a_new_development_environment_has_all_nodes(planned: Project) -> None:
    settings: dict[str, Any] = {"plan": "auto", "environment": "dev"}
    run = planned.run(FIRST, **settings)  # nothing differs from prod: nothing to build
    assert run.outcomes.pop(PROMOTION.replace("prod", "dev")) == "promoted"
    assert {run.outcome(name) for name in MODELS} == {Outcome.UP_TO_DATE}
    assert planned.database.content("mart__dev.shown") == [(12, 2)]
    before = state(planned)
    planned.model("mart.total", MODELS["mart.total"].replace("COUNT(*)", "100 + COUNT(*)"))
    planned.run(FIRST, ["mart.total", "mart.shown"], **settings)
    assert planned.database.content("mart__dev.shown") == [(112, 2)]
    assert [n for n in MODELS if state(planned)[n] != before[n]] == []  # prod is as it was


def test_a_node_that_is_only_in_the_files_is_not_promoted(planned: Project) -> None:
    planned.model("mart.late", "kind FULL\n---\nSELECT COUNT(*) AS n FROM mart.days")
    run = planned.run(FIRST, ["mart.late", "mart.days"])
    assert run.outcome("mart.late") is Outcome.NOT_PROMOTED
    assert run.reason("mart.late") == ("it is in the files, not in environment prod: apply a plan")
    assert run.outcome("mart.days") is Outcome.UP_TO_DATE


def test_a_check_of_a_node_that_is_only_in_the_files_does_not_run(planned: Project) -> None:
    text = "kind FULL, audits (not_null(columns := (n)))\n---\nSELECT COUNT(*) AS n FROM mart.days"
    planned.model("mart.late", text)
    audited = MODELS["mart.total"].replace("audits (", "audits (not_null(columns := (n)), ")
    planned.model("mart.total", audited)
    run = planned.run(FIRST, [], ["mart.late:not_null", "mart.total:not_null"])
    assert run.outcome("mart.late:not_null") is Outcome.NOT_PROMOTED
    assert run.reason("mart.late:not_null") == (
        "mart.late is not in environment prod: apply a plan"
    )
    assert run.outcome("mart.total:not_null") is Outcome.NOT_PROMOTED
    assert "without this audit" in run.reason("mart.total:not_null")


# -- a person's run -------------------------------------------------------------------------------


def test_a_persons_run_rebuilds_what_is_not_incremental(planned: Project) -> None:
    before = state(planned)
    tables = {
        name.split("__")[-2]: name
        for (name,) in planned.database.rows(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_schema LIKE 'sqlmesh\\_\\_%' ESCAPE '\\' AND table_type = 'BASE TABLE'"
        )
    }
    planned.database.execute(
        f"DELETE FROM {tables['codes']} WHERE code = 'A'",
        f"INSERT INTO {tables['codes']} VALUES ('X', 'tampered'), ('Y', 'tampered')",
        f"UPDATE {tables['total']} SET n = 99",
        f"DELETE FROM {tables['days']} WHERE ds > '2024-03-02'",
    )
    assert planned.database.content("mart.shown") == [(99, 3)]
    tick = planned.run(FIRST, ignore_cron=False)
    assert {tick.outcome(name) for name in MODELS} == {Outcome.UP_TO_DATE}
    assert planned.database.content("mart.shown") == [(99, 3)]

    shutil.rmtree(planned.folder / ".cache", ignore_errors=True)
    run = planned.run(FIRST)
    assert run.outcomes.items() >= {
        "ref.codes": "built", "mart.total": "built", "mart.shown": "built",
        "stage.raw": "up_to_date", "mart.days": "up_to_date",
    }.items()  # fmt: skip
    assert run.reason("mart.days") == "no interval is missing"
    after = state(planned)
    assert after["ref.codes"] == before["ref.codes"]
    assert after["mart.shown"] == before["mart.shown"] == [(12, 2)]
    assert after["intervals"] == before["intervals"]
    assert len(after["mart.days"]) == 2  # tampering is not missing: only a restatement helps


def test_a_seed_that_the_files_have_in_another_version_is_not_built(planned: Project) -> None:
    before = state(planned)
    planned.write({"seeds/codes.csv": "code,name\nZ,zeta\n"})
    run = planned.run(FIRST, ["ref.codes"])
    assert run.outcome("ref.codes") is Outcome.UP_TO_DATE
    assert "another version" in run.reason("ref.codes")
    assert state(planned) == before


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
    run = project.run(FIRST, plan="auto", limits=Limits(max_concurrent_models=8))
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
    run = project.run(FIRST, plan="auto")
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
    session = project.session(FIRST, plan="auto")
    plan = plan_run(project.graph, nodes, [], session.assess(nodes, []))
    session.open(list(plan.units.values()))
    events = Walk(plan, {project.name: session}).events()
    assert isinstance(next(events), Started)
    wait_for(lambda: database.rows(SLEEPERS))
    began = time.monotonic()
    session.close(completed=False)
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
    """Starts a run, cancels it once `begun`, and closes its session."""
    nodes, checks = list(project.graph.nodes), list(project.graph.checks)
    session = project.session(FIRST, plan="auto")
    try:
        plan = plan_run(project.graph, nodes, checks, session.assess(nodes, checks))
        session.open(list(plan.units.values()))
        walk = Walk(plan, {project.name: session})
        assert isinstance(next(walk.events()), Started)
        wait_for(begun)
        assert our_threads()
        began = time.monotonic()
        walk.cancel()
        seconds = time.monotonic() - began
    finally:
        session.close(completed=False)
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
    sessions = {name: p.session(FIRST, plan="auto") for name, p in projects.items()}
    readiness = {}
    for name, session in sessions.items():
        mine = [n.id for n in graph.nodes.values() if n.project == name]
        readiness.update(session.assess(mine, []))
    plan = plan_run(graph, list(graph.nodes), [], readiness)
    for name, session in sessions.items():
        session.open([u for u in plan.units.values() if u.project == name])
    walk = Walk(plan, sessions)
    try:
        for _ in walk.events():
            pass
    finally:
        for session in sessions.values():
            session.close(completed=True)
    assert [end for end in walk.finished.values() if not end.good] == []
    assert spans_overlap(database, ["nap_p.a", "nap_q.b"]) == 2
    assert our_threads() == []


# -- development environments ---------------------------------------------------------------------


def test_a_development_run_builds_what_its_environment_has_of_its_own(planned: Project) -> None:
    """SQLMesh's `run dev` would build production's tables too, where versions are equal."""
    planned.model("mart.days", MODELS["mart.days"].replace("COUNT(*)", "COUNT(id)"))
    planned.plan_natively(FIRST, "dev", start="2024-03-01")
    before = state(planned)
    run = planned.run(NEXT_DAY, environment="dev", ignore_cron=False)
    assert run.outcome("stage.raw") is Outcome.NOT_PROMOTED
    assert run.reason("stage.raw") == "environment dev reads production's, and has none of its own"
    assert changed(before, state(planned)) == set()  # the view of prod, and what it shows


def test_a_development_run_says_which_tables_are_productions_too(planned: Project) -> None:
    planned.plan_natively(FIRST, "dev", include_unmodified=True)
    run = planned.run(NEXT_DAY, environment="dev", ignore_cron=False)
    assert run.report("stage.raw").details["shared_with"] == "prod"
    assert "shared_with" not in planned.run(THREE_DAYS_LATER).report("stage.raw").details
