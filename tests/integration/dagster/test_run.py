"""Runs of what an environment has: live, exactly what was selected, with options that reach all."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterEventType as Kind

from dagster_transform import TransformResource
from dagster_transform.config import TransformConfig
from dagster_transform.runs.options import RunOptionError
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import OUTCOME
from tests.support.transforms import Transform, python_asset

FIRST = utc("2024-03-05 10:30")
NEXT_DAY = "2024-03-06T10:30:00+00:00"
SAME_DAY = "2024-03-05T11:30:00+00:00"

MODELS = {
    "mart.a": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        audits (not_null(columns := (id)), small(blocking := false))
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.b": """
        kind FULL,
        audits (number_of_rows(threshold := 0))
        ---
        SELECT COUNT(*) AS n FROM mart.a
    """,
    "mart.weekly": "kind FULL,\ncron '@weekly'\n---\nSELECT COUNT(*) AS n FROM mart.a",
    "mart.grand": "kind FULL\n---\nSELECT n FROM mart.weekly",
}
FILES = {"audits/small.sql": "AUDIT (name small);\nSELECT * FROM @this_model WHERE id > 10;\n"}
ONLY_SMALL = """
small_alone = dg.define_asset_job(
    "small_alone",
    selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["w", "mart", "a"]), "small")),
)
"""
CODE = (
    python_asset("on_weekly", ["w", "mart", "weekly"])
    + python_asset("on_b", ["w", "mart", "b"])
    + ONLY_SMALL
)
MODULE = """
import dagster as dg
from pathlib import Path
from dagster_transform import build_transform_definitions

assets = []
{code}
defs = dg.Definitions.merge(
    build_transform_definitions(Path(__file__).parent),
    dg.Definitions(assets=assets, jobs=[small_alone]),
)
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database in which the project was planned natively at FIRST."""
    folder = tmp_path_factory.mktemp("template")
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS, files=FILES)
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    project.database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
    )
    project.plan_natively(FIRST)
    return folder / "w.duckdb"


@pytest.fixture
def transform(template: Path, tmp_path: Path) -> Iterator[Transform]:
    shutil.copy(template, tmp_path / "w.duckdb")
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS, files=FILES)
    transform = Transform(tmp_path, [project], code=CODE, module=MODULE)
    transform.prepare()
    yield transform
    transform.close()


def state(transform: Transform) -> dict[str, Any]:
    database = transform.projects[0].database
    return {**database.contents(MODELS), "intervals": database.intervals()}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Names of the models whose data or recorded intervals differ."""
    names = {name for name in MODELS if before[name] != after[name]}
    old, new = before["intervals"], after["intervals"]
    for key in old.keys() | new.keys():
        if old.get(key) != new.get(key):
            names.add(key[0].split(".", 1)[1].replace('"', ""))
    return names


# -- live ------------------------------------------------------------------------------------------


def test_a_later_run_is_live_and_lets_python_assets_go_on_from_what_is_up_to_date(
    transform: Transform,
) -> None:
    before = state(transform)
    run = transform.run(execution_time=NEXT_DAY, ignore_cron=False)
    assert run.success
    # A due parent, a weekly child that is up to date, a grandchild that is due again.
    assert run.started == ["mart.a", *(s for s in run.started if s != "mart.a")]
    assert set(run.started) == {"mart.a", "mart.b", "mart.grand"}
    assert changed(before, state(transform)) == {"mart.a", "mart.b", "mart.grand"}
    # Dagster has never heard of `weekly`, which SQLMesh itself has built: it is synced.
    assert sorted(run.materialized) == ["a", "b", "grand", "on_b", "on_weekly", "weekly"]
    synced = run.materialization("weekly").metadata
    assert synced[OUTCOME].value == "synced"
    built_at = synced["dagster_transform/built_at"].value
    assert 0 < time.time() - built_at < 600
    assert run.up_to_date == ["weekly"]
    assert run.observed == {}
    assert run.checks == {"a:not_null": True, "a:small": False, "b:number_of_rows": True}
    # Stored while the run still had models to start, not at its end.
    first = min(run.stored(Kind.ASSET_MATERIALIZATION, n) for n in ("a", "b", "grand"))
    assert first < run.began(run.started[-1])
    assert run.stored(Kind.ASSET_MATERIALIZATION, "a") == first
    metadata = run.materialization("a").metadata
    assert metadata["dagster_transform/intervals"].value == "2024-03-05"
    assert metadata["dagster/row_count"].value == 15


def test_what_was_built_outside_of_dagster_is_judged_once_by_the_first_run_that_knows_of_it(
    transform: Transform,
) -> None:
    """Nobody else would until it is built again; so it goes with what a killed run had built."""
    assert transform.run(execution_time=SAME_DAY).success
    transform.projects[0].run_natively(NEXT_DAY)
    run = transform.run(execution_time=NEXT_DAY, ignore_cron=False)
    assert run.success
    assert run.started == []
    assert run.materialization("a").metadata[OUTCOME].value == "synced"
    assert run.checks == {"a:not_null": True, "a:small": False, "b:number_of_rows": True}
    assert transform.run(execution_time=NEXT_DAY, ignore_cron=False).checks == {}


# -- exactly what was selected ---------------------------------------------------------------------


def test_one_selected_asset_is_built_with_its_checks_and_nothing_else(
    transform: Transform,
) -> None:
    transform.projects[0].database.execute("DELETE FROM src.raw")
    before = state(transform)
    run = transform.run(["mart.b"], execution_time=SAME_DAY)
    assert run.success
    assert run.materialized == ["b"]
    assert run.observed == {}
    assert run.up_to_date == []
    assert run.checks == {"b:number_of_rows": True}
    assert run.started == ["mart.b"]
    assert changed(before, state(transform)) <= {"mart.b"}


@pytest.mark.parametrize(("check", "passed"), [("small", False), ("not_null", True)])
def test_one_selected_check_runs_alone(transform: Transform, check: str, passed: bool) -> None:
    before = state(transform)
    run = transform.run([], [f"mart.a:{check}"], execution_time=SAME_DAY)
    assert run.success  # `small` only warns
    assert run.checks == {f"a:{check}": passed}
    assert run.materialized == []
    assert run.observed == {}
    assert run.started == []
    assert changed(before, state(transform)) == set()


def test_a_blocking_check_that_fails_alone_fails_its_run_and_is_stored(
    transform: Transform,
) -> None:
    database = transform.projects[0].database
    ((view,),) = database.rows(
        "SELECT sql FROM duckdb_views() WHERE schema_name = 'mart' AND view_name = 'a'"
    )
    physical = view.partition(" FROM ")[2].rstrip("; ")
    database.execute(f"INSERT INTO {physical} VALUES (NULL, DATE '2024-03-02')")
    run = transform.run([], ["mart.a:not_null"], execution_time=SAME_DAY)
    assert run.checks == {"a:not_null": False}
    assert not run.success
    assert "/mart/a:not_null" in run.failure
    assert "1 row" in run.failure
    assert run.materialized == []


def test_the_command_line_runs_one_asset_and_a_job_of_one_check(transform: Transform) -> None:
    before = state(transform)
    run = transform.materialize("key:w/mart/b", execution_time=SAME_DAY)
    assert run.success
    assert run.materialized == ["b"]
    assert run.checks == {"b:number_of_rows": True}
    assert run.observed == {}
    assert run.started == ["mart.b"]
    done = transform.command(
        "dagster", "job", "execute", "-j", "small_alone",
        "-f", str(transform.module), "-a", "defs", "-d", str(transform.folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    alone = transform.stories()[-1]
    assert alone.success
    assert alone.checks == {"a:small": False}
    assert alone.materialized == []
    assert alone.started == []
    assert changed(before, state(transform)) == set()  # equal data: a rebuild of what was there


# -- options ---------------------------------------------------------------------------------------

HALVES = {
    "mart.one": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.two": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT id, ds FROM src.mid WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.r1": "kind FULL\n---\nSELECT 1 / divisor AS n, PG_SLEEP(0.5)::TEXT AS z FROM src.control",
    "mart.r2": "kind FULL\n---\nSELECT 1 / divisor AS n, PG_SLEEP(0.5)::TEXT AS z FROM src.control",
    "mart.s1": "kind FULL\n---\nSELECT 1 / divisor AS n, PG_SLEEP(0.5)::TEXT AS z "
    "FROM src.control, (SELECT COUNT(*) AS n FROM src.mid) AS m",
    "mart.s2": "kind FULL\n---\nSELECT 1 / divisor AS n, PG_SLEEP(0.5)::TEXT AS z "
    "FROM src.control, (SELECT COUNT(*) AS n FROM src.mid) AS m",
    "mart.w1": "kind FULL,\ncron '@weekly'\n---\nSELECT COUNT(*) AS n FROM src.raw",
    "mart.w2": "kind FULL,\ncron '@weekly'\n---\nSELECT COUNT(*) AS n FROM src.mid",
}
EXTERNAL = """
- name: src.raw
  columns: {id: INT, ds: DATE}
- name: src.mid
  columns: {id: INT, ds: DATE}
- name: src.control
  columns: {divisor: INT}
"""


@pytest.mark.postgres
def test_options_reach_both_sides_of_a_python_asset_between_two_models(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    database = Database.in_postgres(postgres_database)
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw AS SELECT i AS id, DATE '2024-03-01' + i / 3 AS ds "
        "FROM generate_series(0, 41) AS s(i)",
        "CREATE TABLE src.mid AS SELECT * FROM src.raw",
        "CREATE TABLE src.control AS SELECT 1 AS divisor",
    )
    project = Project(tmp_path / "p", database, HALVES, files={"external_models.yaml": EXTERNAL})
    project.plan_natively(FIRST)
    middle = python_asset(
        "middle",
        [database.catalog, "mart", "one"],
        key=repr([database.catalog, "src", "mid"]),
    )
    transform = Transform(tmp_path, [project], code=middle)
    transform.prepare()
    first_half, second_half = {"mart.one", "mart.r1", "mart.r2"}, {"mart.two", "mart.s1", "mart.s2"}

    run = transform.run(execution_time=NEXT_DAY, ignore_cron=False, max_concurrent_models=1)
    assert run.success
    assert len({r.event_log_entry.step_key for r in run.records} - {None}) == 3
    assert set(run.started) == first_half | second_half
    assert set(run.up_to_date) == {"w1", "w2"}
    for name in ("one", "two"):  # execution_time: a day more on both sides
        metadata = run.materialization(name).metadata
        assert metadata["dagster_transform/intervals"].value == "2024-03-05"
    assert len(database.content("mart.one")) == len(database.content("mart.two")) == 15
    assert run.most_at_once(*first_half) == run.most_at_once(*second_half) == 1
    assert run.stored(Kind.ASSET_MATERIALIZATION, "mid") < run.began("mart.s1")

    run = transform.run(execution_time=NEXT_DAY, ignore_cron=True, max_concurrent_models=3)
    assert run.success
    assert {"mart.w1", "mart.w2", "mart.r1", "mart.s1"} <= set(run.started)
    assert set(run.up_to_date) == {"one", "two"}
    assert "mid" in run.materialized  # its upstream is up to date
    assert run.most_at_once("mart.r1", "mart.r2", "mart.w1") > 1
    assert run.most_at_once("mart.s1", "mart.s2", "mart.w2") > 1

    database.execute("UPDATE src.control SET divisor = 0")
    run = transform.run(execution_time=NEXT_DAY, fail_fast=True, max_concurrent_models=1)
    assert not run.success
    assert run.observed == {
        "r1": ["failed"], "r2": ["cancelled"], "w1": ["cancelled"],
        "s1": ["failed"], "s2": ["cancelled"], "w2": ["cancelled"],
    }  # fmt: skip
    transform.close()


def test_a_bad_option_is_told_before_anything_starts(
    transform: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(transform)
    run = transform.run(execution_time="yesterday")
    assert "execution_time 'yesterday' is not an ISO 8601 time with an offset" in run.failure
    run = transform.run(execution_time="2024-03-06T10:30:00")
    assert "with an offset" in run.failure
    monkeypatch.setenv("MAX_CONCURRENT_MODELS", "many")
    run = transform.run()
    assert "MAX_CONCURRENT_MODELS is 'many', which is not a number above 0" in run.failure
    assert run.materialized == []
    assert run.observed == {}
    assert changed(before, state(transform)) == set()


def test_a_tick_builds_what_is_due_and_a_person_what_was_selected(transform: Transform) -> None:
    tags = {"dagster/schedule_name": "nightly"}
    tick = transform.run(["mart.b"], tags=tags, execution_time=SAME_DAY)
    assert tick.started == []
    assert tick.up_to_date == ["b"]
    person = transform.run(["mart.b"], execution_time=SAME_DAY)
    assert person.started == ["mart.b"]


def test_the_limit_comes_from_the_run_then_the_environment_then_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MAX_CONCURRENT_MODELS", raising=False)
    projects = {"m": {"framework": "sqlmesh", "path": "."}, "d": {"framework": "dbt", "path": "."}}
    unset = TransformConfig.model_validate({"projects": projects}, context={"root": Path.cwd()})
    seven = unset.model_copy(update={"max_concurrent_models": 7})

    def bound(config: TransformConfig, **options: int) -> tuple[int, set[str]]:
        found = TransformResource(**options).limits(config)
        return found.max_concurrent_models, set(found.unbounded)

    assert bound(unset) == (5, {"d"}), "dbt follows its threads, where nobody has said how many"
    assert bound(seven) == (7, set()), "said in the file: over both"
    assert bound(unset, max_concurrent_models=2) == (2, set())
    monkeypatch.setenv("MAX_CONCURRENT_MODELS", " 3 ")
    assert bound(unset) == bound(seven) == (3, set())
    assert bound(seven, max_concurrent_models=2) == (2, set())
    for wrong in ("0", "-1", "2.5", "x"):
        monkeypatch.setenv("MAX_CONCURRENT_MODELS", wrong)
        with pytest.raises(RunOptionError, match=f"MAX_CONCURRENT_MODELS is '{wrong}'"):
            TransformResource().limits(seven)
    monkeypatch.setenv("MAX_CONCURRENT_MODELS", "")
    assert bound(seven) == (7, set())


@pytest.mark.parametrize("wrong", [{"max_concurrent_models": 0}, {"retries": -1}, {"plan": "ask"}])
def test_options_of_the_wrong_kind_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TransformResource(**wrong)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, True),
        ({"dagster/schedule_name": "s"}, False),
        ({"dagster/sensor_name": "s"}, False),
        ({"dagster/from_automation_condition": "true"}, False),
        ({"dagster/partition": "p", "team": "x"}, True),
    ],
)
def test_who_launched_a_run_decides_whether_crons_count(
    tags: Mapping[str, str], expected: bool
) -> None:
    assert TransformResource().ignores_cron(tags) is expected
    assert TransformResource(ignore_cron=True).ignores_cron(tags) is True
    assert TransformResource(ignore_cron=False).ignores_cron(tags) is False
