"""What the doctor finds of transform.yaml, of projects and of the Python environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from dagster_transform import config as _config  # noqa: F401 - loaded before a test hides modules
from dagster_transform.cli import main
from tests.support.commands import runner
from tests.support.dbt_projects import DbtProject
from tests.support.examined import codes, examined
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform
from tests.support.two_frameworks import write_two_frameworks

NOW = utc("2024-03-05 10:30")
MODELS = {"mart.a": "kind FULL\n---\nSELECT 1 AS n"}
NOWHERE = {"host": "127.0.0.1", "port": 1, "user": "me", "database": "x"}


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    """A SQLMesh project that was planned and prepared: nothing is wrong with it."""
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    project.plan_natively(NOW)
    found = Transform(tmp_path, [project])
    found.prepare()
    yield found
    found.close()


@pytest.fixture
def of_dbt(tmp_path: Path) -> Transform:
    """A dbt project that was built and prepared."""
    database = Database.in_file(tmp_path / "w.duckdb")
    database.execute("CREATE SCHEMA s")
    DbtProject(tmp_path / "d", database, {"models/b.sql": "select 2 as n"})
    further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
    found = Transform(tmp_path, [], further=further)
    found.prepare()
    return found


def configure(transform: Transform, **settings: Any) -> None:
    """Change keys of transform.yaml."""
    path = transform.folder / "transform.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **settings}))


def profile(folder: Path, **output: Any) -> None:
    """Change the target of a dbt project."""
    path = folder / "profiles.yml"
    found = yaml.safe_load(path.read_text())
    found["shop"]["outputs"]["test"] = output
    path.write_text(yaml.safe_dump(found))


def test_nothing_is_wrong(transform: Transform) -> None:
    code, found = examined(transform.folder)
    assert found.keys() <= {"home_unset", "bytecode_not_written"}
    assert code == 1
    assert found["home_unset"]["severity"] == "warning"


@pytest.mark.slow
def test_nothing_is_wrong_with_dbt(of_dbt: Transform) -> None:
    assert codes(of_dbt.folder) == set()


def test_transform_yaml(tmp_path: Path) -> None:
    code, found = examined(tmp_path)
    assert code == 2
    assert "config_unreadable" in found
    assert found["config_unreadable"]["remedy"]


def test_one_broken_project_hides_nothing_of_another(transform: Transform) -> None:
    broken = Project(transform.folder / "q", Database.in_file(transform.folder / "x.duckdb"), {})
    broken.write({"models/bad.sql": "MODEL (name m.bad);\n\nSELECT FROM WHERE"})
    transform.projects.append(broken)
    broken.name = "q"
    transform.configure()
    (transform.folder / "p" / "models" / "mart.a.sql").write_text(
        "MODEL (name mart.a, kind FULL);\nSELECT 2 AS n"
    )
    code, found = examined(transform.folder)
    assert code == 2
    assert found["project_unreadable"]["where"] == "q"
    assert found["graph_file_missing"]["what"].startswith("The graph file of project q")
    assert found["graph_file_stale"]["where"].endswith("p.graph.json")
    assert found["drift"]["where"] == "p"
    assert "w/mart/a" in found["drift"]["what"]


def test_code_of_a_project_that_ends_the_process_ends_nothing(transform: Transform) -> None:
    (transform.folder / "p" / "config.yaml").unlink()
    (transform.folder / "p" / "config.py").write_text("import sys\nsys.exit('no')\n")
    code, found = examined(transform.folder)
    assert code == 2
    assert found["not_examined"]["where"] == "p"
    assert "home_unset" in found, "what comes after it is examined"


def test_an_environment_that_was_never_planned_is_not_finished_or_has_expired(
    tmp_path: Path,
) -> None:
    project = Project(
        tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS, environment="dev"
    )
    transform = Transform(tmp_path, [project])
    transform.prepare()
    found = examined(tmp_path)[1]
    assert "the job p_plan" in found["never_planned"]["remedy"]
    transform.configure(plan="auto")
    assert "never_planned" not in codes(tmp_path)
    transform.configure()
    project.plan_natively(NOW, "dev", include_unmodified=True)
    transform.prepare()
    project.database.execute("UPDATE sqlmesh._environments SET expiration_ts = 1000000000000")
    assert codes(tmp_path) == {"environment_expired"}
    project.database.execute("UPDATE sqlmesh._environments SET finalized_ts = NULL")
    assert "plan_unfinished" in codes(tmp_path)


@pytest.mark.parametrize("framework", ["sqlmesh", pytest.param("dbt", marks=pytest.mark.slow)])
def test_a_relative_database(framework: str, request: pytest.FixtureRequest) -> None:
    transform = request.getfixturevalue("transform" if framework == "sqlmesh" else "of_dbt")
    folder = transform.folder / ("p" if framework == "sqlmesh" else "d")
    file = folder / ("config.yaml" if framework == "sqlmesh" else "profiles.yml")
    absolute = str(transform.folder / "w.duckdb")
    assert absolute in file.read_text()
    file.write_text(file.read_text().replace(absolute, "../w.duckdb"))
    transform.prepare()
    assert "relative_database" not in codes(transform.folder), "it leads to one file only"
    # As if `sqlmesh` or `dbt` had been typed in the folder of transform.yaml.
    other = transform.folder.parent / "w.duckdb"
    other.touch()
    try:
        found = examined(transform.folder)[1]
    finally:
        other.unlink()
    assert "../w.duckdb" in found["relative_database"]["what"]
    for path in (folder, transform.folder / "w.duckdb", other):
        assert str(path) in found["relative_database"]["cause"]


@pytest.mark.parametrize("framework", ["sqlmesh", pytest.param("dbt", marks=pytest.mark.slow)])
def test_a_database_that_another_process_holds(
    framework: str, request: pytest.FixtureRequest
) -> None:
    transform = request.getfixturevalue("transform" if framework == "sqlmesh" else "of_dbt")
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); "
        "sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(transform.folder / "w.duckdb")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        found = examined(transform.folder)[1]
        assert found["database_in_use"]["severity"] == "warning"
        assert "database_unreachable" not in found
    finally:
        holder.communicate()


def test_a_gateway_that_can_not_be_reached(transform: Transform) -> None:
    config = transform.folder / "p" / "config.yaml"
    found = yaml.safe_load(config.read_text())
    found["gateways"]["gone"] = {
        "connection": {"type": "postgres", "password": "hunter2-secret", **NOWHERE}
    }
    config.write_text(yaml.safe_dump(found))
    code, told = examined(transform.folder)
    assert code == 2
    assert "gateway gone of project p" in told["database_unreachable"]["what"]
    assert "hunter2-secret" not in str(told)


@pytest.mark.slow
def test_a_target_that_can_not_be_reached(of_dbt: Transform) -> None:
    output = {**NOWHERE, "dbname": "x", "schema": "s", "password": "hunter2-secret"}
    del output["database"]
    profile(of_dbt.folder / "d", type="postgres", threads=1, **output)
    told = examined(of_dbt.folder)[1]
    assert "refused" in told["database_unreachable"]["cause"].lower()
    assert "dbt debug" in told["database_unreachable"]["remedy"]
    assert "hunter2-secret" not in str(told)


def test_an_adapter_that_is_not_installed(of_dbt: Transform) -> None:
    profile(of_dbt.folder / "d", type="teradata", threads=1, schema="s")
    told = examined(of_dbt.folder)[1]
    assert "pip install dbt-teradata" in told["adapter_missing"]["remedy"]


def test_two_projects_that_dagster_can_not_show_together(transform: Transform) -> None:
    (transform.folder / "other").mkdir()
    other = Project(
        transform.folder / "q",
        Database.in_file(transform.folder / "other" / "w.duckdb"),
        MODELS,
        name="q",
    )
    transform.projects.append(other)
    transform.configure()
    assert "key_prefix" in examined(transform.folder)[1]["project_not_shown"]["remedy"]


def test_a_folder_for_artifacts_that_can_not_be_written(transform: Transform) -> None:
    (transform.folder / "file").write_text("")
    configure(transform, artifacts="file/below")
    found = examined(transform.folder)[1]
    assert found["artifacts_unwritable"]["where"] == str(transform.folder / "file" / "below")


def test_crons_and_the_job_group_file(transform: Transform) -> None:
    transform.projects[0].model(
        "mart.a", "kind FULL, cron '30 2 * * *', cron_tz 'Europe/Zurich'\n---\nSELECT 1 AS n"
    )
    transform.prepare()
    groups = transform.folder / "job_groups.yaml"
    groups.write_text("job_groups:\n  nightly: {cron: '@daily', nodes: [w/mart/a]}\n")
    found = examined(transform.folder)[1]
    assert "30 2 * * *" in found["clock_change"]["what"]
    assert found["clock_change"]["where"] == "w/mart/a"
    assert found["job_groups_invalid"]["severity"] == "error"
    groups.write_text("job_groups: [")
    assert "job_groups_invalid" in codes(transform.folder)


def distribution(folder: Path, name: str, version: str) -> None:
    """What importlib finds of a distribution that is installed."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_versions_and_sqlglotc(transform: Transform, monkeypatch: pytest.MonkeyPatch) -> None:
    site = transform.folder / "site"
    distribution(site, "sqlglotc", "30.8.0")
    distribution(site, "dbt-core", "9.9.0")
    monkeypatch.syspath_prepend(str(site))
    found = examined(transform.folder)[1]
    assert "pip uninstall sqlglotc" in found["sqlglotc_installed"]["remedy"]
    assert found["version_out_of_range"]["what"] == "dbt-core 9.9.0 is installed."
    assert found["version_out_of_range"]["severity"] == "warning"


class Hidden:
    """Lets a package seem not to be installed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name == self.name or name.startswith(f"{self.name}."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def test_a_framework_that_is_not_installed(
    of_dbt: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name == "dbt" or name.startswith("dbt.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Hidden("dbt"), *sys.meta_path])
    found = examined(of_dbt.folder)[1]
    assert "dagster-transform[dbt]" in found["framework_missing"]["remedy"]


def test_no_bytecode(transform: Transform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert "bytecode_not_written" in examined(transform.folder)[1]
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert "bytecode_not_written" not in examined(transform.folder)[1]


def prepare(folder: Path, *arguments: str) -> Result:
    return runner().invoke(main, ["prepare", "-c", str(folder), *arguments])


@pytest.mark.slow
def test_a_table_that_is_built_in_another_file_than_it_is_read_in(tmp_path: Path) -> None:
    write_two_frameworks(tmp_path)
    for name in ("dbt_project/profiles.yml", "sqlmesh_project/config.yaml"):
        path = tmp_path / name
        path.write_text(path.read_text().replace("../warehouse", "warehouse"))
    path = tmp_path / "transform.yaml"
    path.write_text(path.read_text().replace("    plan: auto\n", ""))
    done = prepare(tmp_path)
    assert done.exit_code == 0, done.stderr
    said = (
        "Project marts reads staging.stg_flights in sqlmesh_project/warehouse.duckdb; "
        "project staging builds it in dbt_project/warehouse.duckdb."
    )
    assert f"Warning: {said}" in " ".join(done.stderr.split())
    assert said in examined(tmp_path)[1]["read_elsewhere"]["what"]
    # Now the environment was never planned, and a file lies where `sqlmesh` was typed.
    (tmp_path / "warehouse.duckdb").touch()
    said = f"there is {tmp_path / 'warehouse.duckdb'}"
    assert said in " ".join(prepare(tmp_path, "-p", "marts").stdout.split())
