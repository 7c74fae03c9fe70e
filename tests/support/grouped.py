"""A transform with an hourly, a daily and again an hourly model, in three job groups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

MODELS = {
    "mart.events": """
        kind FULL, cron '@hourly',
        audits (not_null(columns := (n)), unique_values_non_blocking(columns := (n)))
        ---
        SELECT 1 AS n
    """,
    "mart.days": """
        kind FULL, cron '@daily', audits (not_null(columns := (n)))
        ---
        SELECT n FROM mart.events
    """,
    "mart.again": """
        kind FULL, cron '0 * * * *'
        ---
        SELECT n FROM mart.days
    """,
}
FILE = """
    job_groups:
      hourly:
        cron: "@hourly"
        nodes: [w/mart/events]
      daily:
        description: Once a day.
        cron: "@daily"
        tags: {team: blue}
        owners: [team:data]
        max_concurrent_models: 3
        nodes: [w/mart/days]
      hourly_2:
        cron: "@hourly"
        nodes: [w/mart/again]
"""


def grouped(
    folder: Path, *, file: str = FILE, models: Mapping[str, str] = MODELS, **settings: Any
) -> Transform:
    """The transform, with its graph file and its job group file."""
    database = Database.in_file(folder / "w.duckdb")
    project = Project(folder / "p", database, models)
    transform = Transform(folder, [project], settings=settings or None)
    write_groups(transform, file)
    return transform


def write_groups(transform: Transform, file: str) -> None:
    """Another job group file."""
    (transform.folder / "job_groups.yaml").write_text(dedent(file).lstrip(), encoding="utf-8")
