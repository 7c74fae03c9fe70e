"""The plan job of one SQLMesh project: how tests launch it and read what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import DagsterEventType as Kind

from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import Transform

JOB = "p_plan"
OP = "plan_p"
FIRST = "2024-03-05 10:30"
NEXT_DAY = "2024-03-06 10:30"
AN_HOUR_LATER = "2024-03-06 11:30"

A = """
kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
audits (not_null(columns := (id)))
---
SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
"""
B = "kind FULL,\naudits (number_of_rows(threshold := 0))\n---\n{query}"
MODELS = {
    "mart.a": A,
    "mart.b": B.replace("{query}", "SELECT COUNT(*) AS n FROM mart.a"),
    "mart.c": "kind VIEW\n---\nSELECT n FROM mart.b",
    "mart.words": "kind FULL\n---\nSELECT SUM(CAST(word AS INT)) AS n FROM src.words",
}
_KEY = re.compile(r"`\w+/(\w+)/(\w+)`")
QUICK = {"infer_python_dependencies": False}
"""SQLMesh looks through all installed packages for each plan, which takes longer than the rest."""
GOOD_WORDS = "UPDATE src.words SET word = '7'"
BAD_WORDS = "UPDATE src.words SET word = 'seven'"


def source_tables(database: Database) -> None:
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
        "CREATE TABLE src.words AS SELECT '7' AS word, DATE '2024-03-03' AS ds",
    )


def transform_of(folder: Path, project: Project, **settings: Any) -> Transform:
    source_tables(project.database)
    transform = Transform(folder, [project], **settings)
    transform.prepare()
    return transform


def at(moment: str) -> dict[str, str]:
    return {"execution_time": moment.replace(" ", "T") + ":00+00:00"}


def explain(transform: Transform, moment: str = NEXT_DAY, **config: Any) -> Story:
    story = transform.job(JOB, config, **at(moment))
    assert story.success, story.failure
    return story


def apply(transform: Transform, digest: str | None = None, **config: Any) -> Story:
    if digest is not None:
        return transform.job(JOB, {"apply": True, "digest": digest, **config})
    return transform.job(JOB, {"apply": True, **config}, **at(NEXT_DAY))


def metadata(story: Story) -> Mapping[str, Any]:
    (event,) = story.of(Kind.STEP_OUTPUT)
    return {
        key.removeprefix("dagster_transform/"): value.value
        for key, value in event.event_specific_data.metadata.items()
    }


def digest(story: Story) -> str:
    return str(metadata(story)["plan_digest"])


def text(story: Story) -> str:
    """What was explained, with models as tests call them: `mart.a`, not `db/mart/a`."""
    return _KEY.sub(r"`\1.\2`", str(metadata(story)["plan"]))


def edit(transform: Transform, query: str = "SELECT COUNT(*) + 1 AS n FROM mart.a") -> None:
    """Change mart.b, which mart.c reads."""
    transform.projects[0].model("mart.b", B.replace("{query}", query))


def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables and views, the state's included."""
    return database.contents(database.tables())
