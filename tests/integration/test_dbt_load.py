"""`prepare` on real dbt projects: what it keeps, what it says, and how projects meet."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from dagster_transform import TransformTranslator, build_transform_definitions, load_config
from dagster_transform.cli import main
from dagster_transform.dagster.definitions.errors import DuplicateKeyError, StaleGraphError
from dagster_transform.dagster.definitions.loading import load_graphs
from dagster_transform.dagster.translation.keys import name_all
from dagster_transform.dbt import install_packages, read_project
from dagster_transform.dbt.errors import (
    AdapterMissingError,
    DbtError,
    DbtMissingError,
    DbtParseError,
    NodeConfigError,
    PackagesError,
    ProfileError,
)
from dagster_transform.dbt.files.artifacts import Artifacts
from dagster_transform.dbt.files.manifest import read_manifest
from dagster_transform.graph import CycleError, DuplicateRelationError, Graph
from tests.integration.dbt_projects import DbtProject
from tests.integration.sqlmesh_projects import Database, Project

MODEL = {"models/a.sql": "select 1 as n"}
LOCAL_PACKAGE = {
    "packages.yml": "packages: [{local: vendored/helper}]",
    "vendored/helper/dbt_project.yml": "{name: helper, version: '1.0', config-version: 2}",
    "vendored/helper/macros/one.sql": "{% macro one() %}1{% endmacro %}",
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No profile of the person who runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DBT_PROFILES_DIR", "DAGSTER_IS_DEV_CLI", "DAGSTER_TRANSFORM_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.in_file(tmp_path / "w.duckdb")


def project(
    tmp_path: Path, database: Database, files: Mapping[str, str] | None = None, **settings: Any
) -> DbtProject:
    return DbtProject(tmp_path / "d", database, {**MODEL, **(files or {})}, **settings)


def failure(made: DbtProject, kind: type[DbtError]) -> str:
    """What reading a project fails with; nothing is kept of it."""
    with pytest.raises(kind) as raised:
        made.read()
    assert type(raised.value) is kind
    assert "Traceback" not in str(raised.value)
    assert not made.artifacts.exists() or not any(made.artifacts.iterdir())
    return str(raised.value)


# -- bad input -----------------------------------------------------------------------------------


def test_a_missing_profiles_yml(tmp_path: Path, database: Database) -> None:
    made = project(tmp_path, database)
    (made.folder / "profiles.yml").unlink()
    told = failure(made, ProfileError)
    assert "/.dbt' does not exist" in told
    assert f"dbt looks for profiles.yml in {made.folder}, $DBT_PROFILES_DIR and ~/.dbt" in told


def test_profiles_yml_is_taken_from_where_transform_yaml_says(
    tmp_path: Path, database: Database
) -> None:
    made = project(tmp_path, database, config={"profiles_dir": tmp_path / "elsewhere"})
    (tmp_path / "elsewhere").mkdir()
    (made.folder / "profiles.yml").rename(tmp_path / "elsewhere" / "profiles.yml")
    assert set(made.graph.nodes) == {"d:model.shop.a"}
    (tmp_path / "elsewhere" / "profiles.yml").write_text("{}")
    with pytest.raises(ProfileError, match=str(tmp_path / "elsewhere")):
        made.read()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"profile": {"type": "postgres", "path": None}}, "'host' is a required property"),
        ({"config": {"target": "prod"}}, "does not have a target named 'prod'"),
    ],
)
def test_a_profile_that_is_wrong(
    tmp_path: Path, database: Database, settings: dict[str, Any], told: str
) -> None:
    if "postgres" in str(settings):
        settings["profile"] |= {"dbname": "w", "user": "u", "port": 5432, "password": "hunter2"}
    found = failure(project(tmp_path, database, **settings), ProfileError)
    assert told in found
    assert "`dbt debug` tests it" in found
    assert "hunter2" not in found


def test_an_adapter_that_is_not_installed(tmp_path: Path, database: Database) -> None:
    told = failure(project(tmp_path, database, profile={"type": "oracle"}), AdapterMissingError)
    assert "Could not find adapter type oracle" in told
    assert "pip install dbt-oracle" in told


def test_dbt_that_is_not_installed(tmp_path: Path, database: Database) -> None:
    made = project(tmp_path, database)
    code = f"""
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "dbt":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
from pathlib import Path
from dagster_transform.config import DbtProject
from dagster_transform.dbt import read_project
folder = Path({str(made.folder)!r})
project = DbtProject(framework="dbt", path=folder)
try:
    read_project("d", project, root=folder, artifacts=None, sources={{}})
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{DbtMissingError.__name__} dbt is not installed")
    assert "pip install 'dagster-transform[dbt]'" in done.stdout


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"models/b.sql": "select {{ 1 +"}, "Compilation Error in model b (models/b.sql)"),
        ({"dbt_project.yml": "name: [x"}, "its dbt_project.yml can't be used: Syntax error"),
    ],
)
def test_a_project_with_an_error_in_its_files(
    tmp_path: Path, database: Database, files: dict[str, str], told: str
) -> None:
    made = project(tmp_path, database, files)
    found = failure(made, DbtParseError)
    assert found.startswith("Project d: ")
    assert told in found
    assert f"check with `dbt parse` in {made.folder}" in found


def test_details_that_dbt_only_logs_are_told(tmp_path: Path, database: Database) -> None:
    semantic = """
        semantic_models:
          - name: a
            model: ref('a')
            entities: [{name: e, type: primary, expr: n}]
            defaults: {agg_time_dimension: day}
            dimensions: [{name: day, type: time, type_params: {time_granularity: day}}]
            measures: [{name: n, agg: sum}]
        metrics:
          - {name: n, label: n, type: simple, type_params: {measure: n}}
        """
    spine = {
        "models/days.sql": "select cast('2024-01-01' as date) as d",
        "models/days.yml": """
            models:
              - name: days
                time_spine: {standard_granularity_column: d}
                columns: [{name: d, granularity: day}]
            """,
    }
    made = project(tmp_path, database, {"models/s.yml": semantic, **spine})
    told = failure(made, DbtParseError)
    assert "Semantic Manifest validation failed" in told
    assert "names cannot match reserved time granularity keywords" in told


def test_what_our_side_finds_wrong_is_told_as_clearly(tmp_path: Path, database: Database) -> None:
    circle = {
        "models/b.sql": "select * from {{ ref('c') }}",
        "models/c.sql": "select * from {{ ref('b') }}",
    }
    made = project(tmp_path, database, circle)
    with pytest.raises(CycleError, match="b -> c -> b"):
        made.read()
    text = "{{ config(meta={'dagster_transform': {'cron': 'sometimes'}}) }} select 1 as n"
    made.write({"models/b.sql": text})
    with pytest.raises(NodeConfigError, match=r"model\.shop\.b \(models/b\.sql\)"):
        made.read()


def test_a_dbt_process_that_is_killed(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path, database)
    suicide = tmp_path / "python"
    suicide.write_text("#!/bin/sh\nkill -9 $$\n")
    suicide.chmod(suicide.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(suicide))
    told = failure(made, DbtParseError)
    assert f"the dbt process ended with exit code -{int(signal.SIGKILL)}" in told


def test_a_project_that_fails_keeps_what_was_there(tmp_path: Path, database: Database) -> None:
    made = project(tmp_path, database)
    made.read()
    before = {path.name: path.read_bytes() for path in made.artifacts.iterdir()}
    made.write({"models/b.sql": "select {{ 1 +"})
    with pytest.raises(DbtParseError):
        made.read()
    assert {path.name: path.read_bytes() for path in made.artifacts.iterdir()} == before


# -- what is kept --------------------------------------------------------------------------------


def test_artifacts_lie_in_our_folder_and_nothing_is_left_in_the_project(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the id by which dbt tells of its use, which it keeps beside profiles.yml."""
    for name in ("DBT_SEND_ANONYMOUS_USAGE_STATS", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    made = project(tmp_path, database, project={"flags": {}})
    before = sorted(path.name for path in made.folder.rglob("*"))
    found = made.read()
    assert sorted(path.name for path in made.folder.rglob("*")) == before
    kept = sorted(path.name for path in made.artifacts.iterdir())
    assert kept == ["manifest.json", "parsed.json", "partial_parse.msgpack"]
    assert not (tmp_path / "w.duckdb").exists()  # parsing opens no database
    artifacts = Artifacts("d", made.artifacts)
    assert set(read_manifest(artifacts).resources) == {"model.shop.a"}
    facts = artifacts.read_facts()
    assert (facts.adapter_type, facts.threads) == ("duckdb", 4)
    assert facts.packages["shop"] == str(made.folder)
    assert set(found.written_by) == {"dagster-transform", "dbt-core", "dbt-duckdb"}
    assert found.written_by["dbt-core"] == facts.dbt


def test_a_second_parse_takes_what_the_first_has_kept(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And relative paths are meant from the project's folder, whatever the working directory."""
    lake = tmp_path / "lake.duckdb"
    profile = {"path": "files/../own.duckdb", "attach": [{"path": str(lake)}]}
    config = {"cron": "0 5 * * *", "time_zone": "Europe/Zurich"}
    made = project(tmp_path, database, profile=profile, config=config)
    monkeypatch.chdir("/")
    made.read()
    first = json.loads((made.artifacts / "manifest.json").read_bytes())
    made.write({"models/b.sql": "{{ config(database='lake', tags=['hourly']) }} select 2 as n"})
    nodes = {node.name: node for node in made.graph.nodes.values()}
    second = json.loads((made.artifacts / "manifest.json").read_bytes())

    def parsed_at(manifest: Any) -> float:
        return float(manifest["nodes"]["model.shop.a"]["created_at"])

    assert parsed_at(first) == parsed_at(second)  # it was not parsed again
    assert nodes["a"].relation.connection == f"duckdb:{made.folder / 'own.duckdb'}"
    assert nodes["a"].relation.catalog == "own"
    assert nodes["b"].relation.connection == f"duckdb:{lake}"
    crons = {name: (node.cron, node.time_zone) for name, node in nodes.items()}
    assert crons == {"a": ("0 5 * * *", "Europe/Zurich"), "b": ("@hourly", "Europe/Zurich")}


# -- packages ------------------------------------------------------------------------------------


def install(made: DbtProject) -> bool:
    return install_packages(made.name, made.config, artifacts=made.artifacts)


def test_packages_are_installed_when_they_are_not_or_are_declared_otherwise(
    tmp_path: Path, database: Database
) -> None:
    files = {"models/b.sql": "select {{ helper.one() }} as n", **LOCAL_PACKAGE}
    made = project(tmp_path, database, files)
    assert install(made) is True
    assert (made.folder / "dbt_packages" / "helper" / "dbt_project.yml").exists()
    assert install(made) is False
    assert set(made.graph.nodes) == {"d:model.shop.a", "d:model.shop.b"}
    made.write({"packages.yml": "packages:\n  - local: vendored/helper  # the same, written anew"})
    assert install(made) is True
    (made.folder / "dbt_packages" / "helper").unlink()
    assert install(made) is True


def test_packages_that_were_installed_by_hand_are_taken(tmp_path: Path, database: Database) -> None:
    made = project(tmp_path, database, LOCAL_PACKAGE)
    made.dbt("deps")
    assert install(made) is False


def test_packages_may_be_declared_in_dependencies_yml_and_lie_elsewhere(
    tmp_path: Path, database: Database
) -> None:
    files = dict(LOCAL_PACKAGE)
    files["dependencies.yml"] = files.pop("packages.yml")
    made = project(tmp_path, database, files, project={"packages-install-path": "installed"})
    assert install(made) is True
    assert (made.folder / "installed" / "helper").exists()
    assert install(made) is False


def test_without_packages_dbt_is_not_started(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path, database, {"packages.yml": "", "dependencies.yml": "projects: []"})
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert install(made) is False


def test_packages_that_can_not_be_installed(tmp_path: Path, database: Database) -> None:
    made = project(tmp_path, database, {"packages.yml": "packages: [{local: nowhere}]"})
    told = failure(made, PackagesError)
    assert "its packages can't be installed" in told
    assert "nowhere/dbt_project.yml" in told
    assert f"Run `dbt deps` where there is a network, in {made.folder}" in told


def test_packages_that_are_not_installed_and_must_not_be(
    tmp_path: Path, database: Database
) -> None:
    made = project(tmp_path, database, LOCAL_PACKAGE)
    with pytest.raises(PackagesError, match=r"Run `dbt deps` in ") as raised:
        read_project("d", made.config, root=tmp_path, artifacts=None, sources={})
    assert "1 package(s) specified" in str(raised.value)
    assert not made.artifacts.exists()


# -- several projects ----------------------------------------------------------------------------


def names_of(graph: Graph) -> dict[str, list[str]]:
    """What each node reads, all by name."""
    everything = {**graph.nodes, **graph.sources}
    return {n.name: [everything[dep].name for dep in n.deps] for n in graph.nodes.values()}


@pytest.fixture(params=["duckdb", "postgres"])
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
        name_all(made.graph, TransformTranslator())
    told = str(raised.value)
    assert "d:model.helper.a and d:model.shop.a have one asset key: a" in told
    assert "meta: {dagster: {asset_key: [...]}}" in told


# -- prepare, and loading what it wrote ----------------------------------------------------------


@pytest.fixture
def transform(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> DbtProject:
    made = project(tmp_path, database, LOCAL_PACKAGE)
    config = {"projects": {"d": {"framework": "dbt", "path": "d"}}}
    (tmp_path / "transform.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_prepare_writes_what_definitions_load_from(
    transform: DbtProject, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    transform.write({"tests/nothing.sql": "select 1 where false"})
    told = run("prepare")
    assert told.exit_code == 0, told.output
    assert "dbt-core 1." in told.output
    assert "Project d: tests that read no model and no source are not shown: nothing" in caplog.text
    assert sorted(os.listdir(tmp_path / ".dagster_transform")) == ["d", "d.graph.json"]
    # Also the first time, when dbt has written package-lock.yml among the project's files.
    assert list(load_graphs(load_config()).graph.nodes) == ["d:model.shop.a"]
    assert run("prepare", "--check").exit_code == 0
    code = (
        "import sys; from dagster_transform import build_transform_definitions as build;"
        "build().resolve_asset_graph();"
        "print([m for m in ('dbt', 'dbt.cli', 'sqlmesh', 'sqlglot') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "[]\n", done.stderr


def test_a_changed_file_makes_the_graph_file_stale(transform: DbtProject) -> None:
    run("prepare")
    transform.write({"models/b.sql": "select 2 as n"})
    error = load_graphs(load_config()).errors["d"]
    assert isinstance(error, StaleGraphError)
    assert "added d/models/b.sql" in str(error)
    before = (transform.artifacts / "manifest.json").read_bytes()
    told = run("prepare", "--check")
    assert told.exit_code == 1
    assert "is older than the files of project d: added d/models/b.sql" in told.output
    assert (transform.artifacts / "manifest.json").read_bytes() == before  # it writes nothing


def test_under_dagster_dev_the_graph_file_is_made_anew(
    transform: DbtProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    assert list(load_graphs(load_config()).graph.nodes) == ["d:model.shop.a"]
    transform.write({"models/b.sql": "select 2 as n"})
    assert list(load_graphs(load_config()).graph.nodes) == ["d:model.shop.a", "d:model.shop.b"]


def test_a_project_that_can_not_be_read_is_an_asset_that_says_why(transform: DbtProject) -> None:
    transform.write({"models/b.sql": "select {{ 1 +"})
    told = run("prepare")
    assert told.exit_code == 1
    assert "Compilation Error in model b" in told.stderr
    graph = build_transform_definitions().resolve_asset_graph()
    (key,) = graph.get_all_asset_keys()
    assert key.to_user_string() == "d/not_loaded"
