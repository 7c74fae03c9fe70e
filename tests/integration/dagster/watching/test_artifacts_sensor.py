"""The artifacts sensor of a dbt project: what it tells of invocations outside of Dagster."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest
import yaml

from dagster_transform.dbt.files.run_results import newest_run_results, read_invocation
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database
from tests.support.transforms import Transform
from tests.support.watching import look_at_artifacts, metadata, told

FILES = {
    "models/orders.sql": "{{ config(materialized='table') }}\nSELECT 1 AS id, 2 AS amount",
    "models/sums.sql": "SELECT SUM(amount) AS amount FROM {{ ref('orders') }}",
    "models/broken.sql": "SELECT 1 / nothing AS x FROM {{ ref('orders') }}",
    "models/schema.yml": """
        models:
          - name: orders
            columns:
              - name: id
                data_tests:
                  - unique
                  - accepted_values: {values: [5], config: {severity: warn}}
              - name: amount
                data_tests:
                  - accepted_values: {values: [5]}
    """,
}
UNIQUE, WARNING, FAILING = (
    "unique_orders_id",
    "accepted_values_orders_id__5",
    "accepted_values_orders_amount__5",
)


@pytest.fixture(scope="module")
def transform(tmp_path_factory: pytest.TempPathFactory) -> Transform:
    folder = tmp_path_factory.mktemp("watched")
    database = Database.in_file(folder / "w.duckdb")
    project = DbtProject(folder / "d", database, FILES)
    entry = {"framework": "dbt", "path": "d", "profiles_dir": "d", "watch": "artifacts"}
    transform = Transform(folder, [], further={"d": entry})
    transform.prepare()
    project.dbt("build", check=False)
    return transform


def put(transform: Transform, name: str = "", only: Sequence[str] = ()) -> Path:
    """Put the artifacts of the last invocation into the watched folder."""
    folder = transform.folder / "artifacts" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in only or ("manifest.json", "run_results.json"):
        shutil.copy(transform.folder / "d" / "target" / file, folder)
    return folder


def again(transform: Transform, *arguments: str) -> None:
    project = DbtProject(transform.folder / "d", Database.in_file(transform.folder / "w.duckdb"))
    project.dbt(*arguments, check=False)


def look(transform: Transform, times: int = 1) -> list[str]:
    """Evaluations of sensors that have lost their cursors."""
    for _ in range(times):
        _, said = look_at_artifacts(transform, "d")
    return said


def counts(transform: Transform) -> list[int]:
    return [len(told(transform, [name])) for name in ("orders", "sums", "broken")]


def results(transform: Transform, name: str) -> list[dg.AssetCheckEvaluation]:
    key = dg.AssetCheckKey(dg.AssetKey(["orders"]), name)
    found = transform.instance.event_log_storage.get_asset_check_execution_history(key, limit=9)
    return [each.evaluation for each in reversed(found) if each.evaluation is not None]


def test_an_invocation_is_told_once(transform: Transform) -> None:
    (said,) = look_at_artifacts(transform, "d")[1]
    assert said.startswith("There is no run_results.json in ")
    put(transform)
    cursor, said = look_at_artifacts(transform, "d")
    assert "results of checks from outside" in "\n".join(said)
    assert look_at_artifacts(transform, "d", cursor)[1] == [
        "Nothing has changed since it looked last."
    ]
    assert look(transform, 2) == ["What the artifacts say is known."]
    assert counts(transform) == [1, 0, 0]
    (invocation,) = filter(None, map(read_invocation, newest_run_results(transform.folder / "d")))
    said_of = metadata(told(transform, ["orders"])[0])
    assert said_of["outcome"] == "synced"
    assert said_of["command"] == "dbt build"
    assert said_of["invocation_id"] == invocation.id
    assert said_of["built_at"] == pytest.approx(invocation.built_at["model.shop.orders"], abs=0.001)
    found = {name: results(transform, name) for name in (UNIQUE, WARNING, FAILING)}
    assert [len(each) for each in found.values()] == [1, 1, 1]
    assert [each[0].passed for each in found.values()] == [True, False, False]
    severities = [each[0].severity.value for each in found.values()]
    assert severities == ["ERROR", "WARN", "ERROR"]


def test_the_next_one_is_told_too_and_others_are_not(transform: Transform) -> None:
    put(transform)
    look(transform)
    before = counts(transform)[0], len(results(transform, UNIQUE))
    again(transform, "compile")  # it calls all models a success
    put(transform)
    again(transform, "run", "--empty")
    put(transform, "empty")
    put(transform, "test", ["manifest.json"])  # of another invocation
    again(transform, "test", "--select", "unique_orders_id")
    put(transform, "test", ["run_results.json"])
    (transform.folder / "artifacts" / "torn").mkdir(exist_ok=True)
    (transform.folder / "artifacts" / "torn" / "run_results.json").write_text('{"metadata": ')
    said = look(transform)
    assert "torn" in "\n".join(said)
    assert (counts(transform)[0], len(results(transform, UNIQUE))) == before
    put(transform, "test")  # now it is said where the test's target is
    again(transform, "run", "--select", "orders")
    put(transform, "run")
    look(transform, 2)
    after = counts(transform)[0], len(results(transform, UNIQUE))
    assert after == (before[0] + 1, before[1] + 1)
    shutil.rmtree(transform.folder / "artifacts")


def test_another_target_is_left_out(transform: Transform) -> None:
    before = counts(transform)[0], len(results(transform, UNIQUE))
    project = DbtProject(transform.folder / "d", Database.in_file(transform.folder / "w.duckdb"))
    profiles = project.folder / "profiles.yml"
    raw = yaml.safe_load(profiles.read_text())
    raw["shop"]["outputs"]["dev"] = {**raw["shop"]["outputs"]["test"], "schema": "dev"}
    profiles.write_text(yaml.safe_dump(raw))
    project.dbt("build", "--target", "dev", "--select", "orders", check=False)
    put(transform)
    said = look(transform)
    assert "is left out: it is about" in "\n".join(said)
    assert (counts(transform)[0], len(results(transform, UNIQUE))) == before
