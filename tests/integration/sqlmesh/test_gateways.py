"""Several gateways and several folders: where relations lie, and what is one project's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_transform.config import SqlmeshProject
from dagster_transform.graph import Graph, GraphFile, Node, Presence, Source
from dagster_transform.sqlmesh import read_project
from dagster_transform.sqlmesh._compat import close_connections
from dagster_transform.sqlmesh.connections import connection_identity, duckdb_files
from tests.support.sqlmesh_projects import Database, Project, utc

NOW = utc("2024-03-05 10:30")
FULL = "kind FULL\n---\n"
MODELS = {
    "s.here": FULL + "SELECT id FROM raw.t",
    "s.there": "kind FULL,\ngateway second\n---\nSELECT id FROM raw.t",
    "s.further": "kind FULL,\ngateway second\n---\nSELECT id FROM s.there",
}


def identity(path: Path) -> str:
    return f"duckdb:{path.resolve()}"


def nodes(file: GraphFile) -> dict[str, Node]:
    return {node.name: node for node in file.graph.nodes.values()}


def sources(file: GraphFile) -> dict[str, Source]:
    return {source.name: source for source in file.graph.sources.values()}


def two_files(folder: Path, models: Mapping[str, str] = MODELS, **config: Any) -> Project:
    """A project with a gateway for each of two DuckDB files, w.duckdb and x.duckdb."""
    gateways = {
        name: {"connection": {"type": "duckdb", "database": str(folder / file)}}
        for name, file in (("main", "w.duckdb"), ("second", "x.duckdb"))
    }
    settings = {"gateways": gateways, "gateway_managed_virtual_layer": True, **config}
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), models, config=settings)
    for file in ("w.duckdb", "x.duckdb"):
        Database.in_file(folder / file).execute(
            "CREATE SCHEMA raw", "CREATE TABLE raw.t AS SELECT 1 AS id"
        )
    return project


def test_each_gateway_has_the_tables_and_views_of_its_models(tmp_path: Path) -> None:
    project = two_files(tmp_path)
    project.plan_natively(NOW)
    file = project.read()
    here, there = identity(tmp_path / "w.duckdb"), identity(tmp_path / "x.duckdb")
    found = nodes(file)
    assert {name: str(n.relation) for name, n in found.items()} == {
        "s.here": "w.s.here", "s.there": "x.s.there", "s.further": "x.s.further"
    }  # fmt: skip
    on = {"s.here": here, "s.there": there, "s.further": there}
    assert {name: n.relation.connection for name, n in found.items()} == on
    assert {name: n.physical.connection for name, n in found.items() if n.physical} == on
    assert {n.properties.get("gateway") for n in found.values()} == {None, "second"}
    # Where the graph says that they are, they are.
    for name, path in (("s.here", "w"), ("s.there", "x"), ("s.further", "x")):
        database = Database.in_file(tmp_path / f"{path}.duckdb")
        relation, physical = found[name].relation, found[name].physical
        assert physical is not None
        assert {name, f"{physical.schema}.{physical.name}"} <= database.tables(), name
        assert database.content(f"{relation.schema}.{relation.name}") == [(1,)]
    # Each reads its own raw.t.
    assert {name: s.relation.connection for name, s in sources(file).items()} == {
        "w.raw.t": here, "x.raw.t": there
    }  # fmt: skip
    assert found["s.there"].deps == (sources(file)["x.raw.t"].id,)
    assert found["s.further"].deps == (found["s.there"].id,)
    assert found["s.further"].column_lineage() == {"id": ((found["s.there"].id, "id"),)}


def test_without_a_virtual_layer_of_their_own_the_default_gateway_has_all_views(
    tmp_path: Path,
) -> None:
    project = two_files(tmp_path, gateway_managed_virtual_layer=False)
    relation = nodes(project.read())["s.there"].relation
    assert relation.connection == identity(tmp_path / "w.duckdb")


def test_another_default_gateway(tmp_path: Path) -> None:
    project = two_files(tmp_path)
    project.config = project.config.model_copy(update={"gateway": "second"})
    found = nodes(project.read())
    assert str(found["s.here"].relation) == "x.s.here"
    assert found["s.here"].relation.connection == identity(tmp_path / "x.duckdb")


def test_one_name_read_through_two_gateways_is_two_sources(tmp_path: Path) -> None:
    """Two files of one name, so that their catalogs have one name too."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    gateways = {
        name: {"connection": {"type": "duckdb", "database": str(tmp_path / folder / "w.duckdb")}}
        for name, folder in (("main", "a"), ("second", "b"))
    }
    models = {
        "s.one": FULL + "SELECT id FROM raw.t",
        "s.two": "kind FULL,\ngateway second\n---\nSELECT id FROM raw.t",
        "s.three": "kind FULL,\ngateway second\n---\nSELECT id FROM raw.only_there",
    }
    project = Project(
        tmp_path / "p",
        Database.in_file(tmp_path / "a" / "w.duckdb"),
        models,
        config={"gateways": gateways, "gateway_managed_virtual_layer": True},
    )
    file = project.read()
    found = nodes(file)
    assert found["s.one"].deps == ('p:"w"."raw"."t"',)
    assert found["s.two"].deps == ('p:"w"."raw"."t"@second',)
    assert found["s.three"].deps == ('p:"w"."raw"."only_there"',)
    where = {s.id: s.relation.connection for s in file.graph.sources.values()}
    here, there = (identity(tmp_path / f / "w.duckdb") for f in "ab")
    assert [where[id] for name in ("s.one", "s.two", "s.three") for id in found[name].deps] == [
        here, there, there
    ]  # fmt: skip
    assert {s.reference for s in file.graph.sources.values()} == {
        '"w"."raw"."t"', '"w"."raw"."only_there"'
    }  # fmt: skip
    assert found["s.two"].column_lineage() == {"id": (('p:"w"."raw"."t"@second', "id"),)}


def test_a_gateway_with_a_file_for_each_catalog(tmp_path: Path) -> None:
    first, second = tmp_path / "one.duckdb", tmp_path / "two.duckdb"
    connection = {"type": "duckdb", "catalogs": {"main_one": str(first), "other": {
        "type": "duckdb", "path": str(second)}}}  # fmt: skip
    models = {
        "s.x": FULL + "SELECT id FROM raw.t JOIN other.raw.u USING (id)",
        "other.s.y": FULL + "SELECT id FROM s.x",
    }
    project = Project(
        tmp_path / "p", Database(connection, "main_one"), models,
        config={"gateways": {"main": {"connection": connection}}},
    )  # fmt: skip
    file = project.read()
    assert {name: n.relation.connection for name, n in nodes(file).items()} == {
        "s.x": identity(first), "other.s.y": identity(second)
    }  # fmt: skip
    assert {name: s.relation.connection for name, s in sources(file).items()} == {
        "main_one.raw.t": identity(first), "other.raw.u": identity(second)
    }  # fmt: skip
    with project.native() as context:
        files = duckdb_files(context.connection_config)
    assert files == [str(first.resolve()), str(second.resolve())]


def test_no_password_of_an_attached_database_is_in_its_identity(tmp_path: Path) -> None:
    from sqlmesh.core.config import DuckDBConnectionConfig

    connection = DuckDBConnectionConfig(
        catalogs={
            "here": str(tmp_path / "w.duckdb"),
            "server": {"type": "postgres", "path": "dbname=x password=hunter2"},
            "cloud": "md:shop?motherduck_token=hunter2",
        }
    )
    home = identity(tmp_path / "w.duckdb")
    assert connection_identity(connection) == connection_identity(connection, "here") == home
    for catalog in ("server", "cloud"):
        assert connection_identity(connection, catalog) == home
    assert duckdb_files(connection) == [str((tmp_path / "w.duckdb").resolve())]
    assert duckdb_files(DuckDBConnectionConfig(database=":memory:")) == []


# -- several folders -------------------------------------------------------------------------------


class Repositories:
    """Two repositories whose projects have one state: `left`, and `right`, which reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database.in_file(folder / "w.duckdb")
        self.projects = {
            name: Project(folder / name, self.database, models, name=name, config={"project": name})
            for name, models in {
                "left": {
                    "l.base": FULL + "SELECT 1 AS id, 2 AS other",
                    "l.hidden": "kind EMBEDDED\n---\nSELECT id AS h FROM l.base",
                },
                "right": {
                    "r.top": FULL + "SELECT b.id, h.h FROM l.base AS b JOIN l.hidden AS h ON TRUE"
                },
            }.items()
        }

    def read(self, *names: str, environment: str = "prod") -> GraphFile:
        folders = [self.folder / name for name in names]
        project = SqlmeshProject(framework="sqlmesh", path=tuple(folders), environment=environment)
        return read_project(
            "_".join(names), project, [str(f) for f in folders], root=self.folder, sources={}
        )

    def plan(self, *names: str, environment: str = "prod", **settings: Any) -> None:
        from sqlmesh import Context

        context = Context(paths=[str(self.folder / name) for name in names])
        try:
            context.plan(
                environment, auto_apply=True, no_prompts=True, skip_tests=True, no_diff=True,
                execution_time=NOW, **settings,
            )  # fmt: skip
        finally:
            close_connections(context)


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    return Repositories(tmp_path)


def test_several_folders_are_one_project(repositories: Repositories) -> None:
    repositories.plan("left", "right")
    file = repositories.read("left", "right")
    found = nodes(file)
    assert set(found) == {"l.base", "r.top"}
    assert not file.graph.sources
    assert found["r.top"].deps == (found["l.base"].id,)
    assert found["r.top"].column_lineage() == {
        "id": ((found["l.base"].id, "id"),), "h": ((found["l.base"].id, "id"),)
    }  # fmt: skip
    assert {n.presence for n in found.values()} == {Presence.EQUAL}
    locations = {n.name: n.location.path for n in found.values() if n.location}
    assert locations == {"l.base": "left/models/l.base.sql", "r.top": "right/models/r.top.sql"}
    assert not file.drift


def test_a_gateway_of_the_second_folder(repositories: Repositories) -> None:
    project = repositories.projects["right"]
    path = project.folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    other = repositories.folder / "x.duckdb"
    config["gateways"]["aside"] = {"connection": {"type": "duckdb", "database": str(other)}}
    project.write(
        {"config.yaml": yaml.safe_dump({**config, "gateway_managed_virtual_layer": True})}
    )
    left = repositories.projects["left"]
    text = yaml.safe_load((left.folder / "config.yaml").read_text())
    left.write({"config.yaml": yaml.safe_dump({**text, "gateway_managed_virtual_layer": True})})
    project.model("r.aside", "kind FULL,\ngateway aside\n---\nSELECT 1 AS id")
    relation = nodes(repositories.read("left", "right"))["r.aside"].relation
    assert (str(relation), relation.connection) == ("x.r.aside", identity(other))


def test_models_of_another_repository_are_sources(repositories: Repositories) -> None:
    """SQLMesh takes them from the state where only one repository is at hand."""
    repositories.plan("left", "right")
    right, left = repositories.read("right"), repositories.read("left")
    assert set(nodes(right)) == {"r.top"}
    assert set(nodes(left)) == {"l.base"}
    (base,) = right.graph.sources.values()
    assert str(base.relation) == "w.l.base"
    assert [c.name for c in base.columns] == ["id", "other"]
    assert nodes(right)["r.top"].deps == (base.id,)
    assert nodes(right)["r.top"].column_lineage() == {
        "id": ((base.id, "id"),), "h": ((base.id, "id"),)
    }  # fmt: skip
    # As two projects of one transform they are linked by that relation.
    combined = Graph.combine([left.graph, right.graph])
    assert not combined.sources
    top = next(n for n in combined.nodes.values() if n.name == "r.top")
    assert top.deps == (nodes(left)["l.base"].id,)
    # What the other repository has is no drift of this one.
    assert (right.drift, left.drift) == (type(right.drift)(), type(left.drift)())


def test_a_model_of_another_repository_on_a_gateway_that_this_one_does_not_know(
    repositories: Repositories,
) -> None:
    left, right = repositories.projects["left"], repositories.projects["right"]
    config = yaml.safe_load((left.folder / "config.yaml").read_text())
    other = str(repositories.folder / "x.duckdb")
    config["gateways"]["aside"] = {"connection": {"type": "duckdb", "database": other}}
    left.write({"config.yaml": yaml.safe_dump({**config, "gateway_managed_virtual_layer": True})})
    left.model("l.aside", "kind FULL,\ngateway aside\n---\nSELECT 1 AS id")
    repositories.plan("left")
    right.model("r.top", FULL + "SELECT id FROM x.l.aside")
    (source,) = repositories.read("right").graph.sources.values()
    assert str(source.relation) == "x.l.aside"
    # The best that this one can say: what is reached through its own gateway.
    assert source.relation.connection == identity(repositories.folder / "w.duckdb")


def test_drift_is_of_ones_own_repository(repositories: Repositories) -> None:
    repositories.projects["right"].model("r.gone", FULL + "SELECT 1 AS id")
    repositories.plan("left", "right")
    (repositories.projects["right"].folder / "models" / "r.gone.sql").unlink()
    repositories.projects["left"].model("l.base", FULL + "SELECT 5 AS id, 2 AS other")
    repositories.projects["left"].model("l.new", FULL + "SELECT 5 AS id")
    right, left = repositories.read("right").drift, repositories.read("left").drift
    assert (right.new, right.changed, right.affected, right.removed) == ((), (), (), ("w/r/gone",))
    assert (left.new, left.changed, left.removed) == (("w/l/new",), ("w/l/base",), ())
    both = repositories.read("left", "right").drift
    assert (both.new, both.changed, both.removed) == (("w/l/new",), ("w/l/base",), ("w/r/gone",))
    assert both.affected == ("w/l/hidden", "w/r/top")


def test_a_development_environment_of_one_repository(repositories: Repositories) -> None:
    """It has views for what has changed; the rest is read in production."""
    repositories.plan("left", "right")
    repositories.projects["right"].model("r.top", FULL + "SELECT id + 1 AS id FROM l.base")
    repositories.plan("right", environment="dev")
    file = repositories.read("right", environment="dev")
    assert str(nodes(file)["r.top"].relation) == "w.r__dev.top"
    assert [str(s.relation) for s in file.graph.sources.values()] == ["w.l.base"]
    assert {"r__dev.top", "l.base"} <= repositories.database.tables()
    assert "l__dev.base" not in repositories.database.tables()
    assert not file.drift
    # What the other repository has there is neither gone from this one nor changed in it.
    repositories.projects["left"].model("l.draft", FULL + "SELECT 1 AS id")
    repositories.projects["left"].model("l.base", FULL + "SELECT 5 AS id, 2 AS other")
    repositories.plan("left", environment="dev")
    drift = repositories.read("right", environment="dev").drift
    assert {*drift.new, *drift.changed, *drift.affected, *drift.removed} == {"w/r/top"}
    (repositories.projects["left"].folder / "models" / "l.draft.sql").unlink()
    assert repositories.read("left", environment="dev").drift.removed == ("w/l/draft",)
