"""What fails in a run holds back what depends on it and nothing else, and can be made good."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import Story
from tests.support.transforms import Transform, python_asset

FIRST = utc("2024-03-05 10:30")
NEXT_DAY = "2024-03-06T10:30:00+00:00"

MODELS = {
    "mart.a": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        audits (not_null(columns := (id)))
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.a_child": "kind FULL\n---\nSELECT COUNT(*) AS n FROM mart.a",
    "mart.b": "kind FULL,\naudits (number_of_rows(threshold := 0))\n---\n"
    "SELECT COUNT(*) AS n FROM src.raw",
    "mart.c": "kind FULL,\naudits (number_of_rows(threshold := 0))\n---\n"
    "SELECT SUM(CAST(word AS INT)) AS n FROM src.words",
    "mart.d": "kind FULL\n---\nSELECT n FROM mart.c",
    "mart.e": "kind VIEW\n---\nSELECT n FROM mart.b",
}
PYTHON = {"on_a": "a", "on_a_child": "a_child", "on_b": "b", "on_c": "c", "on_d": "d"}
CODE = "".join(python_asset(name, ["w", "mart", dep]) for name, dep in PYTHON.items())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transform]:
    """An environment planned natively; the tests below are one story, told in order."""
    folder = tmp_path_factory.mktemp("failures")
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS)
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    project.database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
        "CREATE TABLE src.words AS SELECT '7' AS word",
    )
    project.plan_natively(FIRST)
    transform = Transform(folder, [project], code=CODE)
    transform.prepare()
    project.database.execute(
        "UPDATE src.words SET word = 'a|b'", "INSERT INTO src.raw VALUES (NULL, DATE '2024-03-05')"
    )
    yield transform
    transform.close()


@pytest.fixture(scope="module")
def failed(world: Transform) -> Story:
    """A run in which mart.c breaks and the blocking check of mart.a fails."""
    return world.run(
        tags={"dagster/retry_strategy": "FROM_ASSET_FAILURE"},
        execution_time=NEXT_DAY,
        ignore_cron=False,
    )


def test_what_does_not_depend_on_a_failure_is_built_and_goes_on_in_python(failed: Story) -> None:
    assert not failed.success
    assert {"b", "e", "on_b"} <= set(failed.materialized)
    assert set(failed.started) == {"mart.a", "mart.b", "mart.c", "mart.e"}


def test_a_failed_model_holds_back_what_depends_on_it(failed: Story) -> None:
    assert not {"c", "d", "on_c", "on_d"} & set(failed.materialized)
    assert failed.observed["c"] == ["failed"]
    assert failed.observed["d"] == ["blocked"]
    assert "ConversionException" in failed.reason("c")
    assert "mart" in failed.reason("d")
    assert not any(name.startswith(("c:", "d:")) for name in failed.checks)


def test_a_failed_blocking_check_holds_back_what_depends_on_its_model(
    failed: Story, world: Transform
) -> None:
    # It was built: it is told as materialised, with the check that failed, and without an output.
    assert sorted(failed.materialized) == ["a", "b", "e", "on_b"]
    assert failed.checks == {"a:not_null": False, "b:number_of_rows": True}
    assert failed.observed["a_child"] == ["blocked"]
    assert "a" not in failed.observed
    database = world.projects[0].database
    assert database.rows("SELECT COUNT(*) FROM mart.a WHERE id IS NULL") == [(1,)]
    starts = {
        key.split('"')[-2]: max(end for _, end in intervals)
        for (key, _, _), intervals in database.intervals().items()
    }
    midnight = utc("2024-03-05 00:00").timestamp() * 1000
    assert starts["a"] == midnight  # the day stays missing, as in SQLMesh itself
    assert starts["a_child"] == midnight
    assert starts["b"] > midnight


def test_the_run_fails_once_with_one_table(failed: Story, world: Transform) -> None:
    (failure,) = failed.failures
    assert failure.user_failure_data is not None  # a dg.Failure and no crash
    text = failed.failure
    mart = f"{world.projects[0].database.catalog}/mart"
    heading, *rows = text.split("\n\n")
    assert heading == (
        "1 failed, 1 check failed, 2 blocked, 1 check not run; 2 nodes went well, 1 check passed."
    )
    assert rows[0].startswith(f"failed: {mart}/c\n    ")  # causes come first
    assert "'a|b'" in rows[0]
    assert rows[1:] == [
        f"check failed: {mart}/a\n    {mart}/a:not_null: 1 row",
        f"blocked: {mart}/a_child\n    blocking check failed: {mart}/a:not_null",
        f"blocked: {mart}/d\n    upstream failed: {mart}/c",
        f"not run: {mart}/c:number_of_rows\n    upstream failed: {mart}/c",
    ]
    markdown = failure.user_failure_data.metadata["dagster_transform/outcomes"].value
    lines = markdown.splitlines()
    assert lines[0] == heading
    assert [line.split("`")[1] for line in lines[2:]] == [
        f"{mart}/{name}" for name in ("c", "a", "a_child", "d", "c:number_of_rows")
    ]
    assert "'a\\|b'" in lines[2]  # no mark of markdown's


def test_reexecution_from_asset_failure_runs_what_is_missing_and_nothing_else(
    failed: Story, world: Transform
) -> None:
    database = world.projects[0].database
    database.execute("DELETE FROM src.raw WHERE id IS NULL", "UPDATE src.words SET word = '8'")
    again = world.reexecute(failed)
    assert again.success
    run = world.instance.get_run_by_id(again.run_id)
    assert run is not None
    missing = {"a", "a_child", "c", "d", "on_a", "on_a_child", "on_c", "on_d"}
    assert {key.path[-1] for key in run.asset_selection or ()} == missing
    assert set(again.materialized) == missing
    assert len(again.materialized) == len(missing)
    assert again.checks == {"a:not_null": True, "c:number_of_rows": True}
    assert set(again.started) == {"mart.a", "mart.a_child", "mart.c", "mart.d"}
    assert database.content("mart.a_child") == [(15,)]
    assert database.content("mart.d") == [(8,)]


def test_a_blocking_check_that_nobody_selected_holds_back_too(world: Transform) -> None:
    """SQLMesh runs it within the build; without it in the run, Dagster knows of no gate."""
    database = world.projects[0].database
    database.execute("INSERT INTO src.raw VALUES (NULL, DATE '2024-03-06')")
    run = world.run(
        ["mart.a", "mart.b", "on_a", "on_b"],
        [],
        execution_time="2024-03-07T10:30:00+00:00",
        ignore_cron=False,
    )
    assert not run.success
    assert sorted(run.materialized) == ["a", "b", "on_b"]
    assert run.checks["a:not_null"] is False
    assert "check failed" in run.failure
