"""What transform.yaml says of a dbt project: variables, which nodes are assets, their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagster_transform import TransformTranslator
from dagster_transform.config import DbtProject as DbtConfig
from dagster_transform.config import SettingError
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.graph import Graph
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database

FILES = {
    "models/a.sql": "{{ config(materialized='table', tags=['core']) }}"
    " select n from {{ source('raw', 'events') }}",
    "models/b.sql": "{{ config(materialized='table') }} select n from {{ ref('a') }}",
    "models/gone.sql": "{{ config(materialized='ephemeral') }} select n from {{ ref('b') }}",
    "models/c.sql": "{{ config(materialized='table', tags=['core']) }}"
    " select n from {{ ref('gone') }}",
    "models/extra.sql": "{{ config(enabled=var('with_extra', false), materialized='table') }}"
    " select {{ var('n', 1) }} as n",
    "models/schema.yml": """
        sources:
          - name: raw
            tables:
              - name: events
                columns: [{name: n, data_tests: [not_null]}]
              - name: unread
        models:
          - {name: a, columns: [{name: n, data_tests: [not_null]}]}
          - {name: b, columns: [{name: n, data_tests: [not_null]}]}
          - name: c
            columns:
              - name: n
                data_tests: [{relationships: {arguments: {to: ref('b'), field: n}}}]
    """,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


def graph_of(folder: Path, **config: Any) -> Graph:
    """The graph with these settings, as they stand in transform.yaml."""
    given = DbtConfig.model_validate({"framework": "dbt", "path": folder / "d", **config})
    project = DbtProject(folder / "d", Database.in_file(folder / "w.duckdb"), FILES)
    project.config = given
    return project.graph


def keys(graph: Graph) -> dict[str, str]:
    found = keys_of(graph, TransformTranslator()).assets
    things = {**graph.nodes, **graph.sources}
    return {things[id].name: key.to_user_string() for id, key in found.items()}


def names(graph: Graph) -> set[str]:
    return {node.name for node in graph.nodes.values()}


def reads(graph: Graph, name: str) -> list[str]:
    things = {**graph.nodes, **graph.sources}
    (node,) = [n for n in graph.nodes.values() if n.name == name]
    return [things[dep].name for dep in node.deps]


def checks(graph: Graph) -> dict[str, str]:
    """By reference: what each check is shown on."""
    things = {**graph.nodes, **graph.sources}
    return {c.reference.split(".")[2]: things[c.target].name for c in graph.checks.values()}


def test_variables_are_known_when_dbt_parses(folder: Path) -> None:
    assert names(graph_of(folder)) == {"a", "b", "c"}
    assert names(graph_of(folder, vars={"with_extra": True})) == {"a", "b", "c", "extra"}
    assert names(graph_of(folder, vars={"with_extra": False})) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({"select": "tag:core"}, {"a", "c"}),
        ({"select": "tag:core b"}, {"a", "b", "c"}),  # as on dbt's command line
        ({"select": ["+b"]}, {"a", "b"}),
        ({"select": "a+", "exclude": "c"}, {"a", "b"}),
        ({"exclude": ["tag:core"]}, {"b"}),
        ({"select": "tag:core,c"}, {"c"}),
    ],
)
def test_which_nodes_are_assets(folder: Path, settings: dict[str, Any], chosen: set[str]) -> None:
    assert names(graph_of(folder, **settings)) == chosen


def test_what_is_left_out_and_read_is_a_source(folder: Path) -> None:
    whole = {n.name: n for n in graph_of(folder).nodes.values()}
    graph = graph_of(folder, select="tag:core")
    assert {s.name for s in graph.sources.values()} == {"raw.events", "b"}
    (b,) = [s for s in graph.sources.values() if s.name == "b"]
    assert b.relation == whole["b"].relation
    # It waits for what is above it, although it is read through what is left out.
    assert reads(graph, "c") == ["b", "a"]
    assert reads(graph, "a") == ["raw.events"]


def test_tests_are_those_that_dbt_selects(folder: Path) -> None:
    assert set(checks(graph_of(folder))) == {
        "source_not_null_raw_events_n",
        "not_null_a_n",
        "not_null_b_n",
        "relationships_c_n__n__ref_b_",
    }
    assert checks(graph_of(folder, select="tag:core")) == {
        "not_null_a_n": "a",
        "relationships_c_n__n__ref_b_": "c",
    }
    both = checks(graph_of(folder, select=["a", "source:raw"]))
    assert both == {"source_not_null_raw_events_n": "raw.events", "not_null_a_n": "a"}


def test_a_prefix_is_before_the_keys_of_nodes_only(folder: Path) -> None:
    found = keys(graph_of(folder, key_prefix="dev", select="tag:core"))
    assert found == {"a": "dev/a", "c": "dev/c", "b": "dev/b", "raw.events": "raw/events"}


def test_sources_have_the_keys_that_people_give_them(folder: Path) -> None:
    for name in ("raw.events", "w.raw.events", "source.shop.raw.events"):
        graph = graph_of(folder, source_keys={name: ["landing", "events"]})
        assert keys(graph)["raw.events"] == "landing/events"
    with pytest.raises(SettingError, match=r"Did you mean .*raw\.events") as raised:
        graph_of(folder, source_keys={"raw.event": "x"})
    assert raised.value.where == ("source_keys", "raw.event")


@pytest.mark.parametrize(
    ("settings", "where", "says"),
    [
        ({"select": ["a", "tag:cor"]}, ("select", 1), "'tag:cor' selects nothing"),
        ({"select": "a tag:cor"}, ("select", 0), "'tag:cor' selects nothing"),
        ({"select": "a", "exclude": "*"}, ("exclude",), "is left"),
        ({"select": "no_such_method:x"}, ("select",), "no_such_method"),
    ],
)
def test_a_selection_that_can_not_be_meant(
    folder: Path, settings: dict[str, Any], where: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(SettingError) as raised:
        graph_of(folder, **settings)
    assert raised.value.where == where
    assert says in str(raised.value)
