"""The graph of a SQLMesh project: what the files say, and how the environment stands to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from dagster_transform.graph import Check, GraphFile, Node, Presence
from tests.support.sqlmesh_projects import Database, Project, utc

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

NOW = utc("2024-03-05 10:30")

MODELS = {
    "stage.orders": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, lookback 1),
        cron '@hourly',
        cron_tz 'Europe/Oslo',
        interval_unit 'hour',
        owner 'data@example.com',
        tags (raw, nightly),
        description 'What customers ordered.',
        partitioned_by ds,
        grain id,
        column_descriptions (id = 'Number of the order'),
        columns (id INT, price DECIMAL(10, 2), ds TIMESTAMP),
        audits (
          not_null(columns := (id)),
          accepted_range(column := price, min_v := 0),
          accepted_range(column := id, min_v := 1, blocking := false),
          no_gaps(),
          no_gaps(blocking := true)
        )
        ---
        -- stage.orders reads two sources
        SELECT o.id, p.price, o.ds FROM outside.orders AS o JOIN declared.prices AS p USING (id)
        WHERE ds BETWEEN @start_ts AND @end_ts
    """,
    "stage.positive": "kind EMBEDDED\n---\nSELECT id, price FROM stage.orders",
    "stage.priced": "kind EMBEDDED\n---\nSELECT id, price FROM stage.positive WHERE id > 0",
    "ref.names": "kind SEED (path '../seeds/names.csv'),\ncolumns (id INT, name TEXT)",
    "mart.report": """
        kind FULL,
        cron '5 4 * * sun'
        ---
        SELECT n.name, SUM(o.price) AS total FROM stage.priced AS o JOIN ref.names AS n USING (id)
        GROUP BY n.name
    """,
    "mart.shown": "kind VIEW\n---\nSELECT name, total FROM mart.report",
}
FILES = {
    "seeds/names.csv": "id,name\n1,one\n",
    "audits/gaps.sql": """
        AUDIT (name other_one);
        SELECT 1 WHERE FALSE;

        AUDIT (name no_gaps, blocking false);
        SELECT * FROM @this_model WHERE id IS NULL;
    """,
    "external_models.yaml": """
        - name: declared.prices
          description: From the shop.
          columns: {id: int, price: "decimal(10, 2)"}
    """,
}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.in_file(tmp_path / "w.duckdb")


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    return Project(tmp_path / "transform" / "p", database, MODELS, files=FILES)


def nodes(file: GraphFile) -> dict[str, Node]:
    return {node.name: node for node in file.graph.nodes.values()}


def checks(file: GraphFile, model: str) -> dict[str, Check]:
    return {c.name: c for c in file.graph.checks_of(nodes(file)[model].id)}


def make_sources(database: Database) -> None:
    database.execute(
        "CREATE SCHEMA outside", "CREATE TABLE outside.orders (id INT, ds TIMESTAMP)",
        "CREATE SCHEMA declared", "CREATE TABLE declared.prices (id INT, price DECIMAL(10, 2))",
        "INSERT INTO outside.orders VALUES (1, TIMESTAMP '2024-03-02 05:00:00')",
        "INSERT INTO declared.prices VALUES (1, 9.5)",
    )  # fmt: skip


def test_a_node_says_what_its_model_says(project: Project, database: Database) -> None:
    file = project.read()
    by_name = nodes(file)
    assert set(by_name) == {"stage.orders", "ref.names", "mart.report", "mart.shown"}
    orders = by_name["stage.orders"]
    assert orders.id == 'p:"w"."stage"."orders"'
    assert orders.reference == '"w"."stage"."orders"'
    assert (orders.project, orders.framework) == ("p", "sqlmesh")
    assert orders.kind == "INCREMENTAL_BY_TIME_RANGE"
    assert (orders.cron, orders.time_zone, orders.interval_unit) == (
        "@hourly", "Europe/Oslo", "hour"
    )  # fmt: skip
    assert orders.tags == ("raw", "nightly")
    assert orders.owners == ("data@example.com",)
    assert orders.description == "What customers ordered."
    assert [(c.name, c.type, c.description) for c in orders.columns] == [
        ("id", "INT", "Number of the order"),
        ("price", "DECIMAL(10, 2)", None),
        ("ds", "TIMESTAMP", None),
    ]
    assert orders.properties.items() >= {
        "dialect": "duckdb", "partitioned_by": '"ds"', "grains": "id", "start": "2024-03-01"
    }.items()  # fmt: skip
    assert orders.properties["raw_code"].startswith("SELECT o.id, p.price, o.ds FROM outside.")
    assert "raw_code" not in by_name["ref.names"].properties, "a seed has none"
    audits = checks(file, "stage.orders")
    assert audits["no_gaps"].properties["raw_code"] == "SELECT * FROM @this_model WHERE id IS NULL"
    assert audits["not_null"].properties["columns"] == "(id)"
    assert "@this_model" in audits["not_null"].properties["raw_code"], "also SQLMesh's own"
    report = by_name["mart.report"]
    assert (report.kind, report.cron, report.time_zone) == ("FULL", "5 4 * * sun", None)
    assert report.description is None
    assert (report.tags, report.owners) == ((), ())
    assert [c.name for c in report.columns] == ["name", "total"]
    assert str(orders.relation) == "w.stage.orders"
    assert orders.relation.connection == f"duckdb:{Path(database.connection['database']).resolve()}"
    assert by_name["ref.names"].kind == "SEED"
    assert by_name["mart.shown"].kind == "VIEW"


def test_dependencies_pass_through_embedded_models(project: Project) -> None:
    file = project.read()
    by_name = nodes(file)
    assert set(by_name["mart.report"].deps) == {by_name["stage.orders"].id, by_name["ref.names"].id}
    assert by_name["mart.shown"].deps == (by_name["mart.report"].id,)
    assert set(by_name["stage.orders"].deps) == {
        'p:"w"."outside"."orders"', 'p:"w"."declared"."prices"'
    }  # fmt: skip


def test_sources_are_declared_or_found(project: Project) -> None:
    sources = {s.name: s for s in project.read().graph.sources.values()}
    assert set(sources) == {"w.outside.orders", "w.declared.prices"}
    declared = sources["w.declared.prices"]
    assert declared.description == "From the shop."
    assert [(c.name, c.type) for c in declared.columns] == [
        ("id", "INT"), ("price", "DECIMAL(10, 2)")
    ]  # fmt: skip
    assert str(declared.relation) == "w.declared.prices"
    found = sources["w.outside.orders"]
    assert (found.description, found.columns) == (None, ())
    assert str(found.relation) == "w.outside.orders"


def test_an_audit_that_a_model_has_twice_has_two_names(project: Project) -> None:
    found = checks(project.read(), "stage.orders")
    assert {name: check.blocking for name, check in found.items()} == {
        "not_null": True,
        "accepted_range_column_price_min_v_0": True,
        "accepted_range_column_id_min_v_1": False,  # the model's word against the audit's
        "no_gaps": False,
        "no_gaps_2": True,
    }
    assert all(check.in_build is check.blocking for check in found.values())
    assert found["not_null"].kind == "audit"
    assert found["not_null"].properties["columns"]
    assert "blocking" not in found["no_gaps_2"].properties
    assert found["no_gaps"].description == "SQLMesh audit no_gaps()"


def test_places_are_below_the_folder_of_transform_yaml(project: Project) -> None:
    root = project.folder.parent
    from dagster_transform.sqlmesh import read_project

    file = read_project("p", project.config, [str(project.folder)], root=root, sources={})
    location = nodes(file)["stage.orders"].location
    assert location is not None
    assert (location.path, location.line) == ("p/models/stage.orders.sql", 2)
    own = checks(file, "stage.orders")["no_gaps"].location
    assert own is not None
    assert (own.path, own.line) == ("p/audits/gaps.sql", 4)
    builtin = checks(file, "stage.orders")["not_null"].location
    assert builtin is not None  # an audit of SQLMesh's own: where the model uses it
    text = (project.folder / "models/stage.orders.sql").read_text().splitlines()
    assert builtin.path == "p/models/stage.orders.sql"
    assert "not_null" in text[builtin.line - 1]
    outside = read_project(
        "p", project.config, [str(project.folder)], root=project.folder / "models", sources={}
    )
    seed = checks(outside, "stage.orders")["no_gaps"].location
    assert seed is not None
    assert seed.path == str((project.folder / "audits/gaps.sql").resolve())


def test_the_code_version_changes_with_the_own_code_only(project: Project) -> None:
    before = nodes(project.read())
    text = MODELS["mart.report"]
    project.model("mart.report", text.replace("SUM(o.price)", "MAX(o.price)"))
    after = nodes(project.read())
    changed = {n for n in before if before[n].code_version != after[n].code_version}
    assert changed == {"mart.report"}
    described = text.replace(
        "kind FULL", "kind FULL,\n        owner 'a', tags (b), description 'c'"
    )
    project.model("mart.report", described)
    same = nodes(project.read())
    assert same["mart.report"].owners == ("a",)
    assert {n: same[n].code_version for n in same} == {n: before[n].code_version for n in before}
    project.write({"seeds/names.csv": "id,name\n1,two\n"})
    seed = nodes(project.read())
    assert {n for n in before if before[n].code_version != seed[n].code_version} == {"ref.names"}


def test_presence(project: Project, database: Database) -> None:
    make_sources(database)
    empty = project.read()
    assert {n.presence for n in empty.graph.nodes.values()} == {Presence.ABSENT}
    assert {n.physical for n in empty.graph.nodes.values()} == {None}
    assert empty.plan_id is None

    project.plan_natively(NOW)
    equal = project.read()
    assert {n.presence for n in equal.graph.nodes.values()} == {Presence.EQUAL}
    assert equal.plan_id == project.environment().plan_id  # type: ignore[union-attr]
    assert equal.environment == "prod"
    tables = database.tables("sqlmesh\\_\\_%' ESCAPE '\\")
    physical = {n.physical for n in equal.graph.nodes.values() if n.physical}
    assert {f"{p.schema}.{p.name}" for p in physical} == tables
    assert {p.connection for p in physical} == {nodes(equal)["mart.report"].relation.connection}
    # Nothing else of a node depends on the environment.
    assert [
        replace(n, presence=Presence.ABSENT, physical=None) for n in equal.graph.nodes.values()
    ] == list(empty.graph.nodes.values())

    project.model("mart.report", MODELS["mart.report"].replace("SUM(o.price)", "MAX(o.price)"))
    project.model("mart.new", "kind FULL\n---\nSELECT 1 AS n")
    changed = nodes(project.read())
    assert {name: node.presence.value for name, node in changed.items()} == {
        "stage.orders": "equal",
        "ref.names": "equal",
        "mart.report": "changed",
        "mart.shown": "changed",  # it would be built anew: what it reads has changed
        "mart.new": "absent",
    }
    assert changed["mart.report"].physical is None


def test_relations_of_a_development_environment(tmp_path: Path, database: Database) -> None:
    make_sources(database)
    project = Project(tmp_path / "p", database, MODELS, files=FILES, environment="dev")
    planned = {name: str(node.relation) for name, node in nodes(project.read()).items()}
    assert planned["mart.report"] == "w.mart__dev.report"
    assert planned["stage.orders"] == "w.stage__dev.orders"
    project.plan_natively(NOW, environment="dev")
    file = project.read()
    assert {name: str(node.relation) for name, node in nodes(file).items()} == planned
    assert {n.presence for n in file.graph.nodes.values()} == {Presence.EQUAL}
    assert database.content("mart__dev.report")
    # A source is no model: it has one name in all environments.
    assert {str(s.relation) for s in file.graph.sources.values()} == {
        "w.outside.orders", "w.declared.prices"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("target", "relation"),
    [("table", "w.mart.report__dev"), ("catalog", "w__dev.mart.report")],
)
def test_other_ways_to_name_an_environment(
    target: str, relation: str, tmp_path: Path, database: Database
) -> None:
    config = {"environment_suffix_target": target}
    project = Project(
        tmp_path / "p", database, MODELS, files=FILES, environment="dev", config=config
    )
    assert str(nodes(project.read())["mart.report"].relation) == relation


@pytest.mark.parametrize("name", [None, "shop"])
def test_reading_writes_nothing(name: str | None, tmp_path: Path, database: Database) -> None:
    config = {"project": name} if name else {}  # with a name, SQLMesh looks for other projects
    project = Project(tmp_path / "p", database, MODELS, files=FILES, config=config)
    assert project.read().graph.nodes
    assert database.tables() == set()
    assert database.rows(
        "SELECT schema_name FROM duckdb_schemas() "
        "WHERE NOT internal AND schema_name <> 'main' AND database_name = 'w'"
    ) == []  # fmt: skip


@pytest.mark.postgres
def test_reading_writes_nothing_to_postgres_and_stays_in_touch_with_nobody(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    database = Database.in_postgres(postgres_database)
    project = Project(tmp_path, database, {"Mart.Mixed": "kind FULL\n---\nSELECT 1 AS n"})
    kept: list[Any] = []
    file = project.read()
    kept.append(file)
    connections = (
        "SELECT query FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert database.rows(connections) == []
    assert database.tables() == set()
    (node,) = file.graph.nodes.values()
    name = postgres_database.database
    assert str(node.relation) == f"{name}.mart.mixed"  # as the engine spells it
    connection = f"postgres:{postgres_database.host}:{postgres_database.port}/{name}"
    assert node.relation.connection == connection
    assert postgres_database.password not in repr(file)


PYTHON = """
    from sqlmesh import ExecutionContext, model

    @model("mart.py", columns={"n": "int"}, kind="FULL")
    def execute(context: ExecutionContext, **kwargs):
        yield {"n": 1}
"""


def test_code_is_shown_as_it_is_written_and_an_endless_one_is_cut(tmp_path: Path) -> None:
    long = "SELECT " + ", ".join(f"{i} AS column_{i}" for i in range(2_000))
    models = {"mart.long": f"kind FULL\n---\n{long}"}
    files = {"models/py.py": dedent(PYTHON)}
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), models, files=files)
    by_name = nodes(project.read())
    code = by_name["mart.long"].properties["raw_code"]
    assert code[:10_000] == long[:10_000]
    assert code[10_000:] == f"\n-- ... {len(long) - 10_000:,} more characters"
    python = by_name["mart.py"].properties
    assert python["language"] == "python"
    assert python["raw_code"].startswith("def execute(context")
