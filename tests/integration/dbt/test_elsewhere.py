"""Environment variables of a run that are not those of `prepare`: dbt's own word counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.dbt_beside import NATIVE, OURS, Beside
from tests.support.dbt_project_runs import BOTH, TABLE
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_transforms import OfDbt
from tests.support.overlapping_runs import store_of
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

FILES = {
    "models/orders.sql": TABLE + "SELECT 1 AS id",
    "models/shop.sql": "{{ config(schema='fixed') }}\n"
    + TABLE
    + "SELECT id FROM {{ ref('orders') }}",
    "models/schema.yml": """
        models: [{name: orders, columns: [{name: id, data_tests: [not_null]}]}]
        """,
}
SCHEMA = {"models": {"shop": {"+schema": "{{ env_var('WHERE', 'here') }}"}}}


def claimed(transform: Transform) -> set[str]:
    """What has been claimed until now."""
    return {str(event.resource_key) for event in store_of(transform).events()}


@BOTH
def test_tables_that_are_built_elsewhere_are_claimed_there_and_told(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Beside(tmp_path, database, FILES, project=SCHEMA).prepare()
    monkeypatch.setenv("WHERE", "there")
    statuses, success = project.build()
    story = project.transform.run()
    assert story.success is success is True
    assert statuses.keys() >= {"orders", "shop"}
    for schema in (NATIVE, OURS):
        assert f"{schema}_there.orders" in database.tables(f"{schema}%")
        assert f"{schema}_here.orders" not in database.tables(f"{schema}%")
    tables = {key.rpartition("/")[2] for key in claimed(project.transform) if "table:" in key}
    assert any("ours_there.orders" in key for key in claimed(project.transform)), tables
    assert not any("ours_here.orders" in key for key in claimed(project.transform)), tables
    [warning] = [line for line in story.log if "relations elsewhere in this run" in line]
    assert "orders is" in warning
    assert "dagster-transform prepare --project d" in warning
    metadata = story.materialization("orders").metadata
    words = str(metadata["dagster_transform/elsewhere"].value)
    assert "ours_there.orders (the graph file says" in words
    assert "ours_here.orders" in words
    assert "dagster_transform/elsewhere" not in story.materialization("shop").metadata

    # As the warning says.
    project.transform.prepare()
    story = project.transform.materialize("*")  # in a process that loads the new graph file
    assert story.success
    assert not any("elsewhere" in line for line in story.log)


def test_another_file_is_claimed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database.in_file(tmp_path / "w.duckdb")
    other = tmp_path / "other.duckdb"
    path = f"{{{{ env_var('DB_FILE', '{tmp_path / 'w.duckdb'}') }}}}"
    transform = OfDbt(tmp_path, DbtProject(tmp_path / "d", database, FILES, profile={"path": path}))
    transform.prepare()
    monkeypatch.setenv("DB_FILE", str(other))
    story = transform.run()
    assert story.success
    assert Database.in_file(other).rows("SELECT * FROM main.orders") == [(1,)]
    assert any(key.startswith("file:") and "other.duckdb" in key for key in claimed(transform))
    assert any("relations elsewhere in this run" in line for line in story.log)
    transform.close()


def test_what_reads_the_graphs_relation_in_another_project_is_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its intervals would be recorded over a table that this run does not build."""
    database = Database.in_file(tmp_path / "w.duckdb")
    DbtProject(tmp_path / "d", database, FILES, project=SCHEMA)
    models = {
        "marts.by_id": "kind FULL\n---\nSELECT id FROM w.main_here.orders",
        "marts.below": "kind FULL\n---\nSELECT id FROM marts.by_id",
        "marts.apart": "kind FULL\n---\nSELECT 1 AS one",
    }
    dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
    sqlmesh = Project(tmp_path / "p", database, models)
    transform = Transform(tmp_path, [sqlmesh], further={"d": dbt}, plan="auto")
    transform.prepare()
    assert transform.run(execution_time="2024-03-05T10:30:00+00:00").success
    monkeypatch.setenv("WHERE", "there")
    story = transform.run(execution_time="2024-03-06T10:30:00+00:00")
    assert not story.success
    assert set(story.materialized) == {"orders", "shop", "apart"}
    assert story.observed["by_id"] == story.observed["below"] == ["blocked"]
    reason = story.reason("by_id")
    elsewhere = "this run builds here/orders as w.main_there.orders"
    assert f"it reads w.main_here.orders, and {elsewhere}" in reason
    assert "dagster-transform prepare --project d" in reason
    transform.close()


def test_what_reads_the_runs_relation_in_another_project_is_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph does not know that it waits for this run's build: it would come first."""
    database = Database.in_file(tmp_path / "w.duckdb")
    DbtProject(tmp_path / "d", database, FILES, project=SCHEMA)
    database.execute("CREATE SCHEMA main_there", "CREATE TABLE main_there.orders AS SELECT 0 AS id")
    models = {
        "marts.by_id": "kind FULL\n---\nSELECT id::INT AS id FROM w.main_there.orders",
        "marts.apart": "kind FULL\n---\nSELECT 1 AS one",
    }
    dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
    sqlmesh = Project(tmp_path / "p", database, models)
    transform = Transform(tmp_path, [sqlmesh], further={"d": dbt}, plan="auto")
    transform.prepare()
    assert transform.run(execution_time="2024-03-05T10:30:00+00:00").success
    monkeypatch.setenv("WHERE", "there")
    story = transform.run(execution_time="2024-03-06T10:30:00+00:00")
    assert not story.success
    assert set(story.materialized) == {"orders", "shop", "apart"}
    assert story.observed["by_id"] == ["blocked"]
    reason = story.reason("by_id")
    assert "it reads w.main_there.orders, which this run builds (here/orders)" in reason
    assert "dagster-transform prepare --project d" in reason

    # As it says.
    transform.prepare()
    story = transform.materialize("*")
    assert story.success
    assert database.rows("SELECT id FROM marts.by_id") == [(1,)]
    transform.close()


def in_files_of_the_environment(folder: Path) -> Transform:
    """A dbt project and a SQLMesh project that reads it, each in a file that a variable names."""
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    first = folder / "one" / "w.duckdb"

    def path(variable: str) -> str:
        return f'{{{{ env_var("{variable}", "{first}") }}}}'

    database = Database.in_file(first)
    DbtProject(folder / "d", database, FILES, project=SCHEMA, profile={"path": path("DBT_FILE")})
    connection = {"type": "duckdb", "database": path("MARTS_FILE")}
    config = {"gateways": {"local": {"connection": connection}}, "default_gateway": "local"}
    models = {"marts.by_id": "kind FULL\n---\nSELECT id::INT AS id FROM w.main_here.orders"}
    sqlmesh = Project(folder / "p", database, models, config=config)
    dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
    transform = Transform(folder, [sqlmesh], further={"d": dbt}, plan="auto")
    transform.prepare()
    assert transform.run(execution_time="2024-03-05T10:30:00+00:00").success
    return transform


def test_two_projects_that_have_moved_together_still_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = in_files_of_the_environment(tmp_path)
    other = tmp_path / "two" / "w.duckdb"
    monkeypatch.setenv("DBT_FILE", str(other))
    monkeypatch.setenv("MARTS_FILE", str(other))
    story = transform.run(execution_time="2024-03-06T10:30:00+00:00")
    assert story.success
    assert Database.in_file(other).rows("SELECT id FROM marts.by_id") == [(1,)]
    transform.close()


def test_a_project_that_has_moved_alone_reads_nothing_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = in_files_of_the_environment(tmp_path)
    other = Database.in_file(tmp_path / "two" / "w.duckdb")
    other.execute("CREATE SCHEMA main_here", "CREATE TABLE main_here.orders AS SELECT 0 AS id")
    monkeypatch.setenv("MARTS_FILE", str(tmp_path / "two" / "w.duckdb"))
    story = transform.run(execution_time="2024-03-06T10:30:00+00:00")
    assert not story.success
    assert set(story.materialized) == {"orders", "shop"}
    reason = story.reason("by_id")
    assert f"it reads w.main_here.orders in duckdb:{tmp_path}/two/w.duckdb in this run" in reason
    assert "dagster-transform prepare --project p" in reason
    transform.close()
