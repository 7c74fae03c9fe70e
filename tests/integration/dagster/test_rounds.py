"""Plans through dbt: SQLMesh -> dbt -> SQLMesh in one run, where dbt reads what a plan promotes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.kept_folders import KeptTransform
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

MOMENT = utc("2024-03-05 10:30")
NOW = MOMENT.isoformat()

SQLMESH = {
    "one.a": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column day),
        start '2024-03-01',
        audits (not_null(columns := (id)))
        ---
        SELECT id::INT AS id, day::DATE AS day FROM raw.events
        WHERE day BETWEEN @start_ds AND @end_ds
    """,
    "one.apart": "kind FULL\n---\nSELECT 7::INT AS n",
    "two.c": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column day),
        start '2024-03-01',
        audits (not_null(columns := (id)))
        ---
        SELECT b.id::INT AS id, b.twice::INT AS twice, b.day::DATE AS day FROM main_mid.b AS b
        JOIN one.a AS a ON a.id = b.id WHERE b.day BETWEEN @start_ds AND @end_ds
    """,
    "three.e": "kind FULL\n---\nSELECT SUM(n)::INT AS n FROM main_late.d",
    "three.f": "kind VIEW\n---\nSELECT n FROM three.e",
}
DBT = {
    "models/b.sql": """
        {{ config(materialized='table', schema='mid') }}
        select id, 2 * id as twice, day from {{ source('one', 'a') }}
    """,
    "models/d.sql": """
        {{ config(materialized='table', schema='late') }}
        select sum(twice) as n from {{ source('two', 'c') }}
    """,
    "models/schema.yml": """
        version: 2
        sources:
          - {name: one, schema: one, tables: [{name: a}]}
          - {name: two, schema: two, tables: [{name: c}]}
        models:
          - name: b
            columns: [{name: id, data_tests: [unique]}]
    """,
}
ALL = ["a", "apart", "b", "c", "d", "e", "f"]
RELATIONS = ["one.a", "one.apart", "main_mid.b", "two.c", "main_late.d", "three.e", "three.f"]


class Alternating(Transform):
    """SQLMesh -> dbt -> SQLMesh -> dbt -> SQLMesh, never planned."""

    def __init__(self, folder: Path, database: Database, **settings: object) -> None:
        self.database = database
        rows = ", ".join(f"({i}, DATE '2024-03-0{1 + i // 3}')" for i in range(12))
        database.execute(
            "CREATE SCHEMA raw",
            "CREATE TABLE raw.events (id INT, day DATE)",
            f"INSERT INTO raw.events VALUES {rows}",
        )
        project = Project(folder / "p", database, SQLMESH)
        self.dbt = DbtProject(folder / "d", database, DBT)
        dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
        super().__init__(folder, [project], further={"d": dbt}, plan="auto", **settings)  # type: ignore[arg-type]

    def write(self, models: Mapping[str, str] | None = None, *, b: str = "") -> None:
        """Change models of SQLMesh's, or dbt's `b`, and prepare."""
        for name, text in (models or {}).items():
            self.projects[0].model(name, text)
        if b:
            self.dbt.write({"models/b.sql": b})
        self.prepare()

    def build_natively(self) -> None:
        """The commands that a person gives, in order."""
        (project,) = self.projects
        first = ["one.a", "one.apart"]
        project.plan_natively(MOMENT, select_models=first)
        self.dbt.dbt("build", "--select", "b")
        project.plan_natively(MOMENT, select_models=[*first, "two.c"])
        self.dbt.dbt("build", "--select", "d")
        project.plan_natively(MOMENT)


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Database]]:
    """Makes the database of a folder."""
    if request.param == "duckdb":
        yield lambda folder: Database.in_file(folder / "w.duckdb")
    else:
        server: PostgresDatabase = request.getfixturevalue("postgres")
        made: list[str] = []

        def make(_: Path) -> Database:
            made.append(f"test_{uuid4().hex[:12]}")
            server.execute(f'CREATE DATABASE "{made[-1]}"')
            return Database.in_postgres(replace(server, database=made[-1]))

        yield make
        for name in made:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def alternating_in(folder: Path, place: Callable[[Path], Database]) -> Alternating:
    folder.mkdir(exist_ok=True)
    transform = Alternating(folder, place(folder))
    transform.prepare()
    return transform


def intervals(database: Database) -> list[tuple[str, bool, list[tuple[int, int]]]]:
    """What the state has recorded, by model."""
    found = database.intervals()
    return sorted(
        (name.split(".", 1)[1], is_dev, spans) for (name, _, is_dev), spans in found.items()
    )


def test_one_run_under_a_first_plan_does_what_the_commands_do_in_order(
    tmp_path: Path, place: Callable[[Path], Database]
) -> None:
    ours = alternating_in(tmp_path / "ours", place)
    native = alternating_in(tmp_path / "native", place)
    try:
        run = ours.run(execution_time=NOW)
        assert run.success, run.text[-3000:]
        native.build_natively()
        assert ours.database.contents(RELATIONS) == native.database.contents(RELATIONS)
        assert intervals(ours.database) == intervals(native.database)
        promoted = ours.projects[0].environment()
        assert promoted is not None
        assert promoted.finalized_ts
        assert {s.name.split(".", 1)[1] for s in promoted.snapshots} == {
            s.name.split(".", 1)[1]
            for s in native.projects[0].environment().snapshots  # type: ignore[union-attr]
        }
        # Each once, in an order in which each finds what it reads.
        assert sorted(run.materialized) == ALL
        order = [name for name in run.materialized if name != "apart"]
        assert order == ["a", "b", "c", "d", "e", "f"]
        assert run.checks == {"a:not_null": True, "b:unique_b_id": True, "c:not_null": True}
        # The files are planned: nothing is planned, or told, another time.
        again = ours.run(execution_time=NOW, ignore_cron=False)
        assert again.success
        assert set(again.materialized) == {"b", "d"}  # dbt keeps no state
        assert sorted(again.up_to_date) == ["a", "apart", "c", "e", "f"]
    finally:
        ours.close()
        native.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> KeptTransform[Alternating]:
    folder = tmp_path_factory.mktemp("alternating")
    return KeptTransform(alternating_in(folder, lambda path: Database.in_file(path / "w.duckdb")))


@pytest.fixture
def alternating(prepared: KeptTransform[Alternating]) -> Iterator[Alternating]:
    transform = prepared.restore()
    yield transform
    transform.close()


def test_what_fails_in_a_round_blocks_the_later_ones_and_the_next_run_goes_on_there(
    alternating: Alternating,
) -> None:
    alternating.write(b=DBT["models/b.sql"].replace("2 * id", "error('no')"))
    run = alternating.run(execution_time=NOW)
    assert not run.success
    assert sorted(run.materialized) == ["a", "apart"]
    assert run.observed["b"] == ["failed"]
    for name in ("c", "d", "e", "f"):
        assert run.observed[name] == ["blocked"], name
        assert run.reason(name) == "upstream failed: mid/b"
    causes, _, blocked = run.failure.partition("\nblocked: ")
    assert "failed: mid/b\n" in causes
    assert blocked.startswith("4 (w/two/c, ")
    assert "and 1 more)\n    upstream failed: mid/b" in blocked
    assert alternating.database.content("one.apart") == [(7,)]
    alternating.write(b=DBT["models/b.sql"])
    fixed = alternating.run(execution_time=NOW)
    assert fixed.success, fixed.text[-3000:]
    assert {"b", "c", "d", "e", "f"} <= set(fixed.materialized)
    assert alternating.database.content("three.f") == [(132,)]


def test_a_failed_check_in_a_round_blocks_the_later_ones(alternating: Alternating) -> None:
    twice = DBT["models/b.sql"] + " union all select 1, 2, date '2024-03-01'"
    alternating.write(b=twice)
    run = alternating.run(execution_time=NOW)
    assert not run.success
    assert run.checks["b:unique_b_id"] is False
    for name in ("c", "d", "e", "f"):
        assert run.observed[name] == ["blocked"], name
        assert "blocking check failed: mid/b:unique_b_id" in run.reason(name)
    assert "c:not_null" not in run.checks


def test_a_plan_that_fails_in_a_later_round_leaves_what_earlier_ones_promoted(
    alternating: Alternating,
) -> None:
    alternating.write({"three.e": "kind FULL\n---\nSELECT CAST('x' AS INT) AS n FROM main_late.d"})
    run = alternating.run(execution_time=NOW)
    assert not run.success
    assert sorted(run.materialized) == ["a", "apart", "b", "c", "d"]
    assert run.observed["e"] == ["failed"]
    assert run.observed["f"] == ["blocked"]
    alternating.write({"three.e": SQLMESH["three.e"]})
    fixed = alternating.run(execution_time=NOW)
    assert fixed.success, fixed.text[-3000:]
    assert alternating.database.content("three.f") == [(132,)]


def test_a_change_on_both_sides_of_dbt_goes_in_rounds_too(alternating: Alternating) -> None:
    assert alternating.run(execution_time=NOW).success
    alternating.write({"two.c": SQLMESH["two.c"].replace("b.twice::INT", "(b.twice + 100)::INT")})
    alternating.write({"three.e": SQLMESH["three.e"].replace("SUM(n)", "SUM(n) + 1")})
    run = alternating.run(execution_time=NOW)
    assert run.success, run.text[-3000:]
    assert alternating.database.content("three.f") == [(132 + 12 * 100 + 1,)]


def test_a_change_that_is_read_both_directly_and_through_dbt_is_refused_with_a_way_out(
    alternating: Alternating,
) -> None:
    assert alternating.run(execution_time=NOW).success
    changed = SQLMESH["one.a"].replace("id::INT AS id", "(id + 100)::INT AS id")
    alternating.write({"one.a": changed})
    run = alternating.run(execution_time=NOW)
    assert not run.success
    assert run.observed["a"] == ["failed"]
    assert "can't be promoted without w/two/c" in run.reason("a")
    assert run.observed["c"] == ["blocked"]
    assert alternating.database.content("three.f") == [(132,)]
    # What the message says.
    assert alternating.job("p_plan", {"apply": True}, execution_time=NOW).success
    assert alternating.run(["mid/b"], execution_time=NOW).success
    again = {"start": "2024-03-01", "end": "2024-03-04"}
    assert alternating.run(["two.c"], execution_time=NOW, restate=again).success
    assert alternating.run(execution_time=NOW).success
    assert alternating.database.content("three.f") == [(132 + 12 * 200,)]


def test_fail_fast_starts_no_further_round(alternating: Alternating) -> None:
    alternating.write({"one.apart": "kind FULL\n---\nSELECT CAST('x' AS INT) AS n"})
    run = alternating.run(execution_time=NOW, fail_fast=True)
    assert not run.success
    assert run.materialized == []
    for name in ("c", "d", "e", "f"):
        assert run.observed[name] == ["cancelled"], name
        assert "fail_fast" in run.reason(name)


def test_what_a_failed_plan_built_is_shown_before_dbt_reads_it(alternating: Alternating) -> None:
    """The second run builds nothing of what dbt reads: only its promotion is missing."""
    alternating.write({"one.apart": "kind FULL\n---\nSELECT CAST('x' AS INT) AS n"})
    failed = alternating.run(execution_time=NOW)
    assert failed.observed["a"] == ["backfilled"]
    assert failed.observed["b"] == ["blocked"]
    alternating.write({"one.apart": SQLMESH["one.apart"]})
    run = alternating.run(execution_time=NOW)
    assert run.success, run.text[-3000:]
    assert sorted(run.materialized) == ALL
