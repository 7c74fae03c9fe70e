"""A transform with one of everything that Dagster's UI shows: for docs/ui.md and its pictures."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

REPOSITORY_URL = "https://git.example.com/shop/data/blob/main"
MODELS = {
    "stage.orders": """
        kind VIEW, cron '@hourly',
        description 'Orders as the shop wrote them.',
        audits (not_null(columns := (order_id)))
        ---
        SELECT order_id::INT AS order_id, customer::TEXT AS customer, amount::INT AS amount,
          day::DATE AS day /* When it was paid */
        FROM raw.orders
        """,
    "mart.days": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column day), end '2024-03-31',
        description 'What came in, day by day.'
        ---
        SELECT day::DATE AS day, SUM(amount)::INT AS amount
        FROM stage.orders WHERE day BETWEEN @start_ds AND @end_ds GROUP BY 1
        """,
    "mart.customers": """
        kind FULL, owner ada, tags (finance),
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
    "mart.totals": """
        kind FULL,
        description 'All that was paid.'
        ---
        SELECT SUM(amount)::INT AS amount FROM stage.orders
        """,
    "mart.rates": """
        kind FULL,
        description 'What a currency is worth.'
        ---
        SELECT currency::TEXT AS currency, rate::DOUBLE AS rate FROM raw.rates
        """,
    "mart.revenue": """
        kind FULL,
        description 'What came in, in every currency.',
        audits (not_null(columns := (amount)))
        ---
        SELECT r.currency::TEXT AS currency, SUM(d.amount * r.rate)::DOUBLE AS amount
        FROM mart.days AS d CROSS JOIN mart.rates AS r GROUP BY 1
        """,
}
RETURNS = """
    kind FULL, cron '@daily',
    description 'What came back.'
    ---
    SELECT customer::TEXT AS customer FROM mart.customers WHERE orders > 5
    """
"""A model that is not there at first."""
DBT = {
    "models/loyal.sql": """
        {{ config(materialized='table', schema='reports') }}
        select customer from {{ source('mart', 'customers') }} where orders > 1
        """,
    "models/invoices.sql": """
        {{ config(materialized='table', schema='reports') }}
        select currency, amount from {{ source('mart', 'revenue') }}
        """,
    "models/models.yml": """
        sources:
          - name: mart
            schema: mart
            tables: [{name: customers}, {name: revenue}]
        models:
          - name: loyal
            description: Who came back.
          - name: invoices
            description: What is asked for.
        """,
}
JOB_GROUPS = """
    job_groups:
      hourly:
        cron: "@hourly"
        nodes: [warehouse/stage/orders]
      daily:
        description: Marts that finance reads at eight.
        cron: "@daily"
        owners: [team:finance]
        tags: {team: finance}
        nodes:
          - warehouse/mart/days
          - warehouse/mart/customers
          - warehouse/mart/totals
          - warehouse/mart/rates
          - warehouse/mart/revenue
          - reports/loyal
          - reports/invoices
    """
MODULE = """
import dagster as dg
from pathlib import Path
from dagster_transform import TransformTranslator, build_transform_definitions


class Linked(TransformTranslator):
    def get_metadata(self, node):
        found = dict(super().get_metadata(node))
        if node.location is not None:
            url = f"{REPOSITORY}/{node.location.path}#L{node.location.line}"
            name = node.location.path.rsplit("/", 1)[-1]
            link = dg.UrlCodeReference(url=url, label=name)
            links = dg.CodeReferencesMetadataValue(code_references=[link])
            found["dagster/code_references"] = links
        return found


{code}

defs = build_transform_definitions(Path(__file__).parent, translator=Linked())
"""


@dataclass(frozen=True)
class Face:
    """What the tests look at: a running `dagster dev`.

    Attributes:
        url: Of the UI.
        transform: The projects, and the Dagster home.
        log: What `dagster dev` printed.
    """

    url: str
    transform: Transform
    log: Path

    @property
    def project(self) -> Project:
        """SQLMesh's."""
        return self.transform.projects[0]

    @property
    def location(self) -> str:
        """The beginning of the pages of jobs, schedules and sensors."""
        return f"{self.url}/locations/__repository__@{self.transform.folder.name}"

    def asset_url(self, key: str, view: str = "overview") -> str:
        """A page of an asset, by its key."""
        return f"{self.url}/assets/{key}?view={view}"


def face_transform(folder: Path) -> Transform:
    """The transform, in a new folder; its SQLMesh project is planned, and nothing is in Dagster."""
    folder.mkdir()
    database = Database.in_file(folder / "warehouse.duckdb")
    database.execute(
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.orders (order_id INT, customer TEXT, amount INT, day DATE)",
        "INSERT INTO raw.orders VALUES (1, 'ada', 10, '2024-03-01'), (2, 'bob', 20, '2024-03-02')",
        "CREATE TABLE raw.rates AS SELECT 'EUR' AS currency, '1.07' AS rate",
    )
    project = Project(folder / "shop", database, MODELS, name="shop")
    project.plan_natively(datetime.now(timezone.utc))
    DbtProject(folder / "reports", database, DBT)
    dbt: dict[str, Any] = {
        "framework": "dbt", "path": "reports", "profiles_dir": "reports", "cron": "@daily",
    }  # fmt: skip
    transform = Transform(
        folder, [project], module=MODULE, code=f"REPOSITORY = {REPOSITORY_URL!r}",
        further={"reports": dbt}, plan="never", watch={"sensor": "stopped"},
    )  # fmt: skip
    (folder / "job_groups.yaml").write_text(dedent(JOB_GROUPS).lstrip(), encoding="utf-8")
    workspace = {
        "python_file": {
            "relative_path": str(transform.module),
            "location_name": folder.name,
            "working_directory": str(folder),
        }
    }
    (folder / "workspace.yaml").write_text(
        yaml.safe_dump({"load_from": [workspace]}), encoding="utf-8"
    )
    with (transform.home / "dagster.yaml").open("a", encoding="utf-8") as dagster_yaml:
        dagster_yaml.write("nux: {enabled: false}\n")
    with closing(transform):
        transform.prepare()
    return transform
