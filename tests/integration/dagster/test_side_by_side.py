"""Two environments of one SQLMesh project, and two targets of one dbt project, in one transform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dagster import DagsterEventType

from dagster_transform.config import load_config
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

NOW = "2024-03-05T10:30:00+00:00"
MODELS = {
    "marts.daily": """
        kind FULL,
        audits (not_null(columns := (n)))
        ---
        SELECT n::INT AS n FROM w.main.items
    """
}
DBT = {
    "models/items.sql": "{{ config(materialized='table') }} select n from {{ source('raw', 'i') }}",
    "models/schema.yml": """
        sources:
          - name: raw
            tables: [{name: i, columns: [{name: n, data_tests: [not_null]}]}]
        models:
          - {name: items, columns: [{name: n, data_tests: [not_null]}]}
    """,
}
"""`w.main.items` is what target `test` builds."""


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    database = Database.in_file(tmp_path / "w.duckdb")
    database.execute("CREATE SCHEMA raw", "CREATE TABLE raw.i AS SELECT 1 AS n")
    project = Project(tmp_path / "p", database, MODELS)
    dbt = DbtProject(tmp_path / "d", database, DBT)
    profiles = yaml.safe_load((dbt.folder / "profiles.yml").read_text())
    outputs = profiles["shop"]["outputs"]
    outputs["dev"] = outputs["test"] | {"schema": "development"}
    (dbt.folder / "profiles.yml").write_text(yaml.safe_dump(profiles))
    beside = {"framework": "sqlmesh", "path": "p", "environment": "dev", "plan": "auto"}
    of_dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
    found = Transform(
        tmp_path,
        [project],
        further={
            "p_dev": {**beside, "key_prefix": "dev"},
            "d": of_dbt,
            "d_dev": {**of_dbt, "target": "dev", "key_prefix": "dev"},
        },
        plan="auto",
    )
    yield found
    found.close()


def test_both_are_built_checked_and_told_apart(transform: Transform) -> None:
    transform.prepare()
    graphs = sorted(p.name for p in (transform.folder / ".dagster_transform").glob("*.graph.json"))
    assert graphs == [f"{name}.graph.json" for name in ("d", "d_dev", "p", "p_dev")]
    story = transform.run(execution_time=NOW)
    assert story.success, story.failure
    made = story.of(DagsterEventType.ASSET_MATERIALIZATION)
    paths = {"/".join(event.asset_key.path) for event in made}
    assert paths == {"items", "dev/items", "w/marts/daily", "dev/w/marts/daily"}
    rows = transform.projects[0].database.content
    tables = ("main.items", "development.items", "marts.daily", "marts__dev.daily")
    assert [rows(name) for name in tables] == [[(1,)]] * 4
    # One check on the source that both targets read, of each; and one on each asset.
    assert sum(name.startswith("i:") for name in story.checks) == 2
    assert all(story.checks.values())
    again = transform.run(execution_time=NOW)
    assert again.success, again.failure


def test_one_of_them_alone_leaves_the_other_alone(transform: Transform) -> None:
    transform.prepare()
    assert transform.run(execution_time=NOW).success
    database = transform.projects[0].database
    database.execute("UPDATE raw.i SET n = 2")
    story = transform.run(["dev/items", "dev/w/marts/daily"], execution_time=NOW)
    assert story.success, story.failure
    assert database.content("development.items") == [(2,)]
    assert database.content("main.items") == [(1,)]


def test_without_a_prefix_the_error_says_what_to_do(transform: Transform) -> None:
    transform.further["p_dev"] = {**transform.further["p_dev"], "key_prefix": ""}
    transform.configure(plan="auto")
    transform.prepare()
    with pytest.raises(Exception, match="Give one of the projects p and p_dev a key_prefix"):
        transform.repository()


def test_targets_whose_sources_are_in_two_databases(tmp_path: Path) -> None:
    """The source is one asset then; the tests of both targets stand on it under two names."""
    first, second = (Database.in_file(tmp_path / f"{name}.duckdb") for name in ("w", "v"))
    for database in (first, second):
        database.execute("CREATE SCHEMA raw", "CREATE TABLE raw.i AS SELECT 1 AS n")
    dbt = DbtProject(tmp_path / "d", first, DBT)
    profiles = yaml.safe_load((dbt.folder / "profiles.yml").read_text())
    outputs = profiles["shop"]["outputs"]
    outputs["other"] = outputs["test"] | {"path": str(tmp_path / "v.duckdb")}
    (dbt.folder / "profiles.yml").write_text(yaml.safe_dump(profiles))
    of_dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
    further = {"d": of_dbt, "e": {**of_dbt, "target": "other", "key_prefix": "e"}}
    transform = Transform(tmp_path, [], further=further)
    transform.prepare()
    story = transform.run(execution_time=NOW)
    assert story.success, story.failure
    assert {name for name in story.checks if name.startswith("i:")} == {
        "i:source_not_null_raw_i_n",
        "i:source_not_null_raw_i_n_e",
    }
    transform.close()


def test_a_variable_is_the_same_when_prepared_and_when_run(tmp_path: Path) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    files = {
        "models/m.sql": "{{ config(materialized='table') }} select {{ var('n') }} as n,"
        " {{ var('m', 5) }} as m",
    }
    DbtProject(tmp_path / "d", database, files)
    of_dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d", "vars": {"n": 7}}
    transform = Transform(tmp_path, [], further={"d": of_dbt})
    transform.prepare()
    assert transform.run(execution_time=NOW).success
    assert database.content("m") == [(7, 5)]
    assert transform.run(execution_time=NOW, dbt={"vars": {"m": 6}}).success
    assert database.content("m") == [(7, 6)]  # a run's come on top
    transform.further["d"] = {**of_dbt, "vars": {"n": 8}}
    transform.configure()
    story = transform.materialize("m", execution_time=NOW)
    assert not story.success
    assert "was made with other vars than transform.yaml says" in story.failure
    assert "dagster-transform prepare" in story.failure
    assert database.content("m") == [(7, 6)]
    transform.prepare()
    assert transform.materialize("*", execution_time=NOW).success
    assert database.content("m") == [(8, 5)]
    transform.close()


def test_the_state_of_a_deferring_run_is_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t").mkdir()
    database = Database.in_file(tmp_path / "t" / "w.duckdb")
    files = {
        "models/up.sql": "{{ config(materialized='table') }} select 1 as n",
        "models/down.sql": "{{ config(materialized='table') }} select n from {{ ref('up') }}",
    }
    dbt = DbtProject(tmp_path / "t" / "d", database, files)
    dbt.dbt("build")  # target `test`, schema main
    (tmp_path / "t" / "artifacts").mkdir()
    (dbt.folder / "target" / "manifest.json").rename(tmp_path / "t" / "artifacts" / "manifest.json")
    profiles = yaml.safe_load((dbt.folder / "profiles.yml").read_text())
    outputs = profiles["shop"]["outputs"]
    outputs["dev"] = outputs["test"] | {"schema": "development"}
    (dbt.folder / "profiles.yml").write_text(yaml.safe_dump(profiles))
    of_dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d", "target": "dev"}
    transform = Transform(tmp_path / "t", [], further={"d": of_dbt})
    transform.prepare()
    monkeypatch.chdir(tmp_path)
    as_option = transform.run(
        ["down"], execution_time=NOW, dbt={"defer": True, "state": "artifacts"}
    )
    assert as_option.success, as_option.failure
    assert database.content("development.down") == [(1,)]
    transform.further["d"] = {**of_dbt, "state": "artifacts"}
    transform.configure()
    assert load_config(tmp_path / "t").project("d")
    transform.prepare()
    database.execute("UPDATE main.up SET n = 2")
    assert transform.materialize("down", execution_time=NOW, dbt={"defer": True}).success
    assert database.content("development.down") == [(2,)]
    transform.close()


def test_an_external_table_is_a_python_asset_without_python(tmp_path: Path) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    database.execute("CREATE SCHEMA raw", "CREATE TABLE raw.events AS SELECT 1 AS n")
    models = {"mart.a": "kind FULL\n---\nSELECT n FROM raw.events"}
    project = Project(tmp_path / "p", database, models)
    code = """
        @dg.asset(key=["landing", "events"])
        def events():
            import duckdb
            with duckdb.connect(str(ROOT / "w.duckdb")) as connection:
                connection.execute("UPDATE raw.events SET n = n + 1")

        assets.append(events)
    """
    transform = Transform(
        tmp_path, [project], code=code, plan="auto", source_keys={"raw.events": "landing/events"}
    )
    transform.prepare()
    story = transform.run(execution_time=NOW)
    assert story.success, story.failure
    assert database.content("mart.a") == [(2,)]  # the Python asset came first
    transform.close()


def test_the_job_of_a_plan_plans_what_is_left_out_too(tmp_path: Path) -> None:
    """An environment is planned as a whole; what runs see of it is what was selected."""
    database = Database.in_file(tmp_path / "w.duckdb")
    models = {
        "mart.a": "kind FULL\n---\nSELECT 1 AS n",
        "mart.b": "kind FULL\n---\nSELECT n FROM mart.a",
    }
    project = Project(tmp_path / "p", database, models)
    transform = Transform(tmp_path, [project], select="mart.b")
    transform.prepare()
    story = transform.job("p_plan", {"apply": True})
    assert story.success, story.failure
    assert project.environment() is not None
    assert database.content("mart.b") == [(1,)]
    assert transform.run(execution_time=NOW).success
    transform.close()
