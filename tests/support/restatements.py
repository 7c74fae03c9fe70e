"""A project of a month, three days of which are built anew."""

from __future__ import annotations

from dagster_transform.sqlmesh import Restatement
from tests.support.sqlmesh_projects import utc

FIRST = utc("2024-03-31 00:30")
THEN = utc("2024-03-31 06:00")
TOMORROW = utc("2024-04-01 00:30")
DAY = 86_400_000

MODELS = {
    "ref.codes": """
        kind SEED (path '../seeds/codes.csv'),
        columns (code INT, name TEXT)
    """,
    "stage.raw": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1),
        audits (not_null(columns := (id)))
        ---
        SELECT id, version, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "stage.shown": "kind VIEW\n---\nSELECT id, version, ds FROM stage.raw",
    "mart.days": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT ds, COUNT(*) AS n, MAX(version) AS version FROM stage.shown
        WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY ds
    """,
    "mart.weekly": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        cron '@weekly'
        ---
        SELECT DATE_TRUNC('week', ds)::DATE AS ds, SUM(version) AS total FROM stage.raw
        WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY 1
    """,
    "mart.running": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1),
        columns (ds DATE, total BIGINT)
        ---
        SELECT @end_ds::DATE AS ds, (
          COALESCE((SELECT MAX(total) FROM mart.running WHERE ds < @start_ds::DATE), 0)
          + (SELECT SUM(version) FROM stage.raw WHERE ds BETWEEN @start_ds AND @end_ds)
        )::BIGINT AS total
    """,
    "mart.total": "kind FULL\n---\nSELECT SUM(version) AS total FROM stage.raw",
    "mart.keyed": """
        kind INCREMENTAL_BY_UNIQUE_KEY (unique_key ds)
        ---
        SELECT ds, SUM(version) AS total FROM stage.raw
        WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY ds
    """,
    "mart.history": """
        kind SCD_TYPE_2_BY_COLUMN (unique_key ds, columns [total], disable_restatement false)
        ---
        SELECT ds, SUM(version) AS total FROM stage.raw GROUP BY ds
    """,
    "mart.fixed": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, disable_restatement true)
        ---
        SELECT ds, COUNT(*) AS n FROM stage.raw WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY ds
    """,
}
FILES = {"seeds/codes.csv": "code,name\n1,one\n2,two\n"}
THREE_DAYS = ("2024-03-10", "2024-03-12")
DOWNSTREAM = {
    "stage.shown", "mart.days", "mart.weekly", "mart.running", "mart.total", "mart.keyed",
    "mart.history",
}  # fmt: skip


def restate(downstream: str = "refuse") -> Restatement:
    return Restatement(*THREE_DAYS, downstream=downstream)  # type: ignore[arg-type]
