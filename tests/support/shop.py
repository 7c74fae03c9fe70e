"""Small transforms for the browser: one that works, one that is half broken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform, python_asset

PLANNED = utc("2024-03-04 12:00")

MODELS = {
    "stage.orders": """
        kind VIEW,
        description 'Orders as the shop wrote them.',
        audits (not_null(columns := (order_id)))
        ---
        SELECT order_id::INT AS order_id, customer::TEXT AS customer, amount::INT AS amount,
          day::DATE AS day /* When it was paid */
        FROM raw.orders
        """,
    "mart.days": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column day),
        description 'What came in, day by day.',
        ---
        SELECT day::DATE AS day, SUM(amount)::INT AS amount
        FROM stage.orders WHERE day BETWEEN @start_ds AND @end_ds GROUP BY 1
        """,
    "mart.customers": """
        kind FULL,
        owner ada,
        description 'One row for each customer.',
        column_descriptions (customer = 'Who paid', orders = 'How often'),
        audits (
          unique_values(columns := (customer)),
          number_of_rows(threshold := 1, blocking := false)
        )
        ---
        SELECT customer::TEXT AS customer, COUNT(*)::INT AS orders
        FROM stage.orders GROUP BY 1
        """,
    "mart.best": """
        kind FULL,
        description 'The best customer.',
        audits (not_null(columns := (customer)))
        ---
        SELECT customer::TEXT AS customer FROM mart.customers ORDER BY orders DESC LIMIT 1
        """,
}

DBT = {
    "models/loyal.sql": """
        {{ config(materialized='table', schema='reports', group='reports') }}
        select customer from {{ source('mart', 'customers') }} where orders > 1
        """,
    "models/loyal.yml": """
        sources:
          - name: mart
            schema: mart
            tables: [{name: customers}]
        groups:
          - name: reports
            owner: {name: ada, email: ada@example.com}
        models:
          - name: loyal
            description: Who came back.
            columns:
              - name: customer
                data_tests: [unique, {not_null: {config: {severity: warn}}}]
        """,
}
"""One model, on a view of SQLMesh's."""


@dataclass
class Shop:
    """What the tests look at: a running `dagster dev`.

    Attributes:
        url: Of the UI.
        transform: The projects that work, and the Dagster home.
        project: The SQLMesh project.
        log: What `dagster dev` printed.
    """

    url: str
    transform: Transform
    project: Project
    log: Path

    def asset_url(self, name: str, view: str = "overview") -> str:
        """The page of a model (`mart.customers`), or of an asset by its key (`reports/loyal`)."""
        key = name if "/" in name else "/".join(self.transform.key(name).path)
        return f"{self.url}/assets/{key}?view={view}"


def half_broken_shop(folder: Path) -> None:
    """Two projects; a model of the second can't be parsed."""
    folder.mkdir()
    kept = Project(
        folder / "kept",
        Database.in_file(folder / "kept_db.duckdb"),
        {"kept.numbers": "kind FULL\n---\nSELECT 1::INT AS number"},
        name="kept",
    )
    broken = Project(
        folder / "broken",
        Database.in_file(folder / "broken_db.duckdb"),
        {"broken.letters": "kind FULL\n---\nSELECT FROM WHERE 'a'"},
        name="broken",
    )
    Transform(folder, [kept, broken], watch=UNWATCHED)


UNWATCHED = {"sensor": "stopped"}
"""Its tests begin with what Dagster has not seen, and count what they do themselves."""


def working_shop(folder: Path) -> tuple[Transform, Project]:
    folder.mkdir()
    database = Database.in_file(folder / "warehouse.duckdb")
    database.execute(
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.orders (order_id INT, customer TEXT, amount INT, day DATE)",
        "INSERT INTO raw.orders VALUES (1, 'ada', 10, '2024-03-01'), (2, 'bob', 20, '2024-03-02')",
    )
    project = Project(folder / "shop", database, MODELS, name="shop")
    project.plan_natively(PLANNED)
    report = python_asset("report", ("warehouse", "mart", "best"), ("warehouse", "mart", "days"))
    transform = Transform(folder, [project], code=report, plan="never", watch=UNWATCHED)
    DbtProject(folder / "reports", database, DBT)
    config = yaml.safe_load((folder / "transform.yaml").read_text(encoding="utf-8"))
    config["projects"]["reports"] = {
        "framework": "dbt",
        "path": "reports",
        "profiles_dir": "reports",
    }
    (folder / "transform.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    transform.prepare()
    dagster_yaml = transform.home / "dagster.yaml"
    text = dagster_yaml.read_text(encoding="utf-8")
    dagster_yaml.write_text(text + "nux: {enabled: false}\n", encoding="utf-8")
    return transform, project
