"""A project in the shape of SQLMesh's own example loads and runs: see noodles.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dagster_transform.graph import Drift, Graph, Node, Presence
from tests.support.noodles import make_noodles
from tests.support.sqlmesh_projects import Database, Project, utc

NOW = utc("2024-03-05 10:30")
KINDS = {
    "dishes": "INCREMENTAL_BY_TIME_RANGE",
    "early_shift": "FULL",
    "gold_guests": "CUSTOM",
    "guest_lifetime": "INCREMENTAL_BY_TIME_RANGE",
    "guest_revenue": "INCREMENTAL_BY_TIME_RANGE",
    "guests": "FULL",
    "late_shift": "FULL",
    "latest_order": "CUSTOM",
    "loyalty": "SCD_TYPE_2",
    "order_lines": "INCREMENTAL_BY_TIME_RANGE",
    "orders": "INCREMENTAL_BY_TIME_RANGE",
    "raw_loyalty": "FULL",
    "top_waiters": "VIEW",
    "waiter_names": "SEED",
    "waiter_revenue": "INCREMENTAL_BY_TIME_RANGE",
    "waiters_who_eat": "INCREMENTAL_BY_TIME_RANGE",
}
READS = {
    "early_shift": {"orders"},
    "gold_guests": {"guests"},
    "guest_lifetime": {"guest_revenue"},
    "guest_revenue": {"dishes", "order_lines", "orders"},
    "guests": {"loyalty", "orders", "raw.homes"},
    "late_shift": {"orders"},
    "latest_order": {"orders"},
    "loyalty": {"raw_loyalty"},
    "order_lines": {"dishes", "orders"},
    "top_waiters": {"waiter_revenue"},
    "waiter_revenue": {"dishes", "order_lines", "orders"},
    "waiters_who_eat": {"guests", "waiter_names", "orders"},
}
CHECKS = {
    ("dishes", "accepted_values"): (True, True),
    ("dishes", "not_null"): (True, True),
    ("dishes", "price_above_price_0"): (True, True),
    ("dishes", "price_above_price_1"): (False, False),
    ("guests", "never_negative"): (True, True),
    ("order_lines", "lines_have_orders"): (False, False),
    ("top_waiters", "unique_values"): (True, True),
    ("waiter_names", "enough_names"): (False, False),
    ("waiter_revenue", "number_of_rows"): (True, True),
    ("waiter_revenue", "unique_combination_of_columns"): (True, True),
    ("waiters_who_eat", "forall"): (True, True),
    ("waiters_who_eat", "not_null"): (True, True),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("noodles")
    return make_noodles(folder / "p", Database.in_file(folder / "w.duckdb"))


@pytest.fixture(scope="module")
def graph(project: Project) -> Graph:
    return project.graph


@pytest.fixture(scope="module")
def nodes(graph: Graph) -> dict[str, Node]:
    return {node.name.removeprefix("noodles."): node for node in graph.nodes.values()}


def test_every_model_is_a_node_and_no_other_thing_is(nodes: dict[str, Node]) -> None:
    assert {name: node.kind for name, node in nodes.items()} == KINDS


def test_every_dependency_is_there(graph: Graph, nodes: dict[str, Node]) -> None:
    names = {node.id: name for name, node in nodes.items()}
    names |= {s.id: s.name.removeprefix("w.") for s in graph.sources.values()}
    found = {name: {names[dep] for dep in node.deps} for name, node in nodes.items()}
    assert {name: reads for name, reads in found.items() if reads} == READS
    assert {s.name for s in graph.sources.values()} == {"w.raw.homes", "w.raw.suppliers"}


def test_every_audit_is_a_check(graph: Graph, nodes: dict[str, Node]) -> None:
    names = {node.id: name for name, node in nodes.items()}
    found = {(names[c.target], c.name): (c.blocking, c.in_build) for c in graph.checks.values()}
    assert found == CHECKS
    alone = next(c for c in graph.checks.values() if c.kind == "standalone_audit")
    assert (alone.reference, alone.also) == ("lines_have_orders", (nodes["orders"].id,))


def test_what_people_look_for(nodes: dict[str, Node]) -> None:
    guests, orders = nodes["guests"], nodes["orders"]
    assert guests.description == "Everyone who ever ordered"
    assert guests.owners == ("mei@example.com",)
    assert guests.tags == ("pii", "fact", "dagster:owner:front_of_house")
    assert guests.columns[0].description == "One number for each guest"
    revenue = nodes["waiter_revenue"]
    assert revenue.description == "What each waiter took in, day by day."
    assert [c.description for c in revenue.columns] == [
        "Who served", "In the local currency", None
    ]  # fmt: skip
    assert orders.properties["references"] == "guest_id, waiter_id"
    assert orders.properties["grains"] == "id AS order_id"
    assert nodes["guest_revenue"].properties["dialect"] == "hive"
    assert nodes["order_lines"].tags == ("dagster:group_name:kitchen",)


def test_columns_are_followed_through_jinja_dialects_and_a_query_built_in_python(
    nodes: dict[str, Node],
) -> None:
    def follow(name: str) -> dict[str, set[str]]:
        short = {node.id: name for name, node in nodes.items()}
        return {
            column: {f"{short.get(id, 'outside')}.{there}" for id, there in sources}
            for column, sources in nodes[name].column_lineage().items()
        }

    assert follow("guest_revenue") == {
        "guest_id": {"orders.guest_id"},
        "revenue": {"order_lines.quantity", "dishes.price"},
        "day": {"orders.day"},
    }
    assert follow("guest_lifetime") == {
        "guest_id": {"guest_revenue.guest_id"}, "revenue": {"guest_revenue.revenue"}
    }  # fmt: skip
    assert follow("waiters_who_eat") == {
        "waiter_id": {"orders.waiter_id"},
        "waiter_name": {"waiter_names.name"},
        "day": {"orders.day"},
    }
    assert follow("guests")["zip"] == {"outside.zip"}
    assert follow("orders") == {}


NATIVELY = """
import sys
from sqlmesh import Context

folder, first, later = sys.argv[1:]
context = Context(paths=[folder])
context.plan(auto_apply=True, no_prompts=True, skip_tests=True, no_diff=True, execution_time=first)
context.run(execution_time=later, end=later)
"""


def test_it_is_planned_and_run_as_sqlmesh_does_it(project: Project, tmp_path: Path) -> None:
    later = utc("2024-03-07 10:30")
    first = project.run(NOW, plan_mode="auto").outcomes
    assert set(first.values()) <= {"built", "backfilled", "checked", "promoted"}, first
    second = project.run(later, ignore_cron=False).outcomes
    assert set(second.values()) <= {"built", "up_to_date", "checked"}, second
    after = project.read()
    assert after.drift == Drift()
    assert {node.presence for node in after.graph.nodes.values()} == {Presence.EQUAL}
    # In a process of its own: SQLMesh can't load one custom kind from two folders in one.
    native = make_noodles(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"))
    subprocess.run(
        [sys.executable, "-c", NATIVELY, str(native.folder), NOW.isoformat(), later.isoformat()],
        check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    tables = [f"noodles.{name}" for name in KINDS]
    assert project.database.contents(tables) == native.database.contents(tables)
