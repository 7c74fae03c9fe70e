"""`prepare` on real dbt projects: what it keeps, and the packages that it installs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.dbt import install_packages, read_project
from dagster_transform.dbt.errors import (
    PackagesError,
)
from dagster_transform.dbt.files.artifacts import Artifacts
from dagster_transform.dbt.files.manifest import read_manifest
from tests.support.dbt_loading import LOCAL_PACKAGE, failure, project
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database

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
    record = artifacts.read_record()
    assert (record.adapter_type, record.threads) == ("duckdb", 4)
    assert record.packages["shop"] == str(made.folder)
    assert set(found.written_by) == {"dagster-transform", "dbt-core", "dbt-duckdb"}
    assert found.written_by["dbt-core"] == record.dbt


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
