"""Which projects are found below a folder, and how they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dagster_transform.cli.init.finding import FoundProject, find_projects, other_integrations
from dagster_transform.cli.init.layout import layout_of
from dagster_transform.cli.init.texts import transform_yaml

DBT = "name: shop\nprofile: shop\n"
PROFILES = "shop: {target: t, outputs: {t: {type: duckdb}}}\n"
SQLMESH = "gateways: {main: {connection: {type: duckdb}}}\nmodel_defaults: {dialect: duckdb}\n"


@pytest.fixture(autouse=True)
def no_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever runs the tests may have profiles of their own."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    return home


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def found(root: Path) -> list[tuple[str, str, str]]:
    return [
        (p.name, p.framework, p.folder.relative_to(root).as_posix()) for p in find_projects(root)
    ]


def test_projects_of_both_frameworks(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "transform/dbt/dbt_project.yml": DBT,
            "mesh/config.yaml": SQLMESH,
            "python/config.py": "from sqlmesh.core.config import Config\nconfig = Config()\n",
            "other/config.yaml": "debug: true\n",
            "app/config.py": "DEBUG = True  # no sqlmesh\n",
        },
    )
    assert found(tmp_path) == [
        ("dbt", "dbt", "transform/dbt"),
        ("mesh", "sqlmesh", "mesh"),
        ("python", "sqlmesh", "python"),
    ]


def test_copies_of_others_are_no_projects(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            f"{folder}/dbt_project.yml": DBT
            for folder in (
                "p", "p/dbt_packages/utils", "p/local_package", "p/target/x", ".venv/lib/x",
                "node_modules/x", "my_env/lib/x", "a/b/c/d/e/f/g",
            )
        },
    )  # fmt: skip
    write(tmp_path, {"my_env/pyvenv.cfg": ""})
    assert found(tmp_path) == [("p", "dbt", "p")]


def test_the_folder_itself_and_sqlmesh_inside_of_dbt(tmp_path: Path) -> None:
    root = write(tmp_path / "9 shop!", {"dbt_project.yml": DBT, "mesh/config.yml": SQLMESH})
    assert found(root) == [("_9_shop", "dbt", "."), ("mesh", "sqlmesh", "mesh")]


def test_a_folder_that_is_both_is_dbts_with_a_remark(tmp_path: Path) -> None:
    write(tmp_path, {"p/dbt_project.yml": DBT, "p/config.yaml": SQLMESH})
    (only,) = find_projects(tmp_path)
    assert (only.framework, "framework: sqlmesh" in only.remark) == ("dbt", True)


def test_names_are_identifiers_and_no_two_are_one(tmp_path: Path) -> None:
    write(tmp_path, {f"{f}/dbt_project.yml": DBT for f in ("a/my-project", "b/my project", "c/ö")})
    assert [name for name, *_ in found(tmp_path)] == ["my_project", "my_project_2", "project"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"p/profiles.yml": PROFILES}, None),
        ({"profiles/profiles.yml": PROFILES}, "profiles"),
        ({"x/profiles.yml": "other: {}\n", "y/profiles.yml": PROFILES}, "y"),
    ],
)
def test_profiles_elsewhere_are_named(
    tmp_path: Path, files: dict[str, str], expected: str | None
) -> None:
    write(tmp_path, {"p/dbt_project.yml": DBT, **files})
    (only,) = find_projects(tmp_path)
    assert only.profiles == (tmp_path / expected if expected else None)
    assert only.remark == ""


def test_profiles_where_dbt_looks_by_itself_and_nowhere(tmp_path: Path, no_home: Path) -> None:
    write(tmp_path, {"p/dbt_project.yml": DBT})
    (only,) = find_projects(tmp_path)
    assert "'shop'" in only.remark
    write(no_home, {".dbt/profiles.yml": PROFILES})
    (only,) = find_projects(tmp_path)
    assert (only.profiles, only.remark) == (None, "")


def test_odd_folders_stay_what_they_are_in_yaml(tmp_path: Path) -> None:
    names = ["plain", "with blank", "a: b", "1.5", "true", "${HOME}", "#x", "über"]
    projects = [FoundProject(f"p{at}", "dbt", tmp_path / name) for at, name in enumerate(names)]
    read = yaml.safe_load(transform_yaml(projects, tmp_path))
    paths = [read["projects"][p.name]["path"] for p in projects]
    assert paths == [*names[:5], "$${HOME}", *names[6:]]


@pytest.mark.parametrize(
    ("pyproject", "file", "start"),
    [
        ("", "definitions.py", "dagster dev -f definitions.py"),
        ("not toml [", "definitions.py", "dagster dev -f definitions.py"),
        ('[tool.dagster]\nmodule_name = "my.definitions"\n', None, "dagster dev"),
        (
            '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "my"\n',
            "src/my/defs/transform.py",
            "dg dev",
        ),
    ],
)
def test_where_definitions_go(tmp_path: Path, pyproject: str, file: str | None, start: str) -> None:
    write(tmp_path, {"pyproject.toml": pyproject})
    layout = layout_of(tmp_path)
    assert layout.file == (tmp_path / file if file else None)
    assert layout.start == start
    if file is None:
        assert layout.merge_into == "my.definitions"


def test_other_integrations_are_seen_in_modules_and_components(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "definitions.py": "from assets.dbt import made  # no dagster_dbt\n",
            "assets/dbt.py": "import dagster as dg\nfrom dagster_dbt import dbt_assets\n",
            "assets/later.py": "def made():\n    import dagster_dbt.asset_utils\n",
            "assets/mesh.py": "from dg_sqlmesh import sqlmesh_definitions_factory\n",
            "assets/like_it.py": "import dagster_dbt_of_ours\nfrom dagster_sqlmesh_x import y\n",
            ".venv/lib/x.py": "import dagster_sqlmesh\n",
        },
    )
    assert other_integrations(tmp_path) == {
        "dagster-dbt": Path("assets/dbt.py"),
        "dg-sqlmesh": Path("assets/mesh.py"),
    }
    write(tmp_path, {"a/defs/x/defs.yaml": "type: dagster_dbt.DbtProjectComponent\n"})
    assert other_integrations(tmp_path)["dagster-dbt"] == Path("a/defs/x/defs.yaml")
    assert other_integrations(tmp_path / "none") == {}
