"""Blocking checks that reach over Python assets: in Dagster they must not close a circle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dagster_transform.dagster import _compat_circles
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database
from tests.support.transforms import Transform

MODELS = {
    "models/customers.sql": "{{ config(materialized='table') }} select 1 as id",
    "models/scores.sql": """
        {{ config(materialized='table') }} select id, score from {{ source('py', 'scores') }}
    """,
    "models/ranks.sql": """
        {{ config(materialized='table') }}
        select c.id, s.score from {{ ref('customers') }} c join {{ ref('scores') }} s on s.id = c.id
    """,
    "models/schema.yml": """
        sources: [{name: py, schema: py, tables: [{name: scores}]}]
        models:
          - name: customers
            columns:
              - name: id
                data_tests:
                  - not_null
                  - relationships: {name: scored, arguments: {to: ref('scores'), field: id}}
    """,
}
CODE = """
import duckdb

@dg.asset(key=["py", "scores"], deps=[["customers"]])
def scores():
    with duckdb.connect(str(ROOT / "w.duckdb")) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS py")
        connection.execute("CREATE OR REPLACE TABLE py.scores AS SELECT $id AS id, 7 AS score")

@dg.asset(deps=[["customers"]])
def mail():
    pass

assets += [scores, mail]
"""


class Shop(Transform):
    """dbt's customers -> the Python asset scores -> dbt's scores; a test from the first to the
    last one."""

    def __init__(self, folder: Path, *, scored: int) -> None:
        self.database = Database.in_file(folder / "w.duckdb")
        self.database.execute("CREATE SCHEMA py", "CREATE TABLE py.scores (id INT, score INT)")
        self.dbt = DbtProject(folder / "d", self.database, MODELS)
        dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
        code = CODE.replace("$id", str(scored))
        super().__init__(folder, [], code=code, further={"d": dbt})


@pytest.fixture(params=[1, 2], ids=["passes", "fails"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    monkeypatch.setattr(_compat_circles, "_not_held_back", {})  # each is told once in a process
    transform = Shop(tmp_path, scored=request.param)
    transform.prepare()
    yield transform
    transform.close()


def test_the_check_is_carried_out_after_all_that_it_reads(
    shop: Shop, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    passes = request.node.callspec.id == "passes"
    run = shop.run()
    assert run.success == passes
    assert run.materialized[0] == "customers"
    assert run.materialized.count("scores") == 2, "the Python asset's and dbt's"
    assert run.checks == {"customers:not_null_customers_id": True, "customers:scored": passes}
    # What is below both waits for the check, as in dbt; so does what is below one and lies beside.
    assert ("ranks" in run.materialized) == passes
    assert ("mail" in run.materialized) == passes
    (evaluated,) = [
        event.event_specific_data
        for event in run.of(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if event.event_specific_data.check_name == "scored"
    ]
    assert evaluated.metadata["dagster_transform/not_held_back"].value == "py/scores"
    assert "Check scored on customers does not hold back py/scores" in caplog.text
    assert "hold back mail" not in caplog.text


def test_a_part_of_it_can_be_selected(shop: Shop) -> None:
    assert shop.run(["customers", "py/scores"]).checks.keys() >= {"customers:not_null_customers_id"}
    assert "scores" in shop.run(["py/scores", "scores"], ["customers:scored"]).materialized
