"""`init`: after it, `prepare`, the first plan and Dagster work as its last lines say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dagster_transform.cli import main
from dagster_transform.config import load_config
from tests.support.dbt_projects import DbtProject
from tests.support.folders import REPOSITORY
from tests.support.sqlmesh_projects import Database, Project

BIN = str(Path(sys.executable).parent)


def init(*arguments: str) -> Result:
    return CliRunner(env={"DAGSTER_HOME": None}).invoke(
        main, ["init", *arguments], catch_exceptions=False
    )


def shell(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith("DAGSTER")}
    environment = {**keep, "PATH": f"{BIN}{os.pathsep}{keep['PATH']}", **variables}
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip


def materialized(folder: Path) -> subprocess.CompletedProcess[str]:
    home = folder / ".dagster_home"
    home.mkdir(exist_ok=True)
    command = "dagster asset materialize --select '*' -f definitions.py"
    return shell(command, folder, DAGSTER_HOME=str(home))


@pytest.mark.slow
def test_the_example_is_built_without_another_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = init("demo", "--example")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "demo"
    for word in (
        "cd ",
        "dagster-transform prepare",
        "dagster dev -f definitions.py",
        'mkdir -p "$DAGSTER_HOME" && touch "$DAGSTER_HOME/dagster.yaml"',
    ):
        assert word in done.output
    assert set(load_config(folder).projects) == {"dbt_project", "sqlmesh_project"}
    prepared = shell("dagster-transform prepare", folder)
    assert prepared.returncode == 0, prepared.stderr
    built = materialized(folder)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    rows = Database.in_file(folder / "warehouse.duckdb").content("marts.customers")
    assert ("Ada", 2, 42.5) in rows
    # Nothing that is generated is left for git to find, and the doctor has nothing against it.
    shell("git init -q . && git add -A", folder)
    added = shell("git ls-files", folder).stdout.split()
    assert "sqlmesh_project/models/customers.sql" in added
    assert not [name for name in added if "duckdb" in name or "target/" in name or "log" in name]
    assert not [name for name in added if name.startswith(".dagster")]
    found = json.loads(shell("dagster-transform doctor --json", folder).stdout)
    assert "relative_database" not in {finding["code"] for finding in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framework", "table"), [("sqlmesh", "marts.customers"), ("dbt", "staging.stg_orders")]
)
def test_the_example_of_one_framework(
    framework: str, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only one is installed; here what is installed is said otherwise."""
    monkeypatch.setattr(
        "dagster_transform.cli.init.command._is_installed",
        lambda name: name.removesuffix("-duckdb").removesuffix("-core") == framework,
    )
    done = init(str(tmp_path / "demo"), "--example")
    assert "pip install dagster-webserver" in done.output
    assert set(load_config(tmp_path / "demo").projects) == {f"{framework}_project"}
    assert shell("dagster-transform prepare", tmp_path / "demo").returncode == 0
    built = materialized(tmp_path / "demo")
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    assert len(Database.in_file(tmp_path / "demo" / "warehouse.duckdb").content(table)) >= 3
    monkeypatch.setattr("dagster_transform.cli.init.command._is_installed", lambda _: False)
    nothing = init(str(tmp_path / "empty"))
    assert nothing.exit_code == 1
    assert "dagster-transform[sqlmesh]" in nothing.stderr


@pytest.mark.slow
def test_ones_own_projects_after_the_command_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLMesh's with a relative path, dbt's profiles elsewhere: what people stumbled over."""
    database = Database.in_file(tmp_path / "w.duckdb")
    mesh = Project(tmp_path / "my mesh", database, {"mart.a": "kind FULL\n---\nSELECT 1 AS n"})
    config = mesh.folder / "config.yaml"
    config.write_text(config.read_text().replace(str(tmp_path / "w.duckdb"), "../w.duckdb"))
    dbt = DbtProject(tmp_path / "shop", database, {"models/b.sql": "select 2 as n"})
    (tmp_path / "profiles").mkdir()
    shutil.move(dbt.folder / "profiles.yml", tmp_path / "profiles" / "profiles.yml")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.chdir(tmp_path)
    done = init()
    assert done.exit_code == 0, done.output
    found = load_config(tmp_path)
    assert set(found.projects) == {"shop", "my_mesh"}
    assert getattr(found.project("shop"), "profiles_dir", None) == tmp_path / "profiles"
    assert shell("dagster-transform prepare", tmp_path).returncode == 0
    (plan,) = [line for line in done.output.splitlines() if "sqlmesh plan" in line]
    assert "   # once, if you haven't yet: my_mesh has nothing to run" in plan
    planned = shell(plan.partition("   #")[0], tmp_path)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    built = materialized(tmp_path)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    assert database.content("main.b") == [(2,)]
    again = init()
    assert again.output.count("is as it should be") == 3
    ignored = (tmp_path / ".gitignore").read_text().splitlines()
    assert {".dagster_transform/", "/shop/target/", "/my mesh/.cache/"} <= set(ignored)
    assert not any("duckdb" in line for line in ignored), "a database of people's own is theirs"


def test_nothing_that_is_there_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DbtProject(tmp_path / "shop", Database.in_file(tmp_path / "w.duckdb"), {})
    DbtProject(tmp_path / "other", Database.in_file(tmp_path / "w.duckdb"), {})
    mine = {
        "transform.yaml": "projects:\n  shop: {framework: dbt, path: shop}\n",
        "definitions.py": "defs = 1\n",
    }
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path.parent)
    done = init(str(tmp_path))
    assert done.exit_code == 0
    assert {name: (tmp_path / name).read_text() for name in mine} == mine
    assert done.output.count("left as it is") == 2
    assert "transform.yaml does not name these" in done.output
    assert "path: other" in done.output
    assert "Definitions.merge(defs, build_transform_definitions" in done.output
    forced = init(str(tmp_path), "--force")
    assert forced.output.count("replaced") == 2
    assert set(load_config(tmp_path).projects) == {"shop", "other"}


@pytest.mark.parametrize(
    ("uses", "page"),
    [
        ("from dagster_dbt import dbt_assets", "docs/moving/dagster-dbt.md"),
        ("from dagster_sqlmesh import sqlmesh_assets", "docs/moving/dagster-sqlmesh.md"),
    ],
)
def test_who_has_another_integration_is_told_to_move_over_and_not_to_merge(
    tmp_path: Path, uses: str, page: str
) -> None:
    DbtProject(tmp_path / "shop", Database.in_file(tmp_path / "w.duckdb"), {})
    (tmp_path / "definitions.py").write_text(f"{uses}\ndefs = 1\n")
    said = init(str(tmp_path)).output
    assert "definitions.py uses dagster-" in said
    assert page in said
    assert (REPOSITORY / page).is_file()
    assert "Definitions.merge" not in said


def test_lines_are_added_to_a_gitignore(tmp_path: Path) -> None:
    DbtProject(tmp_path / "shop", Database.in_file(tmp_path / "w.duckdb"), {})
    path = tmp_path / ".gitignore"
    path.write_text("secrets.env\ntarget/\n")
    done = init(str(tmp_path))
    assert "added lines to .gitignore" in done.output
    text = path.read_text()
    assert text.startswith("secrets.env\ntarget/\n")
    assert "/shop/logs/" in text
    assert "/shop/target/" not in text, "it is ignored already"
    init(str(tmp_path))
    assert path.read_text() == text
    path.write_bytes(b"\xff")
    assert "can't be changed" in init(str(tmp_path)).output
    assert path.read_bytes() == b"\xff"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = init(str(tmp_path / "file" / "below"), "--example")
    assert done.exit_code == 1
    assert "can't be written" in done.stderr
    assert "dagster-transform init FOLDER" in done.stderr
    (tmp_path / "taken" / "transform.yaml").mkdir(parents=True)
    done = init(str(tmp_path / "taken"), "--example")
    assert done.exit_code == 1
    assert "can't be written" in done.stderr


def test_a_dg_project_loads_it_from_its_defs_folder(tmp_path: Path) -> None:
    DbtProject(
        tmp_path / "shop",
        Database.in_file(tmp_path / "w.duckdb"),
        {"models/b.sql": "select 2 as n"},
    )
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "of_dg"\n'
    )
    defs = tmp_path / "src" / "of_dg" / "defs"
    defs.mkdir(parents=True)
    (defs / "__init__.py").write_text("")
    (defs.parent / "__init__.py").write_text("")
    done = init(str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "dg dev" in done.output
    assert (defs / "transform.py").exists()
    assert not (tmp_path / "definitions.py").exists()
    assert CliRunner().invoke(main, ["prepare", "-c", str(tmp_path)]).exit_code == 0
    code = (
        "import dagster as dg; from pathlib import Path; "
        "d = dg.load_from_defs_folder(path_within_project=Path('src')); "
        "print([s.key.to_user_string() for s in d.resolve_all_asset_specs()])"
    )
    loaded = shell(f'{sys.executable} -c "{code}"', tmp_path, PYTHONPATH=str(tmp_path / "src"))
    assert "'b'" in loaded.stdout, loaded.stderr[-2000:]
