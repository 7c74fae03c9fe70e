"""Run options of SQLMesh projects in Dagster: restatement, upstreams, hooks, sync."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.claims import Owner, OwnerKind, Want
from tests.support.overlapping_runs import store_of
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import Story
from tests.support.transforms import Transform, python_asset
from tests.support.waiting import until

FIRST = utc("2024-03-05 10:30")
SAME_DAY = "2024-03-05T11:30:00+00:00"
NEXT_DAY = "2024-03-06T10:30:00+00:00"

MODELS = {
    "mart.a": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        audits (not_null(columns := (id)), small(blocking := false))
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.b": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        audits (not_null(columns := (n)))
        ---
        SELECT ds, COUNT(*) AS n FROM mart.a WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY ds
    """,
    "mart.c": "kind FULL\n---\nSELECT COUNT(*) AS n FROM mart.a",
    "late.d": "kind FULL\n---\nSELECT MAX(n) AS n FROM src.counted",
}
CONFIG = {
    "before_all": [
        "CREATE TABLE IF NOT EXISTS src.hooks (moment TEXT)",
        "INSERT INTO src.hooks VALUES ('before')",
    ],
    # How often late.d, of the second half, was built by then.
    "after_all": [
        (
            "INSERT INTO src.hooks "
            "SELECT 'after ' || COUNT(*) FROM sqlmesh._intervals WHERE name LIKE '%late%'"
        )
    ],
}
FILES = {
    "audits/small.sql": "AUDIT (name small);\nSELECT * FROM @this_model WHERE id > 10;\n",
    "external_models.yaml": '- name: \'"w"."src"."counted"\'\n  columns:\n    n: INT\n',
}
HELD = """
    kind INCREMENTAL_BY_TIME_RANGE (time_column ds), start '2024-03-04', signals (never())
    ---
    SELECT 1 AS id, '2024-03-04'::DATE AS ds WHERE '2024-03-04' BETWEEN @start_ds AND @end_ds
"""
NEVER = """
    from datetime import datetime, timezone
    from sqlmesh import signal

    @signal()
    def never(batch):
        return [span for span in batch if span[0] < datetime(2024, 3, 5, tzinfo=timezone.utc)]
"""
BETWEEN: list[Callable[[], None]] = []
"""What is done between the two halves of a run."""
COUNTED = python_asset(
    "counted", ["w", "mart", "c"], key="['w', 'src', 'counted']",
    body=f"from {__name__} import BETWEEN; [do() for do in BETWEEN]\n"
    "    if Path(__file__).with_name('broken').exists(): raise ValueError('no')",
)  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    project = make(folder)
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    project.database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        "CREATE TABLE src.counted AS SELECT 1 AS n",
        f"INSERT INTO src.raw VALUES {rows}",
    )
    project.plan_natively(FIRST)
    project.database.execute("DELETE FROM src.hooks")
    return folder / "w.duckdb"


def make(folder: Path) -> Project:
    database = Database.in_file(folder / "w.duckdb")
    return Project(folder / "p", database, MODELS, files=FILES, config=CONFIG)


@pytest.fixture
def transform(template: Path, tmp_path: Path) -> Iterator[Transform]:
    shutil.copy(template, tmp_path / "w.duckdb")
    transform = Transform(tmp_path, [make(tmp_path)], code=COUNTED)
    transform.prepare()
    yield transform
    transform.close()


def hooks(transform: Transform) -> list[str]:
    return [
        moment for (moment,) in transform.projects[0].database.rows("SELECT moment FROM src.hooks")
    ]


def days(transform: Transform, model: str) -> list[int]:
    rows = transform.projects[0].database.rows(f"SELECT DISTINCT ds FROM {model} ORDER BY ds")
    return [ds.day for (ds,) in rows]


def restate(**more: Any) -> dict[str, Any]:
    return {"restate": {"start": "2024-03-02", "end": "2024-03-03", **more}}


# -- restatement -----------------------------------------------------------------------------------


def test_a_person_finds_the_snippet_and_can_use_it(transform: Transform) -> None:
    run = transform.run(["mart.a"], execution_time=SAME_DAY)
    assert run.up_to_date == ["a"]
    (text,) = [line for line in run.log if "restate:" in line]
    assert 'restate: {start: "2024-03-04", end: "2024-03-04"}' in text
    assert "/mart/a again, although" in text
    transform.projects[0].database.execute("UPDATE src.raw SET id = id + 100")
    again = transform.run(
        ["mart.a"], execution_time=SAME_DAY,
        restate={"start": "2024-03-04", "end": "2024-03-04", "downstream": "leave"},
    )  # fmt: skip
    assert again.success
    assert "a" in again.materialized
    rows = transform.projects[0].database.rows("SELECT ds FROM mart.a WHERE id > 100")
    assert {ds.day for (ds,) in rows} == {4}


def test_a_tick_has_no_use_for_the_snippet(transform: Transform) -> None:
    run = transform.run(["mart.a"], execution_time=SAME_DAY, ignore_cron=False)
    assert run.up_to_date == ["a"]
    assert not [line for line in run.log if "restate:" in line]


def test_downstream_is_refused_with_one_clear_failure(transform: Transform) -> None:
    run = transform.run(["mart.a"], execution_time=SAME_DAY, **restate())
    assert not run.success
    assert "/mart/b" in run.failure
    assert "/mart/c" in run.failure
    assert "restate.downstream: include" in run.failure
    assert run.materialized == []


def test_what_is_left_downstream_is_marked_stale(transform: Transform) -> None:
    run = transform.run(["mart.a"], execution_time=SAME_DAY, **restate(downstream="leave"))
    assert run.success
    assert run.observed == {"b": ["stale"], "c": ["stale"]}
    assert "2024-03-02 to 2024-03-03" in run.reason("b")
    assert run.started == ["mart.a"]


def test_what_is_included_downstream_is_materialized_and_checked(transform: Transform) -> None:
    run = transform.run(["mart.a"], execution_time=SAME_DAY, **restate(downstream="include"))
    assert run.success
    assert sorted(run.materialized) == ["a", "b", "c"]
    # Over what was built anew: the ids above 10 are of later days.
    assert run.checks == {"a:not_null": True, "a:small": True, "b:not_null": True}
    intervals = "dagster_transform/intervals"
    assert run.materialization("b").metadata[intervals].value == "2024-03-02 to 2024-03-03"


# -- upstreams -------------------------------------------------------------------------------------


def test_upstreams_are_held_or_included(transform: Transform) -> None:
    held = transform.run(["mart.b"], execution_time=NEXT_DAY)
    assert held.observed == {"b": ["waiting"]}
    assert "set upstreams: include" in held.reason("b")
    included = transform.run(["mart.b"], execution_time=NEXT_DAY, upstreams="include")
    assert included.success
    assert included.materialized == ["a", "b"]
    assert included.checks == {"a:not_null": True, "a:small": False, "b:not_null": True}
    assert days(transform, "mart.b") == [1, 2, 3, 4, 5]


# -- statements that surround a run ----------------------------------------------------------------


def test_hooks_run_once_in_a_run_that_a_python_asset_splits(transform: Transform) -> None:
    run = transform.run(execution_time=NEXT_DAY, ignore_cron=False)
    assert run.success
    assert {"a", "b", "c", "counted", "d"} <= set(run.materialized)
    assert hooks(transform) == ["before", "after 2"]


def test_after_all_runs_also_when_the_second_half_is_never_reached(transform: Transform) -> None:
    (transform.folder / "broken").touch()
    run = transform.run(execution_time=NEXT_DAY, ignore_cron=False)
    assert not run.success
    assert "d" not in run.materialized
    assert hooks(transform) == ["before", "after 1"]


@pytest.mark.parametrize("patient", [True, False])
def test_after_all_waits_for_those_who_have_the_file_by_then(
    transform: Transform, patient: bool
) -> None:
    """Another run has taken the DuckDB file when the first half was done."""
    (transform.folder / "broken").touch()
    store = store_of(transform)
    owner = Owner(OwnerKind.RUN, "other", "other", 0)
    key = f"file:{transform.projects[0].database.connection['database']}"

    def take() -> None:
        answer = store.acquire(owner, [Want(key)], claim_id="o", all_or_nothing=True)
        assert answer.granted is not None, answer

    def says(text: str) -> bool:
        return any(text in line for story in transform.stories() for line in story.log)

    def give() -> None:
        until(lambda: says(f"Waiting for {key}, which run other has claimed"), "it to wait", 60)
        store.release("o")

    BETWEEN.append(take)
    thread = threading.Thread(target=give)
    if patient:
        thread.start()
    try:
        run = transform.run(
            execution_time=NEXT_DAY, ignore_cron=False, claim_wait=60 if patient else 0
        )
    finally:
        BETWEEN.clear()
    assert not run.success
    if patient:
        thread.join()
        assert hooks(transform) == ["before", "after 1"]
    else:
        assert hooks(transform) == ["before"]
        (line,) = [x for x in run.log if x.startswith("Project p: its after_all was not carried")]
        assert f"{key}, which run other has claimed since" in line
    assert [holder.run_id for holder in store.holders()] == ["other"] * (not patient)


def test_hooks_run_where_signals_hold_back_all_that_is_due(tmp_path: Path) -> None:
    """As `sqlmesh run` runs them; and neither runs any where nothing is due."""
    found: dict[str, list[list[str]]] = {}
    for how in ("ours", "native"):
        (tmp_path / how).mkdir()
        project = Project(
            tmp_path / how / "p",
            Database.in_file(tmp_path / how / "w.duckdb"),
            {"mart.held": HELD},
            files={"signals/never.py": NEVER},
            config={
                "before_all": ["CREATE TABLE IF NOT EXISTS hooks (moment TEXT)",
                               "INSERT INTO hooks VALUES ('before')"],
                "after_all": ["INSERT INTO hooks VALUES ('after')"],
            },
        )  # fmt: skip
        project.plan_natively(FIRST)
        found[how] = []
        transform = Transform(tmp_path / how, [project])
        transform.prepare()
        for moment in (SAME_DAY, NEXT_DAY):
            project.database.execute("DELETE FROM hooks")
            if how == "native":
                project.run_natively(datetime.fromisoformat(moment))
            else:
                run = transform.run(execution_time=moment, ignore_cron=False)
                assert run.success
                assert run.started == []
                assert run.observed == ({} if moment == SAME_DAY else {"held": ["waiting"]})
            found[how].append([row for (row,) in project.database.rows("SELECT * FROM hooks")])
        transform.close()
    assert found["ours"] == found["native"] == [[], ["before", "after"]]


def test_a_run_with_nothing_to_build_runs_no_hooks(transform: Transform) -> None:
    run = transform.run(["mart.a", "mart.b"], execution_time=SAME_DAY, ignore_cron=False)
    assert run.success
    assert hooks(transform) == []


# -- sync ------------------------------------------------------------------------------------------


def test_what_a_shell_has_built_is_told_once(transform: Transform) -> None:
    options = {"execution_time": SAME_DAY, "ignore_cron": False}
    first = transform.run(["mart.a", "mart.b"], **options)
    assert sorted(first.materialized) == ["a", "b"]
    metadata = first.materialization("a").metadata
    assert metadata["dagster_transform/outcome"].value == "synced"
    again = transform.run(["mart.a", "mart.b"], **options)
    assert again.materialized == []
    transform.projects[0].run_natively(utc("2024-03-06 10:30"))
    third = transform.run(["mart.a", "mart.b"], execution_time=NEXT_DAY, ignore_cron=False)
    assert sorted(third.materialized) == ["a", "b"]
    assert third.up_to_date == ["a", "b"]
    newer = third.materialization("a").metadata["dagster_transform/built_at"].value
    assert newer > metadata["dagster_transform/built_at"].value


def test_what_a_run_has_built_itself_is_not_synced(transform: Transform) -> None:
    assert transform.run(["mart.a"], execution_time=NEXT_DAY).success
    again = transform.run(["mart.a"], execution_time=NEXT_DAY)
    assert again.up_to_date == ["a"]
    assert again.materialized == []


def test_what_a_run_of_another_instance_has_built_is_told_and_judged_once(
    transform: Transform,
) -> None:
    """Two Dagster instances on one warehouse: the second finds the work done, and says so once."""
    options = {"execution_time": NEXT_DAY, "ignore_cron": False}
    home = transform.home
    built = transform.run(["mart.a", "mart.b"], **options)
    assert outcomes(built) == {"a": "built", "b": "built"}
    transform.close()
    transform.home = shutil.copytree(home, transform.folder / "another_home", ignore=_only_settings)
    second = transform.run(["mart.a", "mart.b"], **options)
    assert second.success
    assert second.started == []
    assert outcomes(second) == {"a": "synced", "b": "synced"}
    assert second.checks == {"a:not_null": True, "a:small": False, "b:not_null": True}
    third = transform.run(["mart.a", "mart.b"], **options)
    assert (third.started, third.materialized, third.checks) == ([], [], {})
    transform.close()
    transform.home = home
    last = transform.run(["mart.a", "mart.b"], **options)
    assert (last.materialized, last.checks) == ([], {}), "it has judged what it has built"


def _only_settings(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name != "dagster.yaml"}


def outcomes(run: Story) -> dict[str, str]:
    """What each materialisation of a run says, by the last part of its key."""
    return {
        name: str(run.materialization(name).metadata["dagster_transform/outcome"].value)
        for name in run.materialized
    }
