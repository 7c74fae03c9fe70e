"""What `prepare` says of projects that Dagster can't show."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dagster_transform import build_transform_definitions
from dagster_transform.cli import main
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

MODELS = {"mart.a": "kind FULL\n---\nSELECT 1 AS n"}
TRANSLATOR = """
from dagster_transform import TransformTranslator

class Mine(TransformTranslator):
    def get_asset_key(self, node):
        return super().get_asset_key(node).with_prefix(node.project)

class Odd(TransformTranslator):
    def get_owners(self, node):
        return ["nobody"]
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def same_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Transform:
    """Two projects on two files of one name: their models have one asset key."""
    monkeypatch.chdir(tmp_path)
    projects = []
    for name in ("p", "q"):
        (tmp_path / f"{name}_data").mkdir()
        database = Database.in_file(tmp_path / f"{name}_data" / "w.duckdb")
        projects.append(Project(tmp_path / name, database, MODELS, name=name))
    (tmp_path / "mine_of_this_test.py").write_text(TRANSLATOR, encoding="utf-8")
    return Transform(tmp_path, projects)


def test_prepare_finds_what_dagster_cannot_show(same_keys: Transform) -> None:
    done = run("prepare")
    assert done.exit_code == 3
    written = sorted(os.listdir(same_keys.folder / ".dagster_transform"))
    assert written == ["p.graph.json", "q.graph.json"]
    for word in ("project q", "p:mart.a", "q:mart.a", "q/models/mart.a.sql", "get_asset_key"):
        assert word in done.stderr
    assert run("prepare", "--check").exit_code == 3
    assert run("prepare", "--check", "--project", "p").exit_code == 3, "q's is in its graph file"
    assert run("prepare", "--translator", "mine_of_this_test:Mine").exit_code == 0
    done = run("prepare", "--translator", "mine_of_this_test:Odd")
    assert done.exit_code == 3
    assert "Mend Odd" in done.stderr
    for wrong in ("mine_of_this_test:None", "no_such_module:X", "os:path", "mine_of_this_test"):
        done = run("prepare", "--translator", wrong)
        assert done.exit_code == 1
        assert "--translator module:Class" in done.stderr
    assert list(build_transform_definitions(same_keys.folder).resolve_all_asset_specs())


def test_under_dagster_dev_what_is_prepared_is_judged_by_ones_own_translator(
    same_keys: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    monkeypatch.syspath_prepend(str(same_keys.folder))
    from mine_of_this_test import Mine  # type: ignore[import-not-found]

    specs = build_transform_definitions(
        same_keys.folder, translator=Mine(same_keys.folder)
    ).resolve_all_asset_specs()
    keys = {spec.key.to_user_string() for spec in specs}
    assert keys == {"p/w/mart/a", "q/w/mart/a"}
