"""One name for a node, its asset key, in whatever a run says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import Story
from tests.support.transforms import Transform

FIRST, NEXT_DAY = utc("2024-03-05 10:30"), "2024-03-06T10:30:00+00:00"
SQLMESH = {
    "mart.words": "kind FULL\n---\nSELECT CAST(word AS INT) AS n FROM src.words",
    "mart.below": "kind FULL\n---\nSELECT n FROM mart.words",
    "mart.judged": "kind FULL,\naudits (forall(criteria := (word <> 'seven')))\n---\n"
    "SELECT word FROM src.words",
    "mart.after": "kind FULL\n---\nSELECT word FROM mart.judged",
    "mart.owed": "kind INCREMENTAL_BY_TIME_RANGE (time_column ds), start '2024-03-04'\n---\n"
    "SELECT ds FROM src.words WHERE ds BETWEEN @start_ds AND @end_ds",
    "mart.owing": "kind INCREMENTAL_BY_TIME_RANGE (time_column ds), start '2024-03-04'\n---\n"
    "SELECT ds FROM mart.owed WHERE ds BETWEEN @start_ds AND @end_ds",
}
DBT = {
    "models/staff.sql": "{{ config(materialized='table', schema='hr') }} select 1 as id",
    "models/wages.sql": "{{ config(materialized='table', schema='hr') }}"
    " select id from {{ ref('staff') }}",
    "models/schema.yml": """
        models:
          - name: staff
            columns: [{name: id, data_tests: [{accepted_values: {values: [2, 3]}}]}]
    """,
}
MODULE = """
import dagster as dg
from pathlib import Path
from dagster_transform import TransformTranslator, build_transform_definitions

ROOT = Path(__file__).parent


class Lake(TransformTranslator):
    def get_asset_key(self, node):
        return dg.AssetKey(["lake", *super().get_asset_key(node).path[-2:]])


defs = build_transform_definitions(ROOT, translator=Lake(ROOT))
"""
CHECK = "accepted_values_staff_id__2__3"
OTHERWISE = re.compile(
    r"(?<![/\w\"])(mart\.(words|below|judged|after|owed|owing)|w/mart|p:\"|d:model|model\.shop"
    r"|(staff|wages)\b(?! *\())"
)
"""A node that is not called by its key; dbt's own messages have names before a bracket."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transform]:
    folder = tmp_path_factory.mktemp("lake")
    database = Database.in_file(folder / "w.duckdb")
    database.execute(
        "CREATE SCHEMA src", "CREATE TABLE src.words AS SELECT '7' AS word, DATE '2024-03-04' AS ds"
    )
    project = Project(folder / "p", database, SQLMESH)
    DbtProject(folder / "d", database, DBT)
    further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
    transform = Transform(folder, [project], module=MODULE, further=further)
    project.plan_natively(FIRST)
    transform.prepare()
    database.execute(
        "DELETE FROM src.words", "INSERT INTO src.words VALUES ('seven', '2024-03-05')"
    )
    yield transform
    transform.close()


@pytest.fixture(scope="module")
def story(lake: Transform) -> Story:
    names = [n for n in SQLMESH if n != "mart.owed"]
    keys = [f"lake/{name.replace('.', '/')}" for name in names]
    return lake.run([*keys, "lake/hr/staff", "lake/hr/wages"], execution_time=NEXT_DAY)


def said(story: Story) -> list[str]:
    """What our op and its project runs said: no events of Dagster's own."""
    lines = [
        r.event_log_entry.user_message
        for r in story.records
        if r.event_log_entry.dagster_event is None
    ]
    reasons = [story.reason(name) for name in story.observed]
    return [*lines, *reasons, story.failure]


def test_the_run_has_something_of_everything(story: Story) -> None:
    assert story.observed == {
        "words": ["failed"], "below": ["blocked"], "after": ["blocked"], "owing": ["waiting"],
        "wages": ["blocked"],
    }  # fmt: skip


def test_every_line_reason_and_row_calls_nodes_by_their_keys(story: Story) -> None:
    text = "\n".join(said(story))
    found = [line for line in text.splitlines() if OTHERWISE.search(line)]
    assert found == []
    for name in ("mart/words", "mart/below", "mart/judged", "mart/after", "hr/staff", "hr/wages"):
        assert f"lake/{name}" in text
    assert story.reason("below") == "upstream failed: lake/mart/words"
    assert story.reason("after") == "blocking check failed: lake/mart/judged:forall"
    assert story.reason("wages") == f"blocking check failed: lake/hr/staff:{CHECK}"
    assert 'lake/mart/owed): select +key:"lake/mart/owing" or' in story.reason("owing")


def test_what_a_reason_tells_to_select_is_what_dagster_takes(lake: Transform, story: Story) -> None:
    import dagster as dg

    found = re.search(r"select (\S+) or", story.reason("owing"))
    assert found is not None
    graph = lake.repository().asset_graph
    chosen = dg.AssetSelection.from_string(found[1]).resolve(graph)
    assert {key.path[-1] for key in chosen} >= {"owed", "owing"}


def test_the_plan_is_told_by_the_same_names(lake: Transform) -> None:
    lake.projects[0].model("mart.more", "kind FULL\n---\nSELECT 1 AS n")
    (lake.projects[0].folder / "models" / "mart.after.sql").unlink()
    shown = lake.job("p_plan", execution_time=NEXT_DAY)
    text = next(line for line in shown.log if line.startswith("## Plan of p"))
    assert "- `lake/mart/more` (FULL)" in text
    assert "`mart." not in text
