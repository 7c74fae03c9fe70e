"""The first build of an environment, by a run that plans: nothing is shown before all of it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterEventType as Kind

from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import OUTCOME, Story
from tests.support.transforms import Transform, python_asset

NOW = "2024-03-05T10:30:00+00:00"
LATER = "2024-03-05T11:30:00+00:00"
PROMOTION = "p:promotion of prod"

MODELS = {
    "mart.a": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        audits (not_null(columns := (id)))
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.b": "kind FULL,\naudits (number_of_rows(threshold := 0))\n---\n"
    "SELECT COUNT(*) AS n FROM mart.a",
    "mart.c": "kind FULL\n---\nSELECT SUM(CAST(word AS INT)) AS n FROM src.words",
    "mart.d": "kind VIEW\n---\nSELECT n FROM mart.b",
    "mart.last": "kind FULL\n---\nSELECT b.n + c.n AS n FROM mart.b AS b, mart.c AS c",
}
NAMES = {name.split(".")[1] for name in MODELS}
GOOD_WORDS = "CREATE OR REPLACE TABLE src.words AS SELECT '7' AS word"
BAD_WORDS = "CREATE OR REPLACE TABLE src.words AS SELECT 'seven' AS word"


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    project.database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
        GOOD_WORDS,
    )
    on_b = python_asset("on_b", ["w", "mart", "b"])
    transform = Transform(tmp_path, [project], code=on_b, plan="auto")
    transform.prepare()
    yield transform
    transform.close()


def test_a_first_build_is_observed_while_it_goes_on_and_materialized_with_its_promotion(
    transform: Transform,
) -> None:
    run = transform.run(execution_time=NOW)
    assert run.success
    assert run.observed == {name: ["backfilled"] for name in NAMES}
    assert PROMOTION in run.reason("a")
    # It is live: what was built first was stored before the last model was started.
    last = max(run.began(name) for name in MODELS)
    for name in NAMES - {run.started[-1].split(".")[1]}:
        assert run.stored(Kind.ASSET_OBSERVATION, name) < last
    # Nothing is materialised before readers see it, and then everything is, once.
    promoted = run.ended(PROMOTION, "promoted")
    assert sorted(run.materialized) == sorted([*NAMES, "on_b"])
    assert all(run.stored(Kind.ASSET_MATERIALIZATION, name) > promoted for name in NAMES)
    assert run.checks == {"a:not_null": True, "b:number_of_rows": True}
    for name in NAMES:
        metadata = run.materialization(name).metadata
        assert metadata["dagster_transform/outcome"].value == "built"
        assert not any("synced" in key for key in metadata)
    assert "synced" not in run.text
    database = transform.projects[0].database
    assert database.content("mart.last") == [(19,)]
    assert database.content("mart.d") == [(12,)]

    # And what is up to date now is materialised by nobody, while what reads it runs.
    again = transform.run(execution_time=LATER, ignore_cron=False)
    assert again.success
    assert again.materialized == ["on_b"]
    assert set(again.up_to_date) == NAMES
    assert again.observed == {}


def test_a_failed_first_build_shows_nothing_and_the_next_run_completes_it(
    transform: Transform,
) -> None:
    database = transform.projects[0].database
    database.execute(BAD_WORDS)
    failed = transform.run(execution_time=NOW)
    assert not failed.success
    assert failed.materialized == []
    built = NAMES - {"c", "last"}
    assert {n for n, o in failed.observed.items() if o[0] == "backfilled"} == built
    assert failed.observed["c"] == ["failed"]
    assert failed.observed["last"] == ["blocked"]
    assert failed.checks == {"a:not_null": True, "b:number_of_rows": True}
    assert (
        f"; {len(built)} nodes went well, {len(built)} of which wait for a promotion"
        in failed.failure
    )
    hidden = failed.failure.split("\n\n")[-1]
    assert hidden.startswith("backfilled: ")
    for name in built:
        assert f"/mart/{name}" in hidden
    assert transform.projects[0].environment() is None
    assert not any(name.startswith("mart.") for name in database.tables())

    database.execute(GOOD_WORDS)
    fixed = transform.run(execution_time=LATER)
    assert fixed.success
    assert {name.split(".")[1] for name in fixed.started} == {"c", "last"}
    assert database.content("mart.last") == [(19,)]
    assert names_with_views(database) == NAMES
    # Readers see all of it now, so all of it is told, also what the failed run had built.
    assert set(fixed.materialized) == {*NAMES, "on_b"}


def test_what_a_plan_leaves_as_it_is_and_no_run_has_told_is_synced(transform: Transform) -> None:
    """As after a plan whose run was killed between its builds and their events: readers see what
    it has built of models whose version stays, and the next plan builds nothing for them."""
    project, next_day = transform.projects[0], utc("2024-03-06 10:30")
    assert transform.run(execution_time=NOW).success
    project.run_natively(next_day)
    project.model("mart.c", MODELS["mart.c"].replace("SUM(", "2 * SUM("))
    transform.prepare()
    run = transform.run(execution_time=next_day.isoformat(), ignore_cron=False)
    assert run.success
    outcomes = {n: run.materialization(n).metadata[OUTCOME].value for n in NAMES}
    assert outcomes == dict.fromkeys("abd", "synced") | {"c": "built", "last": "built"}
    assert run.stored(Kind.ASSET_MATERIALIZATION, "a") < run.began("mart.c")
    again = transform.run(execution_time=next_day.isoformat(), ignore_cron=False)
    assert set(again.materialized) <= {"on_b"}


def test_no_after_all_follows_a_plan_that_fails(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "p",
        Database.in_file(tmp_path / "w.duckdb"),
        {"mart.bad": "kind FULL\n---\nSELECT CAST('seven' AS INT) AS n"},
        config={"before_all": ["CREATE TABLE main.before (n INT)"],
                "after_all": ["CREATE TABLE main.after (n INT)"]},
    )  # fmt: skip
    transform = Transform(tmp_path, [project], plan="auto")
    transform.prepare()
    try:
        assert not transform.run(execution_time=NOW).success
        assert {"main.before", "main.after"} & project.database.tables() == {"main.before"}
        assert "after_all" not in "".join(transform.stories()[0].log)
    finally:
        transform.close()


def names_with_views(database: Database) -> set[str]:
    return {t.split(".")[1] for t in database.tables() if t.startswith("mart.")}


def test_a_blocking_check_that_fails_keeps_a_plan_from_being_promoted(
    transform: Transform,
) -> None:
    database = transform.projects[0].database
    database.execute("INSERT INTO src.raw VALUES (NULL, DATE '2024-03-02')")
    run: Story = transform.run(execution_time=NOW)
    assert not run.success
    assert run.materialized == []
    assert run.checks == {"a:not_null": False}
    assert run.observed["b"] == ["blocked"]
    assert names_with_views(database) == set()
