"""A SQLMesh project for tests of its runs, and what a run has changed in its state."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.support.sqlmesh_projects import Database, Project, utc

FIRST = utc("2024-03-05 10:30")
NEXT_DAY = utc("2024-03-06 10:30")
THREE_DAYS_LATER = utc("2024-03-08 10:30")
PROMOTION = "p:promotion of prod"

MODELS = {
    "ref.codes": """
        kind SEED (path '../seeds/codes.csv'),
        columns (code TEXT, name TEXT)
    """,
    "stage.raw": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        audits (not_null(columns := (id)), small(blocking := false))
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.days": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT ds, COUNT(*) AS n FROM stage.raw WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY ds
    """,
    "mart.total": """
        kind FULL,
        audits (number_of_rows(threshold := 0))
        ---
        SELECT COUNT(*) AS n FROM stage.raw
    """,
    "mart.shown": """
        kind VIEW
        ---
        SELECT n, (SELECT COUNT(*) FROM ref.codes) AS codes FROM mart.total
    """,
}
FILES = {
    "seeds/codes.csv": "code,name\nA,alpha\nB,beta\n",
    "audits/small.sql": "AUDIT (name small);\nSELECT * FROM @this_model WHERE id > 1000;\n",
}


def prepare(database: Database) -> None:
    """Three rows a day, of March 1 to 14."""
    database.execute("CREATE SCHEMA src", "CREATE TABLE src.raw (id INT, ds DATE)")
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    database.execute(f"INSERT INTO src.raw VALUES {rows}")


def copy_of(template: Path, folder: Path) -> Project:
    folder.mkdir(exist_ok=True)
    shutil.copy(template, folder / "w.duckdb")
    return Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS, files=FILES)


def state(project: Project) -> dict[str, Any]:
    return {**project.database.contents(MODELS), "intervals": project.database.intervals()}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Names of the models whose data or recorded intervals differ."""
    names = {name for name in MODELS if before[name] != after[name]}
    old, new = before["intervals"], after["intervals"]
    for key in old.keys() | new.keys():
        if old.get(key) != new.get(key):
            names.add(key[0].split(".", 1)[1].replace('"', ""))
    return names
