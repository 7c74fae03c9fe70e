"""What a run reads again once it has its claims: nothing is built a second time, nothing left out.

Another run comes in between: after this one has looked at the state and before it has its claims,
or while it waits for a claim of one node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagster_transform.planning import RunPlan
from dagster_transform.walk import ProjectRun
from tests.support.claim_guards import Guard
from tests.support.sqlmesh_projects import Database, Project, utc

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

PLANNED, EARLIER, NOW = utc("2024-03-03 10:30"), utc("2024-03-05 10:30"), utc("2024-03-08 10:30")
ROWS = """
    SELECT id, moment::DATE AS ds FROM src.events
    WHERE moment::DATE BETWEEN @start_ds AND @end_ds
"""
UNMANAGED = f"kind INCREMENTAL_UNMANAGED (forward_only false), start '2024-03-01'\n---\n{ROWS}"
MODELS = {
    "mart.added": UNMANAGED,
    "mart.days": (
        "kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1), start '2024-03-01'\n"
        f"---\n{ROWS}"
    ),
    "mart.child": (
        "kind INCREMENTAL_BY_TIME_RANGE (time_column ds), start '2024-03-01'\n---\n"
        "SELECT id, ds FROM mart.days WHERE ds BETWEEN @start_ds AND @end_ds"
    ),
    "mart.whole": "kind FULL\n---\nSELECT COUNT(*) AS n FROM src.events",
    "mart.below": "kind FULL\n---\nSELECT COUNT(*) AS n FROM mart.days",
}
TABLES = sorted(MODELS)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    database = Database.in_file(tmp_path / "w.duckdb")
    rows = ", ".join(
        f"({i}, TIMESTAMP '2024-03-01 00:20:00' + INTERVAL '{i} hours')" for i in range(24 * 7)
    )
    database.execute(
        "CREATE SCHEMA src", "CREATE TABLE src.events (id INT, moment TIMESTAMP)",
        f"INSERT INTO src.events VALUES {rows}",
    )  # fmt: skip
    project = Project(tmp_path / "p", database, MODELS)
    project.plan_natively(PLANNED)
    return project


def expected(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    """What one run of SQLMesh's own makes of it, in a database of its own."""
    twin = Database.in_file(project.folder.parent / "twin" / "w.duckdb")
    Path(twin.connection["database"]).parent.mkdir()
    twin.execute(
        f"ATTACH '{project.database.connection['database']}' AS other (READ_ONLY)",
        "CREATE SCHEMA src",
        "CREATE TABLE src.events AS FROM other.src.events",
    )
    native = Project(project.folder.parent / "native", twin, MODELS)
    native.plan_natively(PLANNED)
    native.run_natively(NOW)
    return {**twin.contents(TABLES), "intervals": intervals(twin)}


def intervals(database: Database) -> Any:
    return sorted(database.intervals().items())


def look(project: Project) -> dict[str, Any]:
    return {**project.database.contents(TABLES), "intervals": intervals(project.database)}


@pytest.mark.parametrize("ignore_cron", [True, False])
def test_what_was_built_before_the_claims_were_there_is_left_out(
    project: Project, ignore_cron: bool
) -> None:
    """The other run has built two of the five days that this one has found missing."""
    want = expected(project)
    other = lambda: project.run_natively(EARLIER)  # noqa: E731
    run = project.run(NOW, assessed=other, ignore_cron=ignore_cron)
    assert {run.outcome(name).value for name in MODELS} == {"built"}  # type: ignore[union-attr]
    assert look(project) == want
    assert run.report("mart.days").details["batches"] == 3
    assert run.report("mart.added").details["intervals"] == "2024-03-05 to 2024-03-07"


def test_what_an_upstream_owes_stays_left_out(project: Project) -> None:
    """The upstream has data to March 5; meanwhile the other run builds the child to March 4."""
    project.run(utc("2024-03-06 10:30"), nodes=["mart.days"])
    other = lambda: void(project.run(EARLIER, nodes=["mart.child"]))  # noqa: E731
    run = project.run(NOW, nodes=["mart.child"], assessed=other)
    assert run.report("mart.child").details["intervals"] == "2024-03-05"


def test_a_node_that_was_rebuilt_meanwhile_is_up_to_date(project: Project) -> None:
    project.run_natively(NOW)
    run = project.run(NOW, assessed=lambda: void(project.run(NOW)))
    assert run.outcomes == {
        "mart.added": "up_to_date",
        "mart.days": "up_to_date",
        "mart.child": "up_to_date",
        "mart.whole": "up_to_date",
        "mart.below": "up_to_date",
    }
    assert run.reason("mart.whole") == "somebody has built it meanwhile"


def test_nothing_is_left_out_where_nobody_came_in_between(project: Project) -> None:
    project.run_natively(NOW)
    run = project.run(NOW)
    assert run.outcomes["mart.whole"] == run.outcomes["mart.below"] == "built"


def test_a_node_whose_claim_comes_late_is_looked_at_again_when_it_starts(project: Project) -> None:
    want = expected(project)
    late = ["mart.added", "mart.days"]

    def wait(project_run: ProjectRun, plan: RunPlan) -> None:
        project_run.refresh([u for u in plan.units.values() if u.id in map(project.id, late)])
        project_run.close_files()
        project.run(NOW, nodes=late)

    run = project.run(NOW, opened=wait, ignore_cron=False)
    assert {n: run.outcomes[n] for n in MODELS} == {
        "mart.added": "up_to_date",
        "mart.days": "up_to_date",
        "mart.child": "built",
        "mart.whole": "built",
        "mart.below": "built",
    }
    assert look(project) == want


@pytest.mark.parametrize("late", [False, True])
def test_a_plan_leaves_out_what_another_environment_has_built_since_it_was_made(
    project: Project, late: bool
) -> None:
    """Environments of equal files share tables and intervals. The other one builds two days of a
    table that was there, and four of a new one, when this plan has been made; or later, while it
    waits for the other's claims."""
    project.model("mart.fresh", UNMANAGED)
    files = {f"models/{path.name}": path.read_text() for path in project.folder.glob("models/*")}
    other = Project(project.folder.parent / "q", project.database, files=files)
    mine = {project.id(name) for name in ("mart.fresh", "mart.added")}

    def come_in_between() -> None:
        other.plan_natively(EARLIER, "dev", include_unmodified=True)
        other.run_natively(EARLIER, "dev")

    def wait(project_run: ProjectRun, plan: RunPlan) -> None:
        if late:
            project_run.refresh([unit for unit in plan.units.values() if unit.id in mine])
            project_run.close_files()
            come_in_between()

    assessed = (lambda: None) if late else come_in_between
    run = project.run(NOW, plan_mode="auto", assessed=assessed, opened=wait)
    assert set(run.outcomes.values()) == {"backfilled", "promoted"}
    for name in ("mart.fresh", "mart.added"):
        assert run.report(name).details["intervals"] == "2024-03-05 to 2024-03-07"
        assert sorted(n for n, _ in project.database.content(name)) == list(range(24 * 7))


def void(_: object) -> None:
    """For a callback whose result nobody wants."""


def test_a_claim_that_is_gone_records_nothing(project: Project) -> None:
    before = intervals(project.database)
    held: Callable[[str], bool] = lambda unit: "days" not in unit  # noqa: E731
    run = project.run(NOW, guard=Guard(held))
    assert run.outcomes["mart.days"] == "cancelled"
    assert run.reason("mart.days") == "its claim was lost"
    assert run.outcomes["mart.below"] == "cancelled"
    days = [i for i in before if "days" in i[0][0]]
    assert [i for i in intervals(project.database) if "days" in i[0][0]] == days


def test_a_claim_key_is_the_physical_table(project: Project) -> None:
    """As the graph file has it, for `claims pause`."""
    graph = project.graph
    keys: dict[str, str | None] = {}

    def ask(project_run: ProjectRun, plan: RunPlan) -> None:
        keys.update({unit.id: project_run.claim_key(unit) for unit in plan.units.values()})
        needs = project_run.shared_resources()
        path = project.database.connection["database"]
        assert needs.files == {f"file:{Path(path).resolve()}"}
        assert needs.environment == f"environment:duckdb:{path}/sqlmesh/prod"
        assert not needs.alone

    project.run(NOW, opened=ask)
    for node in graph.nodes.values():
        assert node.physical is not None
        assert keys[node.id] == f"table:{node.physical.connection}/{node.physical}"


def test_a_run_that_may_plan_needs_its_environment_alone(project: Project) -> None:
    project_run = project.project_run(NOW, plan_mode="auto")
    try:
        assert project_run.shared_resources().alone
        project_run.assess(list(project.graph.nodes), [])
        assert not project_run.shared_resources().alone  # nothing has changed
    finally:
        project_run.close(completed=False)


def test_a_plan_claims_what_it_migrates_makes_or_audits_apart_from_its_builds(
    tmp_path: Path,
) -> None:
    kind = "kind INCREMENTAL_BY_TIME_RANGE (time_column ds, forward_only true), start '2024-03-01'"
    query = "SELECT @start_ds::DATE AS ds, 1 AS n"
    models = {
        "mart.kept": f"{kind}\n---\n{query}",
        "mart.judged": "kind FULL\n---\nSELECT 1 AS n",
        "mart.same": "kind FULL\n---\nSELECT 2 AS n",
    }
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), models)
    project.plan_natively(PLANNED)
    tables = {n.name: f"table:{n.physical.connection}/{n.physical}"  # type: ignore[union-attr]
              for n in project.read().graph.nodes.values()}  # fmt: skip
    project.model("mart.kept", models["mart.kept"] + ", 2 AS m")
    project.model("mart.judged", "audits (not_null(columns := (n))), " + models["mart.judged"])
    # Its first year is not over: nothing is built, but the table is made.
    project.model("mart.empty", f"{kind}, cron '@yearly'\n---\n{query}")
    asked: dict[str, Mapping[str, bool]] = {}

    def ask(project_run: ProjectRun, plan: RunPlan) -> None:
        project_run.close_files()
        assert not any("mart__empty" in table for table in project.database.tables())
        asked.update({unit.id: project_run.promotion_keys(unit) for unit in plan.units.values()})
        assert project.id("mart.empty") not in plan.units

    run = project.run(PLANNED, plan_mode="auto", opened=ask)
    outcomes = run.outcomes
    assert outcomes.pop("mart.empty") == "waiting"
    assert set(outcomes.values()) <= {"backfilled", "promoted", "up_to_date", "checked"}
    (found,) = [keys for keys in asked.values() if keys]
    # SQLMesh migrates also what has new metadata only, and what was made in this plan.
    (empty,) = found.keys() - {tables[name] for name in ("mart.kept", "mart.judged")}
    assert "mart__empty" in empty
    assert len(found) == 3
    assert all(found.values())
    assert any("mart__empty" in table for table in project.database.tables())
    assert "m" in {column for column, *_ in project.database.rows("DESCRIBE mart.kept")}


@pytest.mark.postgres
def test_batches_go_one_after_the_other_where_connections_are_counted(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    query = "SELECT @start_ds::DATE AS ds, pg_backend_pid() AS pid, pg_sleep(0.05)::TEXT AS nothing"
    kind = "INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1)"
    models = {"mart.m": f"kind {kind}, start '2024-03-01'\n---\n{query}"}
    for apart in (True, False):
        database = Database.in_postgres(postgres_database)
        project = Project(tmp_path / str(apart), database, models)
        if apart:
            project.plan_natively(PLANNED)
        now = NOW if apart else utc("2024-03-16 10:30")
        project.run(now, one_batch_at_a_time=apart)
        since = "2024-03-03" if apart else "2024-03-08"
        ((count,),) = database.rows(f"SELECT COUNT(DISTINCT pid) FROM mart.m WHERE ds >= '{since}'")
        assert (count == 1) is apart
