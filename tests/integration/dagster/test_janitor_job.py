"""The janitor job: what has expired is dropped and named, and nothing else is touched."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from dagster import DagsterEventType as Kind

from dagster_transform.sqlmesh import sweep_project
from dagster_transform.sqlmesh.janitor.report import Sweep, as_markdown
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import Story
from tests.support.transforms import Transform

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

JOB = "p_janitor"
FIRST = "2024-03-05 10:30"
LONG_AFTER = datetime.now(timezone.utc) + timedelta(days=8)
"""After the week that SQLMesh keeps environments and tables by default."""
SHORT = {"environment_ttl": "in 1 second", "snapshot_ttl": "in 1 second"}

MODELS = {
    "mart.a": "kind INCREMENTAL_BY_TIME_RANGE (time_column ds)\n---\n"
    "SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds",
    "mart.b": "kind FULL\n---\nSELECT COUNT(*) AS n FROM mart.a",
    "mart.c": "kind VIEW\n---\nSELECT n FROM mart.b",
}
EDITED = "kind FULL\n---\nSELECT COUNT(*) + 1 AS n FROM mart.a"


def project_in(folder: Path, database: Database, **config: Any) -> Project:
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
    )
    # SQLMesh looks through all installed packages for each plan unless told not to.
    return Project(folder, database, MODELS, config={"infer_python_dependencies": False, **config})


def with_development(project: Project) -> Project:
    """Environment prod, and beside it dev, where mart.b (which mart.c reads) is another one."""
    project.plan_natively(utc(FIRST))
    project.model("mart.b", EDITED)
    project.plan_natively(utc(FIRST), "dev", include_unmodified=True)
    return project


@pytest.fixture(
    params=["duckdb", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])]
)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    if request.param == "duckdb":
        return with_development(project_in(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb")))
    database = Database.in_postgres(request.getfixturevalue("postgres_database"))
    return with_development(project_in(tmp_path / "p", database))


@pytest.fixture
def in_a_file(tmp_path: Path) -> Project:
    return with_development(project_in(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb")))


def sweep(project: Project, now: datetime = LONG_AFTER, *, ignore_ttl: bool = False) -> Sweep:
    paths = [str(project.folder)]
    return sweep_project(project.name, project.config, paths, now=now, ignore_ttl=ignore_ttl)


def physical(project: Project) -> set[str]:
    return project.database.tables("sqlmesh__%")


def test_what_has_expired_is_dropped_and_prod_is_not_touched(project: Project) -> None:
    database = project.database
    prod = {name: database.content(name) for name in ("mart.a", "mart.b", "mart.c")}
    before = physical(project)
    intervals = database.intervals()
    done = sweep(project)
    assert not done.failures
    (dev,) = done.environments
    assert dev.name == "dev"
    assert dev.whole
    catalog = database.catalog
    assert dev.views == tuple(f"{catalog}.mart__dev.{name}" for name in "abc")
    assert database.tables("mart__dev") == set()
    assert project.environment("dev") is None
    # The tables of what dev alone had are gone, and exactly these are told.
    dropped = before - physical(project)
    assert {table.split("__")[2] for table in dropped} == {"b", "c"}
    assert set(done.tables) == {f"{catalog}.{table}" for table in dropped}
    assert done.snapshots == 2
    assert project.environment("prod") is not None
    assert {name: database.content(name) for name in prod} == prod
    left = database.intervals()
    assert left.items() <= intervals.items()
    assert len(left) == len(intervals) - 2
    # And it is done: another sweep finds nothing.
    again = sweep(project)
    assert (again.environments, again.tables, again.snapshots) == ((), (), 0)
    assert "Nothing to drop." in as_markdown(again)


def test_nothing_is_dropped_before_its_time(in_a_file: Project) -> None:
    before = in_a_file.database.tables()
    done = sweep(in_a_file, datetime.now(timezone.utc) + timedelta(days=6))
    assert done.counts["environments_dropped"] == done.counts["tables_dropped"] == 0
    assert in_a_file.database.tables() == before


def test_tables_that_nobody_uses_can_be_dropped_before_their_time(in_a_file: Project) -> None:
    in_a_file.plan_natively(utc(FIRST))  # prod has what dev has now, and nobody the old version
    now = datetime.now(timezone.utc)
    assert sweep(in_a_file, now).tables == ()
    done = sweep(in_a_file, now, ignore_ttl=True)
    assert {table.split("__")[2] for table in done.tables} == {"b", "c"}
    assert in_a_file.database.content("mart.c") == [(13,)]
    assert in_a_file.database.content("mart__dev.c") == [(13,)]


def test_intervals_are_compacted(in_a_file: Project) -> None:
    in_a_file.model("mart.b", MODELS["mart.b"])
    for day in range(6, 10):
        in_a_file.run(utc(f"2024-03-{day:02} 10:30"))
    recorded = in_a_file.database.intervals()

    def rows() -> int:
        ((count,),) = in_a_file.database.rows("SELECT COUNT(*) FROM sqlmesh._intervals")
        return int(count)

    before = rows()
    done = sweep(in_a_file, datetime.now(timezone.utc))
    assert done.interval_rows == (before, rows())
    assert done.interval_rows[1] < before - 6
    assert in_a_file.database.intervals() == recorded


def test_it_does_what_sqlmesh_janitor_does(tmp_path: Path) -> None:
    twins = []
    for name in ("ours", "native"):
        folder = tmp_path / name
        folder.mkdir()
        database = Database.in_file(folder / "w.duckdb")
        twins.append(with_development(project_in(folder / "p", database, **SHORT)))
    time.sleep(1.2)
    ours, native = twins
    assert sweep(ours, datetime.now(timezone.utc)).tables
    with native.native() as context:
        assert context.run_janitor(ignore_ttl=False)
    mine, theirs = ours.database, native.database
    assert mine.tables() == theirs.tables()
    for table, columns in {
        "_snapshots": "name, identifier, version",
        "_environments": "name",
        "_environment_statements": "environment_name",
        "_intervals": "name, identifier, version, start_ts, end_ts, is_dev, is_removed",
    }.items():
        query = f"SELECT {columns} FROM sqlmesh.{table}"
        assert sorted(mine.rows(query), key=repr) == sorted(theirs.rows(query), key=repr)


# -- what can't be dropped ------------------------------------------------------------------------


def put_in_the_way(project: Project) -> str:
    """A view where dev's table of mart.b was: it can't be dropped as a table."""
    (table,) = (t for t in dev_tables(project) if "__b__" in t)
    project.database.execute(f"DROP TABLE {table} CASCADE", f"CREATE VIEW {table} AS SELECT 1 AS n")
    return table


def dev_tables(project: Project) -> set[str]:
    """Of what prod does not have."""
    with project.native() as context:
        state = context.state_reader
        prod = {s.table_name() for s in state.get_environment("prod").snapshots}
        dev = {s.table_name() for s in state.get_environment("dev").snapshots}
    return {".".join(name.replace('"', "").split(".")[1:]) for name in dev - prod}


@pytest.mark.parametrize("batch_size", [200, 1])
def test_what_can_not_be_dropped_is_named_and_the_rest_is_dropped(
    tmp_path: Path, batch_size: int
) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    janitor = {"expired_snapshots_batch_size": batch_size}
    in_a_file = with_development(project_in(tmp_path / "p", database, janitor=janitor))
    stuck = put_in_the_way(in_a_file)
    done = sweep(in_a_file)
    (failure,) = done.failures
    assert f"w.{stuck} of " in failure
    assert "view" in failure.lower()
    assert done.counts["environments_dropped"] == 1
    assert [table.split("__")[2] for table in done.tables] == ["c"]
    assert "**Not dropped (1)**" in as_markdown(done)
    assert stuck in database.tables()
    # The state still knows of it, so that the next sweep can.
    database.execute(f"DROP VIEW {stuck}", f"CREATE TABLE {stuck} (n INT)")
    again = sweep(in_a_file)
    assert again.failures == ()
    assert again.tables == (f"w.{stuck}",)
    assert done.snapshots + again.snapshots == 2


def test_a_table_behind_a_gateway_that_is_no_more_is_named(tmp_path: Path) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    gateways = {"second": {"connection": database.connection}}
    project = project_in(tmp_path / "p", database)
    config = yaml.safe_load((project.folder / "config.yaml").read_text())
    both = {**config, "gateways": {**config["gateways"], **gateways}}
    project.write({"config.yaml": yaml.safe_dump(both)})
    project.model("far.away", "kind FULL,\ngateway second\n---\nSELECT 1 AS n")
    project.plan_natively(utc(FIRST))
    (project.folder / "models/far.away.sql").unlink()
    project.plan_natively(utc(FIRST))
    project.write({"config.yaml": yaml.safe_dump(config)})
    done = sweep(project)
    (failure,) = done.failures
    assert "far__away__" in failure
    assert "no gateway 'second' any more" in failure
    assert any("away" in table for table in database.tables())


@pytest.mark.postgres
def test_an_environment_that_can_not_be_dropped_keeps_no_other_one(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    project = with_development(
        project_in(tmp_path / "p", Database.in_postgres(postgres_database, concurrent_tasks=2))
    )
    project.plan_natively(utc(FIRST), "other", include_unmodified=True)
    project.database.execute(
        "CREATE FUNCTION keep() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM pg_event_trigger_dropped_objects() "
        "WHERE object_identity = 'mart__dev') THEN RAISE 'it is kept'; END IF; END $$",
        "CREATE EVENT TRIGGER keep ON sql_drop EXECUTE FUNCTION keep()",
    )
    done = sweep(project)
    assert {(e.name, e.whole) for e in done.environments} == {("dev", False), ("other", True)}
    (failure,) = done.failures
    assert "mart__dev" in failure
    assert "it is kept" in failure
    assert project.environment("other") is None
    assert project.environment("dev") is not None
    assert done.tables == ()  # dev still uses them
    project.database.execute("DROP EVENT TRIGGER keep")
    again = sweep(project)
    assert not again.failures
    assert len(again.tables) == 2
    assert project.environment("dev") is None


def test_a_project_that_was_never_planned_has_nothing_to_sweep(tmp_path: Path) -> None:
    project = project_in(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"))
    done = sweep(project)
    assert not done.planned
    assert "never planned" in as_markdown(done)
    assert project.database.tables() == {"src.raw"}  # and no state was made


# -- as a job -------------------------------------------------------------------------------------


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    """A project with an environment dev that has expired."""
    database = Database.in_file(tmp_path / "w.duckdb")
    project = with_development(project_in(tmp_path / "p", database, **SHORT))
    transform = Transform(tmp_path, [project])
    transform.prepare()
    time.sleep(1.2)
    yield transform
    transform.close()


def metadata(story: Story) -> Mapping[str, Any]:
    (event,) = story.of(Kind.STEP_OUTPUT)
    return {
        key.removeprefix("dagster_transform/"): value.value
        for key, value in event.event_specific_data.metadata.items()
    }


def test_the_job_reports_what_it_dropped(transform: Transform) -> None:
    story = transform.job(JOB)
    assert story.success
    told = metadata(story)
    assert told["environments_dropped"] == 1
    assert told["views_dropped"] == 3
    assert told["tables_dropped"] == 2
    assert told["versions_removed"] == 2
    assert told["not_dropped"] == 0
    assert "Environment dev, expired " in told["sweep"]
    assert "- `w.mart__dev.b`" in told["sweep"]
    assert told["sweep_json"]["environments"][0]["name"] == "dev"
    assert any(told["sweep"] in line for line in story.log)
    # Nothing but another process can tell that DuckDB's file is free.
    probe = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('SELECT 1')"
    subprocess.run([sys.executable, "-c", probe, str(transform.folder / "w.duckdb")], check=True)
    assert transform.projects[0].environment("dev") is None


def test_the_job_fails_for_what_it_could_not_drop(transform: Transform) -> None:
    stuck = put_in_the_way(transform.projects[0])
    story = transform.job(JOB)
    assert not story.success
    assert story.failure.startswith("1 could not be dropped; all else is done:\n- ")
    assert '"mart"."b"' in story.failure
    assert metadata(story)["tables_dropped"] == 1
    assert stuck in transform.projects[0].database.tables()


def test_a_project_may_take_that_for_a_warning(tmp_path: Path) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    config = {**SHORT, "janitor": {"warn_on_delete_failure": True}}
    project = with_development(project_in(tmp_path / "p", database, **config))
    transform = Transform(tmp_path, [project])
    transform.prepare()
    time.sleep(1.2)
    put_in_the_way(project)
    story = transform.job(JOB)
    assert story.success
    assert metadata(story)["not_dropped"] == 1
    transform.close()


def test_a_run_of_models_drops_nothing(transform: Transform) -> None:
    run = transform.run(execution_time="2024-03-07T10:30:00+00:00")
    assert run.success
    assert transform.projects[0].environment("dev") is not None
    assert transform.projects[0].database.tables("mart__dev")


def test_a_file_that_somebody_holds_is_one_clear_failure(transform: Transform) -> None:
    file = str(transform.folder / "w.duckdb")
    hold = f"import duckdb, sys; c = duckdb.connect({file!r}); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        story = transform.job(JOB)
        holder.communicate("\n", timeout=10)
    assert not story.success
    assert "Another process holds the DuckDB file" in story.failure
