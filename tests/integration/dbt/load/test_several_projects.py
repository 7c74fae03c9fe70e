"""Several projects in one transform meet by the relations that they read and make."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_transform import TransformTranslator
from dagster_transform.dagster.definitions.errors import DuplicateKeyError
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.graph import DuplicateRelationError, Graph
from tests.support.dbt_loading import LOCAL_PACKAGE, MODEL, project
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project

# -- several projects ----------------------------------------------------------------------------


def names_of(graph: Graph) -> dict[str, list[str]]:
    """What each node reads, all by name."""
    everything = {**graph.nodes, **graph.sources}
    return {n.name: [everything[dep].name for dep in n.deps] for n in graph.nodes.values()}


@pytest.fixture(
    params=["duckdb", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])]
)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "postgres":
        yield Database.in_postgres(request.getfixturevalue("postgres_database"))
    else:
        yield Database.in_file(tmp_path / "w.duckdb")


def test_dbt_and_sqlmesh_meet_by_relation_both_ways(tmp_path: Path, either: Database) -> None:
    """staging (dbt) -> mart.sales (SQLMesh) -> report (dbt), without any configuration."""
    made = DbtProject(
        tmp_path / "d",
        either,
        {
            "models/staging/Orders.sql": "select 1 as n",
            "models/report.sql": "select * from {{ source('sqlmesh', 'sales') }}",
            "models/sources.yml": """
                sources:
                  - name: sqlmesh
                    schema: mart
                    tables:
                      - name: sales
                        columns: [{name: n, data_tests: [not_null]}]
                """,
        },
        project={"models": {"shop": {"staging": {"+schema": "staging"}}}},
    )
    # As people write it without quotes, where dbt writes the name with them.
    named = "w.main_staging.Orders" if either.dialect == "duckdb" else 'main_staging."Orders"'
    models = {"mart.sales": f"kind FULL\n---\nSELECT n FROM {named}"}
    sqlmesh = Project(tmp_path / "p", either, models)
    combined = Graph.combine([made.graph, sqlmesh.graph])
    kept = (made.artifacts / "parsed.json").read_text()
    assert either.dialect in kept
    assert "password" not in kept
    assert "user" not in kept
    assert names_of(combined) == {
        "Orders": [],
        "mart.sales": ["Orders"],
        "report": ["mart.sales"],
    }
    assert combined.order == (
        "d:model.shop.Orders",
        sqlmesh.id("mart.sales"),
        "d:model.shop.report",
    )
    (check,) = combined.checks.values()
    assert check.target == sqlmesh.id("mart.sales")
    assert check.id == f"{check.target}:source_not_null_sqlmesh_sales_n"


def test_two_dbt_projects_meet_by_relation_and_never_build_the_same(
    tmp_path: Path, database: Database
) -> None:
    reader = {
        "models/b.sql": "select * from {{ source('up', 'a') }}",
        "models/s.yml": "sources: [{name: up, schema: main, tables: [{name: a}]}]",
    }
    one = DbtProject(tmp_path / "d", database, MODEL).graph
    two = DbtProject(tmp_path / "e", database, reader, name="e", package="other")
    assert names_of(Graph.combine([one, two.graph])) == {"a": [], "b": ["a"]}
    two.write(MODEL)
    with pytest.raises(DuplicateRelationError, match=r"'d:model.shop.a' and 'e:model.other.a'"):
        Graph.combine([one, two.graph])


def test_one_key_of_two_packages_names_both(tmp_path: Path, database: Database) -> None:
    files = {"vendored/helper/models/a.sql": "select 2 as n", **LOCAL_PACKAGE}
    made = project(
        tmp_path, database, files, project={"models": {"helper": {"+alias": "helpers_a"}}}
    )
    with pytest.raises(DuplicateKeyError) as raised:
        keys_of(made.graph, TransformTranslator())
    told = str(raised.value)
    assert "d:model.helper.a and d:model.shop.a have one asset key: a" in told
    assert "meta: {dagster: {asset_key: [...]}}" in told
