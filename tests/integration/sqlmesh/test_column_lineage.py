"""What each column is computed from: equal to what SQLMesh's own lineage finds, to its ends."""

from __future__ import annotations

from textwrap import dedent

import dagster as dg
import pytest
from sqlmesh.core.lineage import column_dependencies

from dagster_transform import build_transform_definitions
from dagster_transform.graph import GraphFile
from dagster_transform.sqlmesh.files.column_lineage import Lineage
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

QUERIES = {
    "s.base": "SELECT a::INT AS a, b::INT AS b, c::TEXT AS c, d::INT[] AS d FROM outside.t",
    "s.recursive": """
        WITH RECURSIVE r AS (
          SELECT a, b FROM s.base UNION ALL SELECT a + 1, r.b FROM r WHERE a < 10
        ) SELECT a, b FROM r
    """,
    "s.united": "SELECT a AS x, b AS y FROM s.base UNION ALL SELECT b, a FROM s.base",
    "s.unnested": "SELECT a, UNNEST(d) AS e FROM s.base",
    "s.lateral_join": "SELECT t.a, u.e FROM s.base AS t CROSS JOIN UNNEST(t.d) AS u(e)",
    "s.starred": "SELECT t.*, 1 AS one FROM s.base AS t",
    "s.unnamed": "SELECT a, a + b FROM s.base",
    "s.nested": """
        SELECT a, (SELECT MAX(b) FROM s.united AS u JOIN s.base AS k ON u.x = k.a) AS m,
          EXISTS(SELECT 1 FROM s.unnested) AS found, COUNT(*) OVER (PARTITION BY c) AS n
        FROM s.base ORDER BY m
    """,
    "s.pivoted": """
        SELECT * FROM (SELECT a, c, b FROM s.base) PIVOT (SUM(b) FOR c IN ('x', 'y')) AS p
    """,
    "s.lambda": "SELECT LIST_TRANSFORM(d, v -> v + a) AS l FROM s.base ORDER BY l",
    "s.constant": "SELECT CASE WHEN a > 1 THEN b ELSE 0 END AS k, NOW() AS today FROM s.base",
    "s.half_known": "SELECT u.q AS q, b.a AS a FROM outside.u JOIN s.base AS b ON u.id = b.a",
    "s.ambiguous": "SELECT a, nowhere FROM s.base JOIN outside.u USING (a)",
    "s.quoted": """SELECT a AS "Über x", b AS "we""ird.y" FROM s.base""",
    "s.reads_quoted": """SELECT "Über x" AS p, "we""ird.y" AS q FROM s.quoted""",
}
KINDS = {
    "s.history": (
        "SCD_TYPE_2_BY_TIME (unique_key a)",
        "SELECT a, b, CURRENT_TIMESTAMP AS updated_at FROM s.base",
    ),
    "e.first": ("EMBEDDED", "SELECT a AS ea, b AS eb, a + b AS ec FROM s.base"),
    "e.second": ("EMBEDDED", "SELECT ea AS fa, ec AS fc, 1 AS lit FROM e.first"),
    "m.reads": (
        "FULL",
        """
        SELECT fa, fc, lit, e.eb + o.w AS sum FROM e.second
        JOIN e.first AS e ON e.ea = fa JOIN outside.u AS o ON o.id = fa
        """,
    ),
    "m.itself": ("FULL", "SELECT a, (SELECT MAX(i.a) FROM m.itself AS i) AS before FROM s.base"),
    # The second column can't be followed into a query whose columns nobody knows.
    "m.one_lost": (
        "FULL",
        'SELECT a AS "X y", b AS z FROM s.base UNION ALL SELECT * FROM outside.u',
    ),
    # SQLMesh expands a star only where it knows all tables; the second one's columns are known.
    "m.starred": (
        "FULL,\ncolumns (a INT, q INT, id INT)",
        """
        SELECT t.a, x.* FROM s.base AS t
        JOIN (SELECT o.q, o.id FROM outside.u AS o) AS x ON t.a = x.id
        """,
    ),
    "m.all_unknown": ("FULL", "SELECT * FROM outside.u"),
}
PYTHON = """
    import typing as t
    import pandas as pd
    from sqlmesh import ExecutionContext, model

    @model("m.in_python", kind="FULL", columns={"a": "int"}, depends_on=["s.base"])
    def execute(context: ExecutionContext, **kwargs: t.Any) -> pd.DataFrame:
        return context.fetchdf("SELECT a FROM s.base")
"""
MODELS = {
    **{name: f"kind FULL\n---\n{dedent(query)}" for name, query in QUERIES.items()},
    **{name: f"kind {kind}\n---\n{query}" for name, (kind, query) in KINDS.items()},
    "m.itself": f"kind FULL,\ncolumns (a INT, before INT)\n---\n{KINDS['m.itself'][1]}",
    "m.seed": "kind SEED (path '../seeds/m.csv')",
}


@pytest.fixture(scope="module")
def transform(tmp_path_factory: pytest.TempPathFactory) -> Transform:
    folder = tmp_path_factory.mktemp("lineage")
    files = {"models/in_python.py": PYTHON, "seeds/m.csv": "n\n1\n"}
    database = Database.in_file(folder / "w.duckdb")
    return Transform(folder, [Project(folder / "p", database, MODELS, files=files)])


@pytest.fixture(scope="module")
def file(transform: Transform) -> GraphFile:
    return transform.projects[0].read()


def lineage(file: GraphFile, name: str) -> dict[str, set[str]]:
    """By column: `table.column`s, without the catalog."""
    things = {**file.graph.nodes, **file.graph.sources}
    (node,) = [n for n in file.graph.nodes.values() if n.name == name]
    return {
        column: {f"{things[id].name.removeprefix('w.')}.{there}" for id, there in sources}
        for column, sources in node.column_lineage().items()
    }


@pytest.mark.parametrize("name", QUERIES)
def test_it_is_what_sqlmesh_finds_for_one_column_after_the_other(
    transform: Transform, name: str
) -> None:
    with transform.projects[0].native() as context:
        model = context.get_model(name)
        before = model.render_query_or_raise().sql()
        found = Lineage(context.models).of(model.fqn)
        for column in model.columns_to_types:
            parents = column_dependencies(context, name, column_of(column))
            expected = {(table, there) for table, columns in parents.items() for there in columns}
            assert set(found.get(column, ())) == expected, column
        assert found
        assert model.render_query_or_raise().sql() == before  # and nothing of it was changed


def column_of(name: str) -> object:
    from sqlglot import exp

    return exp.column(name, quoted=True)


def test_lineage_ends_at_nodes_and_sources(file: GraphFile) -> None:
    assert lineage(file, "m.reads") == {
        "fa": {"s.base.a"},
        "fc": {"s.base.a", "s.base.b"},
        "sum": {"s.base.b", "outside.u.w"},
    }
    assert lineage(file, "s.base") == {c: {f"outside.t.{c}"} for c in "abcd"}
    assert lineage(file, "s.starred") == {c: {f"s.base.{c}"} for c in "abcd"}
    assert lineage(file, "s.reads_quoted") == {
        "p": {"s.quoted.über x"}, "q": {'s.quoted.we"ird.y'}
    }  # fmt: skip
    assert lineage(file, "m.starred") == {
        "a": {"s.base.a"}, "q": {"outside.u.q"}, "id": {"outside.u.id"}
    }  # fmt: skip
    # What SQLMesh fills in by itself, and what reads the model's own rows, comes from nowhere else.
    assert lineage(file, "s.history") == {"a": {"s.base.a"}, "b": {"s.base.b"}}
    assert lineage(file, "m.itself") == {"a": {"s.base.a"}}


def test_a_column_that_can_not_be_followed_loses_only_its_own(file: GraphFile) -> None:
    assert lineage(file, "m.one_lost") == {"x y": {"s.base.a"}}
    for without in ("m.all_unknown", "m.in_python", "m.seed"):
        assert lineage(file, without) == {}
    (python,) = [n for n in file.graph.nodes.values() if n.name == "m.in_python"]
    assert [c.name for c in python.columns] == ["a"]


def test_it_can_be_left_out(transform: Transform, file: GraphFile) -> None:
    project = transform.projects[0]
    project.config = project.config.model_copy(update={"column_lineage": False})
    without = project.read()
    project.config = project.config.model_copy(update={"column_lineage": True})
    assert not any(n.column_lineage() for n in without.graph.nodes.values())
    assert without.graph.order == file.graph.order


def test_dagster_has_it_by_asset_key(transform: Transform) -> None:
    transform.prepare()
    defs = build_transform_definitions(transform.folder)
    metadata = {s.key.to_user_string(): s.metadata for s in defs.resolve_all_asset_specs()}
    found = metadata["w/m/reads"]["dagster/column_lineage"]
    assert isinstance(found, dg.TableColumnLineage)
    assert {
        column: {f"{d.asset_key.to_user_string()}:{d.column_name}" for d in deps}
        for column, deps in found.deps_by_column.items()
    } == {
        "fa": {"w/s/base:a"},
        "fc": {"w/s/base:a", "w/s/base:b"},
        "sum": {"w/s/base:b", "w/outside/u:w"},
    }
    assert "dagster/column_lineage" not in metadata["w/m/in_python"]
