"""Every kind of model and every way to write one loads, and says of itself what SQLMesh's users
look for."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from dagster_transform.graph import GraphFile, Node
from tests.support.sqlmesh_projects import Database, Project

ID = "SELECT 1 AS id, '2024-03-01'::DATE AS day"
READS = "SELECT id, day FROM k.full_kind"
BETWEEN = f"{READS} WHERE day BETWEEN @start_ds AND @end_ds"


def model(header: str, query: str = READS) -> str:
    """A model of this kind with one audit."""
    return f"{dedent(header).strip()},\naudits (not_null(columns := (id)))\n---\n{query}"


# By name: kind and interval unit of the node, and how the model is written.
MODELS = {
    "k.full_kind": (("FULL", "day"), model("kind FULL", ID)),
    "k.view_kind": (("VIEW", "day"), model("kind VIEW")),
    "k.view_stored": (("VIEW", "day"), model("kind VIEW (materialized true)")),
    "k.by_time": (
        ("INCREMENTAL_BY_TIME_RANGE", "hour"),
        model(
            """
            kind INCREMENTAL_BY_TIME_RANGE (
              time_column day, lookback 2, batch_size 3, batch_concurrency 2, forward_only true
            ),
            cron '@hourly',
            allow_partials true
            """,
            BETWEEN,
        ),
    ),
    "k.by_key": (
        ("INCREMENTAL_BY_UNIQUE_KEY", "month"),
        model("kind INCREMENTAL_BY_UNIQUE_KEY (unique_key (id, day)),\ncron '@monthly'", BETWEEN),
    ),
    "k.by_partition": (
        ("INCREMENTAL_BY_PARTITION", "day"),
        model("kind INCREMENTAL_BY_PARTITION,\npartitioned_by day,\nclustered_by id"),
    ),
    "k.unmanaged": (("INCREMENTAL_UNMANAGED", "day"), model("kind INCREMENTAL_UNMANAGED")),
    "k.history_by_time": (
        ("SCD_TYPE_2_BY_TIME", "day"),
        model(
            "kind SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name day)",
            "SELECT id, day::TIMESTAMP AS day FROM k.full_kind",
        ),
    ),
    "k.history_by_column": (
        ("SCD_TYPE_2_BY_COLUMN", "day"),
        model("kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns (day))"),
    ),
    "k.seed": (
        ("SEED", "day"),
        model("kind SEED (path '../seeds/seed.csv'),\ncolumns (id INT)", ""),
    ),
    "k.managed": (("MANAGED", "day"), model("kind MANAGED")),
    "k.custom": (
        ("CUSTOM", "day"),
        model(
            """
            kind CUSTOM (
              materialization 'written_twice', materialization_properties (times = 2)
            )
            """
        ),
    ),
    "k.held": (
        ("INCREMENTAL_BY_TIME_RANGE", "five_minute"),
        model(
            """
            kind INCREMENTAL_BY_TIME_RANGE (time_column day),
            cron '*/5 * * * *',
            signals (half_of_them(part := 1), complete())
            """,
            BETWEEN,
        ),
    ),
}
PYTHON = {
    "k.in_python": ("INCREMENTAL_BY_TIME_RANGE", "day"),
    "k.oslo": ("FULL", "day"),
    "k.bergen": ("FULL", "day"),
    "k.north": ("VIEW", "day"),
    "k.south": ("VIEW", "day"),
}
FILES = {
    "seeds/seed.csv": "id\n1\n",
    "external_models.yaml": """
        - name: outside.table
          columns: {id: int}
    """,
    "models/embedded.sql": """
        MODEL (name k.embedded, kind EMBEDDED);
        SELECT id FROM outside.table
    """,
    "models/reader.sql": """
        MODEL (name k.reader, kind FULL);
        SELECT id FROM k.embedded
    """,
    "models/in_python.py": """
        import typing as t
        import pandas as pd
        from sqlmesh import ExecutionContext, model
        from sqlmesh.core.model.kind import ModelKindName

        @model(
            "k.in_python",
            kind={"name": ModelKindName.INCREMENTAL_BY_TIME_RANGE, "time_column": "day"},
            columns={"id": "int", "day": "date"},
            depends_on=["k.full_kind"],
            audits=[("not_null", {"columns": ["id"]})],
            owner="ana",
        )
        def execute(context: ExecutionContext, **kwargs: t.Any) -> pd.DataFrame:
            return context.fetchdf("SELECT id, day FROM k.full_kind")
    """,
    "models/by_blueprint.py": """
        import typing as t
        import pandas as pd
        from sqlmesh import ExecutionContext, model

        @model(
            "k.@{city}",
            kind="FULL",
            cron="@weekly",
            columns={"id": "int"},
            audits=[("not_null", {"columns": ["id"]})],
            blueprints=[{"city": "oslo"}, {"city": "bergen"}],
        )
        def execute(context: ExecutionContext, **kwargs: t.Any) -> pd.DataFrame:
            return pd.DataFrame({"id": [1]})
    """,
    "models/by_blueprint.sql": """
        MODEL (
          name k.@part,
          kind VIEW,
          audits (not_null(columns := (id))),
          blueprints ((part := north), (part := south))
        );
        SELECT id FROM k.full_kind WHERE @SQL('id') > 0
    """,
    "signals/__init__.py": """
        from sqlmesh import signal

        @signal()
        def half_of_them(batch, part: int = 0):
            return batch[: len(batch) // 2]

        @signal()
        def complete(batch):
            return True
    """,
    "materializations/written_twice.py": """
        from sqlmesh import CustomMaterialization

        class WrittenTwice(CustomMaterialization):
            NAME = "written_twice"

            def insert(self, table_name, query_or_df, model, is_first_insert, render_kwargs, **kw):
                self.adapter.replace_query(table_name, query_or_df)
    """,
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> GraphFile:
    folder = tmp_path_factory.mktemp("kinds")
    models = {name: text for name, (_, text) in MODELS.items()}
    return Project(
        folder / "p", Database.in_file(folder / "w.duckdb"), models, files=FILES
    ).read()  # fmt: skip


@pytest.fixture(scope="module")
def nodes(file: GraphFile) -> dict[str, Node]:
    return {node.name: node for node in file.graph.nodes.values()}


EXPECTED = {name: said for name, (said, _) in MODELS.items()} | PYTHON


@pytest.mark.parametrize("name", EXPECTED)
def test_every_kind_is_a_node_with_its_interval_and_checks(
    name: str, file: GraphFile, nodes: dict[str, Node]
) -> None:
    node = nodes[name]
    assert (node.kind, node.interval_unit) == EXPECTED[name]
    (check,) = file.graph.checks_of(node.id)
    assert (check.name, check.kind, check.blocking) == ("not_null", "audit", True)
    assert "id" in {column.name for column in node.columns}
    assert node.properties["dialect"] == "duckdb"


def test_there_are_no_other_nodes_than_these(file: GraphFile, nodes: dict[str, Node]) -> None:
    # An embedded model is looked through, and an external one is a source.
    assert nodes.keys() == EXPECTED.keys() | {"k.reader"}
    (source,) = file.graph.sources.values()
    assert source.name == "w.outside.table"
    assert nodes["k.reader"].deps == (source.id,)
    assert nodes["k.reader"].column_lineage() == {"id": ((source.id, "id"),)}


def test_what_each_says_besides(nodes: dict[str, Node]) -> None:
    said = {name: dict(node.properties) for name, node in nodes.items()}
    assert said["k.by_time"]["time_column"] == '"day"'
    assert said["k.by_key"]["unique_key"] == '"id", "day"'
    assert said["k.by_partition"]["partitioned_by"] == '"day"'
    assert said["k.by_partition"]["clustered_by"] == '"id"'
    assert said["k.custom"]["materialization"] == "written_twice"
    assert said["k.held"]["signals"] == "half_of_them, complete"
    assert said["k.in_python"]["language"] == "python"
    assert "language" not in said["k.full_kind"]
    assert nodes["k.in_python"].owners == ("ana",)
    assert nodes["k.in_python"].column_lineage() == {}
    assert nodes["k.held"].cron == "*/5 * * * *"


def test_a_blueprint_is_found_where_it_is_written(nodes: dict[str, Node]) -> None:
    places = {name: nodes[name].location for name in ("k.oslo", "k.south", "k.custom")}
    assert {name: place.path for name, place in places.items() if place} == {
        "k.oslo": "models/by_blueprint.py",
        "k.south": "models/by_blueprint.sql",
        "k.custom": "models/k.custom.sql",
    }


def test_grains_references_and_a_dialect_with_settings(tmp_path: Path) -> None:
    models = {
        "s.a": "kind FULL,\ngrains ((id, day), id),\nreferences (day, id AS other_id)\n---\n" + ID,
        "s.b": "kind FULL,\ndialect 'duckdb,normalization_strategy=case_insensitive'\n---\n" + ID,
    }
    project = Project(tmp_path, Database.in_file(tmp_path / "w.duckdb"), models)
    said = {n.name: dict(n.properties) for n in project.read().graph.nodes.values()}
    assert said["s.a"]["grains"] == "(id, day), id"
    assert said["s.a"]["references"] == "day, id AS other_id"
    assert said["s.b"]["dialect"] == "duckdb"
