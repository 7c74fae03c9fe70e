"""Two days of an hourly SQLMesh model whose audits run once a day, beside models checked in band.

For whoever looks at what Dagster's UI shows of checks; docs/checks-in-the-ui.md says what that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import Transform

BEGIN = datetime(2024, 3, 4, tzinfo=timezone.utc)
CHECKS_AT = 6
"""The hour at which the audits of the hourly model run."""
DAILY_AT = 25

HOURLY = {
    "web.visits": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column seen_at),
        cron '@hourly',
        start '2024-03-04',
        description 'Who came, hour by hour.',
        audits (
          not_null(columns := (id)),
          few(most := 20),
          number_of_rows(threshold := 100, blocking := false)
        )
        ---
        SELECT id::INT AS id, seen_at::TIMESTAMP AS seen_at
        FROM src.visits WHERE seen_at BETWEEN @start_ts AND @end_ts
    """,
}
DAILY = {
    "mart.days": """
        kind FULL,
        cron '@daily',
        start '2024-03-04',
        description 'One row a day.',
        audits (not_null(columns := (day)), unique_values(columns := (day)))
        ---
        SELECT DATE '2024-03-04' AS day
    """,
}
FEW = "AUDIT (name few);\nSELECT * FROM @this_model WHERE id > @most;\n"
DBT = {
    "models/report.sql": """
        {{ config(materialized='table', schema='reports') }}
        select id, seen_at from {{ source('web', 'visits') }}
    """,
    "models/schema.yml": """
        sources:
          - name: web
            schema: web
            tables: [{name: visits}]
        models:
          - name: report
            description: What people read.
            columns:
              - name: id
                data_tests:
                  - not_null
                  - unique
                  - accepted_values:
                      arguments: {values: [1, 2, 3], quote: false}
                      config: {severity: warn}
    """,
}

CODE = """
def job(name, *assets, checks=True):
    selection = dg.AssetSelection.assets(*assets)
    return dg.define_asset_job(name, selection=selection if checks else selection.without_checks())

jobs = [
    job("hourly", ["w", "web", "visits"], checks=False),
    job("hourly_with_checks", ["w", "web", "visits"]),
    job("daily", ["own", "mart", "days"]),
    job("reports", ["reports", "report"]),
]
schedules = [
    dg.ScheduleDefinition(job=jobs[0], cron_schedule="@hourly"),
    dg.ScheduleDefinition(job=jobs[2], cron_schedule="@daily"),
]
more = dg.Definitions(jobs=jobs, schedules=schedules)
"""

MODULE = """
import dagster as dg
from pathlib import Path
from dagster_transform import build_transform_definitions

ROOT = Path(__file__).parent

{code}

defs = dg.Definitions.merge(build_transform_definitions(ROOT), more)
"""


class TwoDays(Transform):
    """Projects `web` (SQLMesh, its audits apart), `mart` (SQLMesh, in band), `reports` (dbt)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.database = Database.in_file(folder / "w.duckdb")
        self.database.execute(
            "CREATE SCHEMA src",
            "CREATE TABLE src.visits AS SELECT i::INT AS id, "
            "TIMESTAMP '2024-03-04' + INTERVAL (i) HOUR AS seen_at FROM range(48) t(i)",
        )
        web = Project(
            folder / "web", self.database, HOURLY, files={"audits/few.sql": FEW}, name="web"
        )
        own = Database.in_file(folder / "own.duckdb")
        mart = Project(folder / "mart", own, DAILY, name="mart")
        DbtProject(folder / "reports", self.database, DBT)
        dbt = {"framework": "dbt", "path": "reports", "profiles_dir": "reports"}
        super().__init__(
            folder, [web, mart], code=CODE, module=MODULE, further={"reports": dbt}, plan="auto"
        )
        file = folder / "transform.yaml"
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        found["projects"]["web"]["checks"] = {"when": "apart", "cron": f"0 {CHECKS_AT} * * *"}
        file.write_text(yaml.safe_dump(found), encoding="utf-8")
        with (self.home / "dagster.yaml").open("a", encoding="utf-8") as dagster_yaml:
            dagster_yaml.write("nux: {enabled: false}\n")
        self.prepare()

    def two_days(self, hours: Iterable[int] = range(1, 49)) -> None:
        """Ticks of all schedules, those of the hourly model only at these hours; then one more of
        the daily job, for which nothing is left to build of `days`."""
        hourly = set(hours)
        for hour in range(1, 49):
            if hour in hourly:
                self.tick("hourly", hour)
            if hour == DAILY_AT:
                self.tick("daily", hour)
                self.tick("reports", hour)
            if hour % 24 == CHECKS_AT:
                self.tick("web_checks", hour, checks={"sample_rows": 3})
        self.tick("daily", 47)

    def tick(self, job: str, hour: int, **options: Any) -> Story:
        """One run of a job, as its schedule launches it, so many hours after the begin."""
        if "checks" not in job:
            options["ignore_cron"] = False
        moment = BEGIN + timedelta(hours=hour)
        options["execution_time"] = moment.isoformat()
        tags = {"dagster/schedule_name": f"{job}_schedule"}
        with self._workspace() as context:
            run = self._create(context, None, None, tags, options, job_name=job)
        return self.execute(run)


@dataclass
class Shown:
    """What the tests look at: Dagster's UI on the two days.

    Attributes:
        url: Of the UI.
        transform: The projects, and the Dagster home.
    """

    url: str
    transform: TwoDays

    def asset_url(self, key: str, view: str) -> str:
        """A page of an asset (`w/web/visits`)."""
        return f"{self.url}/assets/{key}?view={view}"
