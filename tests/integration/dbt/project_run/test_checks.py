"""A run of a dbt project: what every sort of check says."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.dbt_project_runs import BOTH, TABLE, VIEW, project_of, results_of
from tests.support.dbt_runs import DbtRun
from tests.support.sqlmesh_projects import Database

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
    assert told["plain:next_is_next"] == "blocked", "a unit test comes before its model"
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
        "raw.gone:freshness": False,
    }
    assert not any(c.blocking for c in result.checks.values())
    assert result.checks["raw.late:freshness"].details["status"] == "warn"
    assert result.checks["raw.stale:freshness"].details["status"] == "error"
    assert "its newest row is of" in result.checks["raw.stale:freshness"].details["message"]
    assert run.told()["raw.gone:freshness"] == "checked", "dbt has a word for it"
    assert result.checks["raw.gone:freshness"].details["status"] == "runtime error"
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
