"""What transform.yaml says of a SQLMesh project: which models are assets, and under which keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagster_transform import TransformTranslator
from dagster_transform.config import SettingError
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.graph import Graph
from dagster_transform.planning import Outcome
from tests.support.sqlmesh_projects import Database, Project, utc

NOW, LATER = utc("2024-03-05 10:30"), utc("2024-03-07 10:30")
DAILY = "kind INCREMENTAL_BY_TIME_RANGE (time_column ds)"
MODELS = {
    "a.one": f"{DAILY},\ntags (core),\naudits (not_null(columns := (n)))\n---\n"
    "SELECT ds::DATE AS ds, n::INT AS n FROM raw.events WHERE ds BETWEEN @start_ds AND @end_ds",
    "b.two": f"{DAILY},\naudits (not_null(columns := (n)))\n---\n"
    "SELECT ds::DATE AS ds, n::INT AS n FROM a.one WHERE ds BETWEEN @start_ds AND @end_ds",
    "c.three": f"{DAILY},\ntags (core)\n---\n"
    "SELECT ds::DATE AS ds, n::INT AS n FROM b.two WHERE ds BETWEEN @start_ds AND @end_ds",
    "c.apart": "kind FULL\n---\nSELECT 1 AS n",
}
AUDIT = """
    AUDIT (name two_is_right, standalone true);
    SELECT * FROM b.two WHERE n < 0;
"""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = Database.in_file(tmp_path / "w.duckdb")
    found.execute(
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.events AS SELECT DATE '2024-03-01' + i::INT AS ds, i::INT AS n"
        " FROM range(10) t(i)",
    )
    return found


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    return Project(tmp_path / "p", database, MODELS, files={"audits/two.sql": AUDIT})


def setting(project: Project, **settings: Any) -> Graph:
    """The graph with these settings, as they stand in transform.yaml."""
    given = project.config.model_dump(exclude_defaults=True) | settings
    project.config = type(project.config).model_validate({**given, "framework": "sqlmesh"})
    project.forget_graph()
    return project.graph


def keys(graph: Graph) -> dict[str, str]:
    """Asset keys as users write them, by name."""
    found = keys_of(graph, TransformTranslator()).assets
    things = {**graph.nodes, **graph.sources}
    return {things[id].name: key.to_user_string() for id, key in found.items()}


def reads(graph: Graph, name: str) -> list[str]:
    things = {**graph.nodes, **graph.sources}
    (node,) = [n for n in graph.nodes.values() if n.name == name]
    return [things[dep].name for dep in node.deps]


# -- select, exclude ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({"select": "tag:core"}, {"a.one", "c.three"}),
        ({"select": ["c.*"]}, {"c.three", "c.apart"}),
        ({"select": "+b.two"}, {"a.one", "b.two"}),
        ({"select": "c.* & ^c.apart"}, {"c.three"}),
        ({"exclude": "c.apart"}, {"a.one", "b.two", "c.three"}),
        ({"select": ["c.*", "a.one"], "exclude": ["tag:core"]}, {"c.apart"}),
    ],
)
def test_which_models_are_assets(
    project: Project, settings: dict[str, Any], chosen: set[str]
) -> None:
    graph = setting(project, **settings)
    assert {node.name for node in graph.nodes.values()} == chosen


def test_what_is_left_out_and_read_is_a_source(project: Project) -> None:
    whole = {n.name: n for n in project.graph.nodes.values()}
    graph = setting(project, select="tag:core")
    (two,) = [s for s in graph.sources.values() if s.name == "w.b.two"]
    assert two.relation == whole["b.two"].relation
    # It waits for what is above it, although it is read through what is left out.
    assert reads(graph, "c.three") == ["w.b.two", "a.one"]
    assert keys(graph)["w.b.two"] == "w/b/two"
    assert {check.name for check in graph.checks.values()} == {"not_null"}  # of a.one


def test_a_standalone_audit_goes_with_what_it_reads(project: Project) -> None:
    found = {c.name for c in setting(project, select="b.two").checks.values()}
    assert found == {"not_null", "two_is_right"}
    assert not setting(project, select="c.three").checks  # it reads b.two, which is left out


def test_the_drift_is_of_what_is_chosen(project: Project) -> None:
    project.plan_natively(NOW)
    project.model("c.apart", "kind FULL\n---\nSELECT 2 AS n")
    setting(project, select="tag:core")
    assert not project.read().drift
    setting(project, select=(), exclude="tag:core")
    assert project.read().drift.changed == ("w/c/apart",)


def test_a_run_builds_what_is_chosen_and_only_over_what_is_there(project: Project) -> None:
    project.plan_natively(NOW)
    graph = setting(project, select="tag:core")
    for upstreams in ("hold", "include"):
        result = project.run(LATER, upstreams=upstreams, ignore_cron=True)
        assert result.outcome("c.three") is Outcome.WAITING, result.reason("c.three")
        assert "w/b/two" in result.reason("c.three")
    assert result.outcome("a.one") in (Outcome.BUILT, Outcome.UP_TO_DATE)
    assert max(row[0] for row in project.database.content("b.two")) < LATER.date()
    project.run_natively(LATER)  # b.two is somebody else's to build
    project.database.execute("DELETE FROM raw.events")
    rows = project.database.content("c.three")
    assert rows
    assert rows == project.database.content("b.two") == project.database.content("a.one")
    assert len(graph.nodes) == 2


def test_a_plan_of_what_is_chosen_leaves_the_rest_alone(project: Project) -> None:
    project.plan_natively(NOW)
    project.model("c.apart", "kind FULL\n---\nSELECT 2 AS n")
    project.model("c.three", MODELS["c.three"].replace("n::INT AS n", "n::INT + 1 AS n"))
    setting(project, select="tag:core")
    result = project.run(NOW, plan_mode="auto")
    assert result.outcome("c.three") is Outcome.BACKFILLED, result.reason("c.three")
    assert project.database.content("c.apart") == [(1,)]


@pytest.mark.parametrize(
    ("settings", "where", "says"),
    [
        ({"select": ["a.*", "tag:cor"]}, ("select", 1), "Did you mean 'tag:core'"),
        ({"select": "c.thre"}, ("select", 0), "Did you mean 'c.three'"),
        ({"select": "a.one &"}, ("select", 0), "SQLMesh can't read 'a.one &'"),
        ({"exclude": "*"}, ("exclude",), "nothing of the project is left"),
    ],
)
def test_a_selection_that_can_not_be_meant(
    project: Project, settings: dict[str, Any], where: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(SettingError) as raised:
        setting(project, **settings)
    assert raised.value.where == where
    assert says in str(raised.value)


# -- keys -----------------------------------------------------------------------------------------


def test_a_prefix_is_before_the_keys_of_models_only(project: Project) -> None:
    assert keys(setting(project, key_prefix="shop/dev")) == {
        "a.one": "shop/dev/w/a/one",
        "b.two": "shop/dev/w/b/two",
        "c.three": "shop/dev/w/c/three",
        "c.apart": "shop/dev/w/c/apart",
        "w.raw.events": "w/raw/events",
    }
    graph = setting(project, select="c.three")
    assert keys(graph) == {"c.three": "shop/dev/w/c/three", "w.b.two": "shop/dev/w/b/two"}


def test_keys_without_the_catalog_survive_another_file(project: Project, tmp_path: Path) -> None:
    before = keys(setting(project, catalog_in_key=False))
    assert before["a.one"] == "a/one"
    assert before["w.raw.events"] == "raw/events"
    moved = Project(tmp_path / "q", Database.in_file(tmp_path / "renamed.duckdb"), MODELS)
    after = keys(setting(moved, catalog_in_key=False))
    assert set(after.values()) == set(before.values())
    assert keys(setting(moved, catalog_in_key=False, key_prefix="x"))["a.one"] == "x/a/one"
    group = TransformTranslator().get_group_name
    assert {group(n) for n in moved.graph.nodes.values()} == {"a", "b", "c"}


def test_keys_that_are_equal_without_the_catalog_are_named(tmp_path: Path) -> None:
    connection = {
        "type": "duckdb",
        "catalogs": {"one": str(tmp_path / "1.duckdb"), "two": str(tmp_path / "2.duckdb")},
    }
    models = {f"{c}.s.t": "kind FULL\n---\nSELECT 1 AS n" for c in ("one", "two")}
    project = Project(tmp_path / "p", Database(connection, "one"), models)
    assert len(set(keys(project.graph).values())) == 2
    with pytest.raises(SettingError) as raised:
        setting(project, catalog_in_key=False)
    assert raised.value.where == ("catalog_in_key",)
    for part in ('"one"."s"."t"', '"two"."s"."t"', "s/t"):
        assert part in str(raised.value)


def test_external_tables_have_the_keys_that_people_give_them(project: Project) -> None:
    for name in ("raw.events", "w.raw.events", '"w"."raw"."events"'):
        graph = setting(project, source_keys={name: "landing/events"})
        assert keys(graph)["w.raw.events"] == "landing/events"
    with pytest.raises(SettingError, match=r"Did you mean .*raw\.events") as raised:
        setting(project, source_keys={"raw.event": "landing/events"})
    assert raised.value.where == ("source_keys", "raw.event")
